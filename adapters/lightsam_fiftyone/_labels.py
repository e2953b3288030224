"""From masks in pixels to FiftyOne's detections, whose masks lie inside boxes in parts of the image."""

from __future__ import annotations

from typing import Any

import fiftyone.core.labels as fol
import numpy as np

from lightsam_fiftyone._prompts import Prompt
from lightsam_plugins.masks import Crop, Masks
from lightsam_plugins.types import BoolArray


def prompted(prompt: Prompt, masks: Masks, bbox_mode: str) -> Any:
    """The detection of one prompt.

    Args:
        prompt: The prompt.
        masks: Its one mask, or none where the prompt is unusable.
        bbox_mode: ``"prompt"`` keeps the box of the prompt, if it has one; ``"mask"`` is tight around the mask.

    Returns:
        A ``Detection``; where there is no pixel in its box, without a mask.
    """
    height, width = masks.size
    crop = masks.crops()[0] if len(masks) else None
    size = np.array((width, height) * 2, np.float64)
    box = prompt.box
    if crop is not None and crop[2].size and (box is None or bbox_mode == "mask"):
        box = np.array((crop[0], crop[1], crop[0] + crop[2].shape[1], crop[1] + crop[2].shape[0]), np.float64)
    elif box is None:
        spread = prompt.points if len(prompt.points) else np.zeros((1, 2))
        box = np.concatenate([spread.min(0), spread.max(0)])
    if prompt.usable:
        box = np.clip(box, 0, size)
    x0, y0, x1, y1 = (float(edge) for edge in box / size)
    mask = None if crop is None else _window(crop, box, size)
    score = {"confidence": min(float(masks.scores[0]), 1.0)} if len(masks) else {}
    return fol.Detection(bounding_box=[x0, y0, x1 - x0, y1 - y0], mask=mask, **prompt.carried, **score)


def everything(masks: Masks) -> list[Any]:
    """A detection for each mask of everything mode, tight around it, with confidence and stability."""
    height, width = masks.size
    found = []
    for (x, y, mask), score, stability in zip(masks.crops(), masks.scores, masks.stability, strict=True):
        h, w = mask.shape
        box = [x / width, y / height, w / width, h / height]
        rated = {"confidence": min(float(score), 1.0), "stability": float(stability)}
        found.append(fol.Detection(bounding_box=box, mask=mask.copy(), **rated))
    return found


def _window(crop: Crop, box: Any, size: Any) -> BoolArray | None:
    """The part of a mask inside a box, to the nearest pixel and at least one pixel wide; None where it is empty."""
    x, y, mask = crop
    low = np.clip(np.rint(box[:2]), 0, size[:2] - 1).astype(int)
    (x0, y0), (x1, y1) = low, np.maximum(np.rint(box[2:]).astype(int), low + 1)
    window = np.zeros((y1 - y0, x1 - x0), bool)
    part = mask[max(y0 - y, 0) : max(y1 - y, 0), max(x0 - x, 0) : max(x1 - x, 0)]
    top, left = max(y - y0, 0), max(x - x0, 0)
    window[top : top + part.shape[0], left : left + part.shape[1]] = part
    return window if window.any() else None
