"""What is measured of two masks, and the prompts that are drawn from a true one. Needs the extra ``evaluate``."""

from __future__ import annotations

import cv2
import numpy as np

from lightsam_plugins.types import BoolArray

BOUNDARY = 0.02  # width of the boundary band, in parts of the image's diagonal (Cheng et al. 2021)


def box_of(mask: BoolArray) -> tuple[int, int, int, int]:
    """Tight half-open ``xyxy`` box in pixels of a (H, W) mask that has at least one pixel."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def deepest(region: BoolArray) -> tuple[float, tuple[float, float]]:
    """Where a (H, W) region is deepest; the border of the image counts as outline.

    Returns:
        The largest distance to the outline in pixels, 0 of an empty region, and its ``(x, y)``, the centre of a pixel.
    """
    padded = np.pad(region, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[y, x]), (float(x) + 0.5, float(y) + 0.5)


def iou(answer: BoolArray, wanted: BoolArray) -> float:
    """Intersection over union of two (H, W) masks; 1 of two empty ones."""
    union = int((answer | wanted).sum())
    return int((answer & wanted).sum()) / union if union else 1.0


def boundary(mask: BoolArray) -> BoolArray:
    """The pixels of a mask that are at most `BOUNDARY` of the diagonal from its outline, image border included."""
    height, width = mask.shape
    rounds = max(1, round(BOUNDARY * float(np.hypot(height, width))))
    if not mask.any():
        return mask
    x0, y0, x1, y1 = box_of(mask)
    padded = np.pad(mask[y0:y1, x0:x1], 1).astype(np.uint8)
    core = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=rounds)[1:-1, 1:-1].astype(bool)
    band = mask.copy()
    band[y0:y1, x0:x1] &= ~core
    return band


def boundary_iou(answer: BoolArray, wanted: BoolArray) -> float:
    """Boundary IoU of two (H, W) masks (Cheng et al., CVPR 2021): the IoU of their boundary bands."""
    return iou(boundary(answer), boundary(wanted))
