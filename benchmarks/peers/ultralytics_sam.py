"""`ultralytics`: its `SAM` with the weights of MobileSAM. AGPL-3.0; nothing of it is used but its public API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

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
    official: Any, ours: ls.Segmenter, count: int, size: tuple[int, int], bar: float | None
) -> Case:
    """Boxes on an image as an array, encoding included, to masks of its size."""
    image, asked = photo(*size), boxes(count, *size)
    reverse = np.ascontiguousarray(image[..., ::-1])
    plural = "box" if count == 1 else "boxes"
    work = f"whole call, {count} {plural}, {size[0]}x{size[1]}, mobilesam"
    predict = partial(official, reverse, bboxes=asked.tolist(), device="cpu", verbose=False)
    return boxes_to_masks(
        work, bar, predict, partial(ours.segment, image, boxes=asked), 5 if count == 1 else 2
    )


def decoding(official: Any, ours: ls.Segmenter, count: int, size: tuple[int, int], bar: float) -> Case:
    """Boxes on an image that both have encoded, to masks of its size."""
    image, asked = photo(*size), boxes(count, *size)
    predictor = official.predictor  # there after the first call
    predictor.args.conf = -1e9  # of which it drops masks by their rating, random here
    predictor.set_image(np.ascontiguousarray(image[..., ::-1]))
    work = f"{count} boxes to masks, {size[0]}x{size[1]}, mobilesam"
    predict = partial(predictor, bboxes=asked.tolist())
    return boxes_to_masks(work, bar, predict, partial(ours.segment, ours.embed(image), boxes=asked), 3)


def boxes_to_masks(
    work: str, bar: float | None, predict: Callable[[], Any], segment: Callable[[], ls.Masks], rounds: int
) -> Case:
    """Ultralytics' full-size masks beside our crops."""

    def theirs() -> npt.NDArray[np.bool_]:
        masks: npt.NDArray[np.bool_] = predict()[0].masks.data.numpy() > 0
        return masks

    return Case(
        work, bar, theirs, lambda: segment().crops(), lambda: (theirs(), segment().dense()), 0.1, rounds
    )
