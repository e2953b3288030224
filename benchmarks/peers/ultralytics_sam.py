"""`ultralytics`: its `SAM` with the weights of MobileSAM. AGPL-3.0; nothing of it is used but its public API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

import lightsam_plugins as ls
from benchmarks.interleave import Case
from benchmarks.seeded import boxes, load, photo

PACKAGES = ["ultralytics"]


def cases(folder: Path) -> Iterator[Case]:
    """A whole call on an image that is new to both; checkpoints are written to `folder`."""
    os.environ |= {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "true"}
    from ultralytics.models import SAM

    from lightsam_plugins.models.mobile_sam import build
    from tests.golden.golden_recipe import keys, parameter

    golden = Path(__file__).parents[2] / "tests" / "golden"
    seed, shapes = keys(golden, "mobilesam")
    state = {name: parameter(seed, name, shape) for name, shape in shapes.items()}
    torch.save(state, folder / "mobile_sam.pt")
    official = SAM(str(folder / "mobile_sam.pt"))
    network = build()
    network.load_state_dict(state, strict=False)
    ours = load("mobilesam", network, folder)
    yield whole_call(official, ours, 1, (1920, 1080), 2)
    yield decoding(official, ours, 64, (2250, 1500), 3.5)


def whole_call(
    official: object, ours: ls.Segmenter, count: int, size: tuple[int, int], bar: float | None
) -> Case:
    """Boxes on an image as an array, encoding included, to masks of its size."""
    image, asked = photo(*size), boxes(count, *size)
    reverse = np.ascontiguousarray(image[..., ::-1])

    def theirs() -> npt.NDArray[np.bool_]:
        result = official(reverse, bboxes=asked.tolist(), device="cpu", verbose=False)[0]  # type: ignore[operator]
        masks: npt.NDArray[np.bool_] = result.masks.data.numpy() > 0
        return masks

    def work() -> ls.Masks:
        masks = ours.segment(image, boxes=asked)
        masks.crops()
        return masks

    plural = "box" if count == 1 else "boxes"
    name = f"whole call, {count} {plural}, {size[0]}x{size[1]}, mobilesam"
    return Case(
        name, bar, theirs, work, lambda: (theirs(), work().dense()), 0.1, rounds=5 if count == 1 else 2
    )


def decoding(official: object, ours: ls.Segmenter, count: int, size: tuple[int, int], bar: float) -> Case:
    """Boxes on an image that both have encoded, to masks of its size."""
    image, asked = photo(*size), boxes(count, *size)
    predictor = official.predictor  # type: ignore[attr-defined] # there after the first call
    predictor.args.conf = -1e9  # of which it drops masks by their rating, random here
    predictor.set_image(np.ascontiguousarray(image[..., ::-1]))
    encoded = ours.embed(image)

    def theirs() -> npt.NDArray[np.bool_]:
        masks: npt.NDArray[np.bool_] = predictor(bboxes=asked.tolist())[0].masks.data.numpy() > 0
        return masks

    def work() -> ls.Masks:
        masks = ours.segment(encoded, boxes=asked)
        masks.crops()
        return masks

    name = f"{count} boxes to masks, {size[0]}x{size[1]}, mobilesam"
    return Case(name, bar, theirs, work, lambda: (theirs(), work().dense()), 0.1, rounds=3)
