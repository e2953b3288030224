"""Removing small islands and holes from a mask crop."""

from __future__ import annotations

import numpy as np

from lightsam_plugins.types import BoolArray

_EIGHT = np.ones((3, 3), np.uint8)  # diagonal neighbours belong together, as in SAM's generator


def clean_regions(mask: BoolArray, min_area: float, *, open_sides: BoolArray) -> BoolArray:
    """Fill holes and drop islands smaller than `min_area`; the largest island always stays.

    Args:
        mask: (h, w) bool, the tight crop of one mask.
        min_area: Pixels; smaller regions go.
        open_sides: (4,) bool, left, top, right, bottom: the image goes on beyond this side of the crop,
            so background that reaches it is no hole.

    Returns:
        (h, w) bool; the argument itself where nothing changes.
    """
    filled = _fill_holes(mask, min_area, open_sides)
    return _drop_islands(filled, min_area)


def _fill_holes(mask: BoolArray, min_area: float, open_sides: BoolArray) -> BoolArray:
    from scipy.ndimage import label

    regions, count = label(~mask, _EIGHT)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    hole = areas < min_area
    hole[0] = False
    sides = (regions[:, 0], regions[0], regions[:, -1], regions[-1])
    for side, is_open in zip(sides, open_sides, strict=True):
        if is_open:
            hole[side] = False
    return mask | hole[regions] if hole.any() else mask


def _drop_islands(mask: BoolArray, min_area: float) -> BoolArray:
    from scipy.ndimage import label

    regions, count = label(mask, _EIGHT)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    areas[0] = 0
    stays = areas >= min_area
    stays[areas.argmax()] = True
    stays[0] = False
    return mask if stays[1:].all() else np.asarray(stays[regions])
