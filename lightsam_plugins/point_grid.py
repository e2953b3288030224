"""Where everything mode clicks: regular grids of points and overlapping crops of the image.

The rules are those of SAM's automatic mask generator (Kirillov et al., "Segment Anything", 2023, appendix B).
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import numpy.typing as npt

from lightsam_plugins.types import FloatArray

CropBox = tuple[int, int, int, int]


def point_grid(per_side: int) -> FloatArray:
    """A square grid of cell centres.

    Args:
        per_side: Points along each side.

    Returns:
        (per_side², 2) float32, ``(x, y)`` as fractions of the side, row by row.
    """
    centres = (np.arange(per_side, dtype=np.float32) + 0.5) / per_side
    x, y = np.meshgrid(centres, centres)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def coarse_to_fine(per_side: int) -> npt.NDArray[np.intp]:
    """An order of the points of `point_grid`: every second of either direction, then the rest.

    Returns:
        (per_side²,) indices, the first `coarse_count` of which are coarse; otherwise points stay in their order.
    """
    coarse = np.arange(per_side) % 2 == 1
    return np.argsort(~(coarse[:, None] & coarse).ravel(), kind="stable")


def coarse_count(points: int) -> int:
    """How many of so many points of a grid, in the order of `coarse_to_fine`, are coarse."""
    return (math.isqrt(points) // 2) ** 2


def layer_grids(per_side: int, n_layers: int, downscale: int) -> list[FloatArray]:
    """One grid a crop layer, each with `downscale` times fewer points a side than the one before, at least 1."""
    return [point_grid(max(1, per_side // downscale**layer)) for layer in range(n_layers + 1)]


def crop_boxes(height: int, width: int, n_layers: int, overlap_ratio: float) -> list[tuple[int, CropBox]]:
    """The whole image, then 2x2, 4x4, ... overlapping crops of it.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        n_layers: Crop layers; layer i has ``2**i`` crops a side.
        overlap_ratio: Overlap of the crops of layer 1 as a fraction of the shorter side; halved a layer.

    Returns:
        ``(layer, (x0, y0, x1, y1))`` in pixels, half-open, the whole image first. Crops that would be
        empty (an image smaller than the number of crops) are left out.
    """
    boxes: list[tuple[int, CropBox]] = [(0, (0, 0, width, height))]
    for layer in range(1, n_layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(height, width) * 2 / count)
        crop_w = math.ceil((overlap * (count - 1) + width) / count)
        crop_h = math.ceil((overlap * (count - 1) + height) / count)
        for i, j in product(range(count), range(count)):
            x0, y0 = (crop_w - overlap) * i, (crop_h - overlap) * j
            box = (x0, y0, min(x0 + crop_w, width), min(y0 + crop_h, height))
            if box[0] < box[2] and box[1] < box[3]:
                boxes.append((layer, box))
    return boxes
