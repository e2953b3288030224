"""The FiftyOne adapter beside FiftyOne's built-in SAM wrapper: the same network, the same weights, interleaved.

    python -m benchmarks.fiftyone_sam [--rounds 5] [--threads 1] [--boxes 1 10 100]

The built-in wrapper can hold any network of SAM's form; here it holds `nano`, whose masks are those of a trained
network, through the class below. Both load the images by their own `GetItem` and make FiftyOne's detections of them.
Prints the images per second of CPU time (medians), the median of the ratios of the rounds, and the peak of memory
beyond what the process held before.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.utils.sam as fosam
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import lightsam_fiftyone
import lightsam_plugins as ls
from benchmarks.memory import megabytes
from lightsam_plugins.images import load_image
from lightsam_plugins.transforms import preprocess
from lightsam_plugins.types import Frame, PromptBatch

SIZE = (1200, 800)  # pixels of the photos
BATCH = 4


class SamShaped(torch.nn.Module):
    """A network of ours with the names and calls of SAM's, masks brought to the image as SAM's code does it."""

    mask_threshold = 0.0

    def __init__(self, segmenter: ls.Segmenter) -> None:
        super().__init__()
        self.network: Any = segmenter._runner.module
        self.spec = segmenter.spec
        self.prompt_encoder = _Prompts()

    def preprocess(self, image: torch.Tensor) -> torch.Tensor:
        """Done in `transform`."""
        return image

    def image_encoder(self, images: torch.Tensor) -> list[Any]:
        """Features, one an image."""
        features = self.network.encode(images)
        return [
            _Features({name: one[row : row + 1] for name, one in features.items()})
            for row in range(len(images))
        ]

    def mask_decoder(
        self, image_embeddings: Any, sparse_prompt_embeddings: PromptBatch, multimask_output: bool, **_: Any
    ) -> Any:
        """Low-resolution masks of all prompts at once."""
        return self.network.decode(image_embeddings, sparse_prompt_embeddings, multimask=multimask_output)

    def postprocess_masks(
        self, masks: torch.Tensor, input_size: Any, original_size: tuple[int, int]
    ) -> torch.Tensor:
        """Bilinear to 1024, without the padding, to the image."""
        rows, columns = Frame(*original_size, 1024).resized
        large = F.interpolate(masks, (1024, 1024), mode="bilinear", align_corners=False)[..., :rows, :columns]
        return F.interpolate(large, original_size, mode="bilinear", align_corners=False)


class _Prompts(torch.nn.Module):
    def forward(self, points: Any, boxes: torch.Tensor, masks: Any) -> tuple[PromptBatch, None]:
        """Prompts as they are: they are encoded with the masks."""
        none = torch.zeros(len(boxes), 0, 2)
        return PromptBatch(none, none[..., 0].long(), boxes.float()), None

    def get_dense_pe(self) -> None:
        """The network knows it."""


class _Features(dict[str, torch.Tensor]):
    def unsqueeze(self, _: int) -> _Features:
        """The wrapper adds an axis to each embedding; ours have it."""
        return self


class BuiltIn(fosam.SegmentAnythingModel):  # type: ignore[misc] # FiftyOne has no annotations
    """FiftyOne's wrapper; only what would import Meta's package is replaced."""

    def _download_model(self, config: Any) -> None: ...
    def _load_auto_generator(self) -> None: ...

    def _load_predictor(self) -> Any:
        return _Transforms(self._model)


class _Transforms:
    def __init__(self, model: SamShaped) -> None:
        self.spec = model.spec

    def image_transform(self, image: Any) -> Any:
        """The input of the encoder and the size of the image."""
        spec, size = self.spec, image.shape[:2]
        frame = Frame(size[0], size[1], spec.prompt_side, spec.fit)
        one = preprocess(load_image(image), frame, side=spec.encoder_side, mean=spec.mean, std=spec.std)
        return one[None], size

    def box_transform(self, boxes: Any, size: tuple[int, int]) -> torch.Tensor:
        """Boxes in the frame of the prompts."""
        return torch.from_numpy(Frame(*size, self.spec.prompt_side, self.spec.fit).to_input(np.round(boxes)))

    point_transform = None


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
    parser.add_argument("--boxes", type=int, nargs="+", default=[1, 10, 100])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ours = lightsam_fiftyone.load_model("nano", device="cpu")
    shaped = SamShaped(ours.segmenter)
    built_in = BuiltIn(
        fosam.SegmentAnythingModelConfig({"model": shaped, "model_path": "nano", "device": "cpu"})
    )
    random = np.random.RandomState(0)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        photo = Path(folder) / "photo.png"
        Image.open(Path(ls.__file__).parent / "assets" / "coffee.jpg").convert("RGB").resize(SIZE).save(photo)
        for count in options.boxes:
            low, sides = random.uniform(0.05, 0.7, (count, 2)), random.uniform(0.05, 0.25, (count, 2))
            rows = np.concatenate([low, sides], 1).tolist()
            boxes = fo.Detections(detections=[fo.Detection(label="x", bounding_box=row) for row in rows])
            sample = {"id": "x", "filepath": str(photo), "box_prompt_field": boxes}

            def label(model: Any, sample: dict[str, Any] = sample) -> Any:
                load = model.build_get_item({"box_prompt_field": "boxes"})
                model.preprocess = False
                return model.predict_all(model.collate_fn([load(sample) for _ in range(BATCH)]))

            report(
                count, {"built-in": lambda: label(built_in), "lightsam": lambda: label(ours)}, options.rounds
            )


def report(count: int, work: dict[str, Callable[[], Any]], rounds: int) -> None:
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
            times[name].append((time.process_time() - begun) / BATCH)
    ratios = [a / b for a, b in zip(*times.values(), strict=True)]
    for name, call in work.items():
        print(
            f"{count:4} boxes  {name:9} {1 / statistics.median(times[name]):7.2f} images/s  {peak(call):8.0f} MB"
        )
    print(f"{'':12}ratio {statistics.median(ratios):.2f}; pixels alike {np.mean(shared):.4f}")


if __name__ == "__main__":
    main()
