"""Box arithmetic of everything mode: overlap, suppression, and boxes cut off by a crop."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lightsam_plugins.types import BoolArray, FloatArray, IntArray


def box_areas(boxes: FloatArray) -> FloatArray:
    """(N,) areas of (N, 4) ``xyxy`` half-open boxes; zero where a box is empty."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def nms(
    boxes: FloatArray, scores: npt.NDArray[Any], iou_threshold: float, limit: int | None = None
) -> IntArray:
    """Greedy non-maximum suppression.

    Args:
        boxes: (N, 4) float32 ``xyxy``.
        scores: (N,); equal scores keep their order.
        iou_threshold: A box that overlaps a better one by more than this is dropped.
        limit: No more than this many are kept.

    Returns:
        Rows kept, best score first.
    """
    areas = box_areas(boxes)
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size and len(kept) != limit:
        best, order = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[order, :2], boxes[best, :2])
        high = np.minimum(boxes[order, 2:], boxes[best, 2:])
        sides = np.maximum(high - low, 0)
        overlap = sides[:, 0] * sides[:, 1]
        # overlap > t * union rather than overlap / union > t: two empty boxes have no union.
        order = order[overlap <= iou_threshold * (areas[order] + areas[best] - overlap)]
    return np.asarray(kept, np.intp)


def cut_by_crop(
    boxes: FloatArray, crop: tuple[int, int, int, int], height: int, width: int, margin: float = 20.0
) -> BoolArray:
    """Which boxes end at a side of their crop that is not a side of the image.

    Args:
        boxes: (N, 4) ``xyxy`` in pixels of the whole image.
        crop: The crop, ``xyxy`` in pixels of the whole image.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        margin: How near counts as touching, in pixels (20 in SAM's generator).

    Returns:
        (N,) bool: such a mask shows a part of an object that goes on outside the crop.
    """
    near_crop = np.abs(boxes - np.asarray(crop, np.float32)) <= margin
    near_image = np.abs(boxes - np.asarray((0, 0, width, height), np.float32)) <= margin
    return np.asarray((near_crop & ~near_image).any(axis=1))
