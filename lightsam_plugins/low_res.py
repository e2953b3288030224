"""What can be told from low-resolution logits alone: boxes and stability of thousands of masks at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lightsam_plugins.types import LOW_RES, FloatArray, Frame

if TYPE_CHECKING:
    import torch

Logits: TypeAlias = "FloatArray | torch.Tensor"

_CHUNK = 64  # masks compared with the threshold at once: 4 MB of flags


def content_cells(frame: Frame) -> tuple[int, int]:
    """(rows, columns) of the low-resolution cells up to the end of the image; what comes after is padding.

    In a letterbox the first few may be padding too (4 at most).
    """
    (height, width), (left, top) = frame.resized, frame.offset
    return -(-(top + height) * LOW_RES // frame.side), -(-(left + width) * LOW_RES // frame.side)


def low_res_boxes(logits: Logits, frame: Frame, threshold: float = 0.0) -> FloatArray:
    """Boxes of masks that were not upsampled, right within about one cell a side.

    Args:
        logits: (M, 256, 256) over the input frame, numpy or torch (which is compared where it lies).
        frame: Where the image lies in that frame.
        threshold: A cell belongs to the mask where its logit is greater.

    Returns:
        (M, 4) float32 ``xyxy`` in original pixels, clipped to the image; zeros for an empty mask.
    """
    boxes = np.zeros((len(logits), 4), np.float32)
    for start, content in _content(logits, frame):
        above = content > threshold
        for axis, first in ((2, 1), (1, 0)):  # rows give y, columns x
            touched = _numpy(above.any(axis))
            rows = touched.any(1)
            last = touched.shape[1] - touched[:, ::-1].argmax(1)
            box = boxes[start : start + len(touched)]
            box[rows, first], box[rows, first + 2] = touched.argmax(1)[rows], last[rows]
    cell = frame.side / LOW_RES
    return np.clip(frame.to_image(boxes * cell), 0, frame.box[[2, 3, 2, 3]])


def stability_scores(logits: Logits, frame: Frame, threshold: float = 0.0, offset: float = 1.0) -> FloatArray:
    """How little masks change with the threshold: IoU of the masks at threshold + offset and - offset.

    Args:
        logits: (M, 256, 256) over the input frame, numpy or torch; padding is left out.
        frame: Where the image lies in that frame.
        threshold: Threshold of the masks.
        offset: Distance of the two thresholds from it, in logits (SAM: 1).

    Returns:
        (M,) float32 in 0..1; 0 where both masks are empty.
    """
    scores = np.zeros(len(logits), np.float32)
    for start, content in _content(logits, frame):
        inner = _numpy((content > threshold + offset).sum((1, 2)))
        outer = _numpy((content > threshold - offset).sum((1, 2)))
        scores[start : start + len(inner)] = inner / np.maximum(outer, 1)
    return scores


def _content(logits: Logits, frame: Frame) -> Iterator[tuple[int, Any]]:
    rows, columns = content_cells(frame)
    for start in range(0, len(logits), _CHUNK):
        yield start, logits[start : start + _CHUNK, :rows, :columns]


def _numpy(values: Any) -> Any:
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()
