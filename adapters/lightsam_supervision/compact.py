"""Between the core's crops and supervision's `CompactMask`; an array of the whole frame is never made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import supervision as sv

from lightsam_plugins.masks import Crop


def compact_mask(crops: Sequence[Crop], size: tuple[int, int]) -> sv.CompactMask:
    """Crops as supervision stores masks.

    Args:
        crops: N masks ``(x0, y0, mask)``, as of `lightsam_plugins.Masks.crops`; one without pixels is (0, 0).
        size: (height, width) of the frame in pixels.

    Returns:
        N masks, in their order.
    """
    if not crops:
        return sv.CompactMask.from_dense(np.zeros((0, *size), bool), np.zeros((0, 4)), size)
    return sv.CompactMask.merge([_one(crop, size) for crop in crops])


def crops_of(masks: sv.CompactMask) -> list[Crop]:
    """The crops of supervision's masks."""
    return [(int(x), int(y), masks.crop(row)) for row, (x, y) in enumerate(masks.offsets)]


def _one(crop: Crop, size: tuple[int, int]) -> sv.CompactMask:
    x0, y0, mask = crop
    pixels = mask if mask.size else np.zeros((1, 1), bool)
    height, width = pixels.shape
    corners = np.array([[0, 0, width - 1, height - 1]])  # inclusive here
    return sv.CompactMask.from_dense(pixels[None], corners, (height, width)).with_offset(x0, y0, size)
