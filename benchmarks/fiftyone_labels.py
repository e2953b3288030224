"""How well boxes become masks in FiftyOne: held-out photos and nuclei, masks deleted, boxes kept, then compared.

    python -m benchmarks.fiftyone_labels --data DIR [--images 40]

DIR is the folder of the training data (training/sources.py); training never saw these images.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import islice
from pathlib import Path

import fiftyone as fo
import numpy as np
from PIL import Image

import lightsam_fiftyone
from training.holdout import microscopy, photos
from training.sources import Sources


def main() -> None:
    """Label both sets and print the share of objects found and their mean IoU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=40)
    options = parser.parse_args()
    model = lightsam_fiftyone.load_model("nano", device="cpu")
    sources = Sources(options.data, "holdout")
    for name, cases in {"natural photos": photos(sources), "nuclei": microscopy(sources, grey=False)}.items():
        with tempfile.TemporaryDirectory() as folder:
            dataset = fo.Dataset()
            for case in islice(cases, options.images):
                file = Path(folder) / f"{case.name}.png"
                Image.fromarray(case.image).save(file)
                truth = [fo.Detection.from_mask(mask, label="object") for mask in case.masks]
                boxes = [fo.Detection(label="object", bounding_box=one.bounding_box) for one in truth]
                dataset.add_sample(
                    fo.Sample(
                        filepath=str(file),
                        ground_truth=fo.Detections(detections=truth),
                        boxes=fo.Detections(detections=boxes),
                    )
                )
            dataset.apply_model(model, "masks", box_prompt_field="boxes", batch_size=8, num_workers=0)
            print(f"{name}: {len(dataset)} images, {dataset.count('ground_truth.detections')} objects")
            for least in (0.5, 0.75):
                found = dataset.evaluate_detections(
                    "masks", "ground_truth", eval_key="e", use_masks=True, iou=least
                )
                ious = [value for row in dataset.values("masks.detections.e_iou") for value in row if value]
                print(
                    f"  IoU >= {least}: {found.metrics()['recall']:.3f} of the objects; mean IoU {np.mean(ious):.3f}"
                )
            dataset.delete()


if __name__ == "__main__":
    main()
