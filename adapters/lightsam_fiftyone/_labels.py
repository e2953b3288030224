"""From masks in pixels to FiftyOne's detections, whose masks lie inside boxes in parts of the image."""

from __future__ import annotations

from typing import Any

import fiftyone.core.labels as fol
import numpy as np

from lightsam_fiftyone._prompts import Prompt
from lightsam_plugins.mask_exports import window
from lightsam_plugins.masks import Masks


def prompted(prompt: Prompt, masks: Masks | None, size: tuple[int, int], bbox_mode: str) -> Any:
    """The detection of one prompt.

    Args:
        prompt: The prompt.
        masks: Its one mask; None where the prompt is unusable.
        size: (height, width) of the image in pixels.
        bbox_mode: ``"prompt"`` keeps the box of the prompt, if it has one; ``"mask"`` is tight around the mask.
    """
    limits = np.array(size[::-1] * 2, np.float64)
    box, mask, rated = prompt.box, None, {}
    if box is None:  # where no mask gives a better one, around the clicks
        xy = prompt.points if len(prompt.points) else np.zeros((1, 2))
        box = np.concatenate([xy.min(0), xy.max(0)])
    if masks is not None:
        rated = {"confidence": min(float(masks.scores[0]), 1.0)}
        if masks.areas[0] and (prompt.box is None or bbox_mode == "mask"):
            box = masks.boxes[0].astype(np.float64)
        box = np.clip(box, 0, limits)
        inside = window(masks.crops()[0], box)
        mask = inside if inside.any() else None
    x0, y0, x1, y1 = (box / limits).tolist()
    return fol.Detection(bounding_box=[x0, y0, x1 - x0, y1 - y0], mask=mask, **prompt.carried, **rated)


def everything(masks: Masks) -> list[Any]:
    """A detection for each mask of everything mode, tight around it, with confidence and stability."""
    found = []
    for one, stability in zip(masks, masks.stability.tolist(), strict=True):
        box = Prompt(carried={"stability": stability}, box=one.boxes[0])
        found.append(prompted(box, one, masks.size, "mask"))
    return found
