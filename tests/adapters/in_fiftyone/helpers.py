"""Samples and masks for the tests of the adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np

COINS = np.array([[315, 155, 382, 219], [22, 34, 67, 75]], float)  # xyxy in pixels of coins.jpg
SIZE = (384, 303)  # width and height of coins.jpg


def relative(box: Any, size: tuple[int, int] = SIZE) -> list[float]:
    """``xyxy`` in pixels as FiftyOne's x, y, width, height in parts of the image."""
    x0, y0, x1, y1 = (float(edge) for edge in box)
    width, height = size
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]


def boxes(*corners: Any, **fields: Any) -> fo.Detections:
    """Detections without masks."""
    return fo.Detections(
        detections=[fo.Detection(label="coin", bounding_box=relative(box), **fields) for box in corners]
    )


def clicks(*objects: Any, **fields: Any) -> fo.Keypoints:
    """Keypoints of objects, each a list of ``(x, y)`` in pixels."""
    keypoints = [fo.Keypoint(label="coin", points=(np.array(xy) / SIZE).tolist(), **fields) for xy in objects]
    return fo.Keypoints(keypoints=keypoints)


def sample(path: Path, **fields: Any) -> fo.Sample:
    """A sample of an image."""
    return fo.Sample(filepath=str(path), **fields)


def full(detection: fo.Detection, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W) bool: a detection's mask where it lies in the image."""
    width, height = size
    image = np.zeros((height, width), bool)
    if detection.get_mask() is not None:
        x, y, w, h = detection.bounding_box
        mask = detection.get_mask().astype(bool)
        x0, y0 = round(x * width), round(y * height)
        assert mask.shape == (round((y + h) * height) - y0, round((x + w) * width) - x0)
        image[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
    return image


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks."""
    return float((one & other).sum() / (one | other).sum())
