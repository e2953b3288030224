"""OpenCV's bilinear resize of bytes, bit for bit, without OpenCV: what YOLO's networks were trained behind.

Unlike PIL's it does not average where it shrinks: each pixel is made of the four nearest ones. Its weights are whole
numbers of 1/2048, and it rounds between the two axes; that is all this arithmetic repeats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lightsam_plugins.pixel_values import UInt8Array

_ONE = 2048  # the weights' unit
_Ints = npt.NDArray[np.int32]


def resize_plain(image: UInt8Array, height: int, width: int) -> UInt8Array:
    """Resize as ``cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)`` does.

    Args:
        image: (H, W, 3) uint8.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        (height, width, 3) uint8.
    """
    if image.shape[:2] == (height, width):
        return image
    rows, row_weights = _taps(image.shape[0], height)
    columns, column_weights = _taps(image.shape[1], width)
    total = np.full((height, width, 3), 2, np.int32)  # a half of the last division by four
    for row, weight in zip(rows, row_weights, strict=True):
        lines = image.take(row, 0)
        part = lines.take(columns[0], 1).astype(np.int32)
        part *= column_weights[0][:, None]
        other = lines.take(columns[1], 1).astype(np.int32)
        other *= column_weights[1][:, None]
        part += other
        part >>= 4
        part *= weight[:, None, None]
        part >>= 16
        total += part
    total >>= 2
    return total.astype(np.uint8)


def _taps(inputs: int, outputs: int) -> tuple[npt.NDArray[np.intp], _Ints]:
    """The two samples (2, outputs) that make each output along one axis, and their weights in 1/2048."""
    centre = ((np.arange(outputs) + 0.5) * (inputs / outputs) - 0.5).astype(np.float32)
    low = np.floor(centre).astype(np.intp)
    after = centre - low.astype(np.float32)
    weights = np.stack([np.float32(1) - after, after]) * np.float32(_ONE)
    return np.clip(np.stack([low, low + 1]), 0, inputs - 1), np.rint(weights).astype(np.int32)
