"""The FiftyOne adapter beside FiftyOne's built-in SAM wrapper: the same network on the same weights, interleaved.

    make build/peers/fiftyone/.ready
    PYTHONPATH=adapters build/peers/fiftyone/bin/python -W ignore -m benchmarks.fiftyone_sam   # --rounds 5 --boxes 1 10

The wrapper holds the official code of MobileSAM with weights from a seed, through its public options; the adapter holds
ours. Both load the images by their own `GetItem` and make FiftyOne's detections of them. Prints the images per second
of CPU time (medians), the median of the ratios of the rounds, and the peak of memory beyond what the process held.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.utils.sam as fosam
import numpy as np
import torch
from mobilesam_lite.mobile_sam import sam_model_registry
from PIL import Image

import lightsam_fiftyone
from benchmarks.memory import megabytes
from benchmarks.seeded import fill, load, photo

SIZE = (1200, 800)  # pixels of the photos
Work = Mapping[str, Callable[[], Any]]


def models(folder: Path, engine: str) -> dict[str, Any]:
    """The wrapper and the adapter, on one set of weights."""
    sam = fill(sam_model_registry["vit_t"]())
    load("mobilesam", sam, folder)
    options = {"model": sam, "model_path": str(folder), "device": "cpu"}
    weights = str(folder / "mobilesam.safetensors")
    return {
        "built-in": fosam.SegmentAnythingModel(fosam.SegmentAnythingModelConfig(options)),
        "lightsam": lightsam_fiftyone.load_model("mobilesam", weights=weights, device="cpu", engine=engine),
    }


def boxes(count: int) -> Any:
    """Boxes of 5 to 25 % of the sides."""
    random = np.random.RandomState(0)
    rows = np.concatenate([random.uniform(0.05, 0.7, (count, 2)), random.uniform(0.05, 0.25, (count, 2))], 1)
    return fo.Detections(detections=[fo.Detection(label="object", bounding_box=row) for row in rows.tolist()])


def peak(work: Callable[[], object]) -> float:
    """MB of memory that a call needs at its peak, on Linux."""
    Path("/proc/self/clear_refs").write_text("5")
    before, _ = megabytes("VmRSS"), work()
    return megabytes("VmHWM") - before


def main() -> None:
    """Time both at 1, 10 and 100 boxes an image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engine", default="torch", help="of the adapter, as in docs/engines.md")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--boxes", type=int, nargs="+", default=[1, 10, 100])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        both = models(Path(folder), options.engine)
        file = Path(folder) / "photo.png"
        Image.fromarray(photo(*SIZE)).save(file)
        for count in options.boxes:
            sample = {"id": "x", "filepath": str(file), "box_prompt_field": boxes(count)}

            def label(model: Any, sample: dict[str, Any] = sample) -> Any:
                item = model.build_get_item({"box_prompt_field": "boxes"})
                model.preprocess = False
                return model.predict_all(model.collate_fn([item(sample) for _ in range(options.batch)]))

            work = {name: lambda model=model: label(model) for name, model in both.items()}
            report(count, work, options.rounds, options.batch)


def report(count: int, work: Work, rounds: int, batch: int) -> None:
    """Check that both find the same, time them in turn and print a line."""
    first, second = (call()[0].detections for call in work.values())
    shared = [
        np.mean(a.mask == b.mask) for a, b in zip(first, second, strict=False) if a.mask.shape == b.mask.shape
    ]
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            begun = time.process_time()
            call()
            times[name].append((time.process_time() - begun) / batch)
    ratios = [a / b for a, b in zip(*times.values(), strict=True)]
    for name, call in work.items():
        speed = 1 / statistics.median(times[name])
        print(f"{count:4} boxes  {name:9} {speed:7.3f} images/s  {peak(call):8.0f} MB")
    print(
        f"{'':12}ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}); "
        f"{len(shared)} masks of one size, pixels alike {np.mean(shared):.5f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
