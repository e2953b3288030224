"""Interpolation tables: which samples an output sample is made of, and with which weights.

The numbers are those of ``torch.nn.functional.interpolate(..., align_corners=False)``, which the official
post-processing of SAM uses; computed once per frame and axis. One axis is a chain of resizes, because SAM
goes from 256 cells to the input frame, cuts the padding off, and goes from there to the original size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lightsam_plugins.types import LOW_RES, FloatArray, Frame

_CUBIC_A = -0.75  # torch's bicubic kernel


@dataclass(frozen=True, slots=True)
class Taps:
    """One resize along one axis; both arrays grow monotonically along their second axis' positions.

    Args:
        index: (T, n) input positions of the T samples that make each of n outputs, ascending in T and n.
        weight: (T, n) float32 weights, adding up to 1.
    """

    index: npt.NDArray[np.intp]
    weight: FloatArray

    def cut(self, start: int, stop: int) -> tuple[int, int, Taps]:
        """The table of outputs [start, stop) only: the range of inputs it reads, and itself based on it."""
        index = self.index[:, start:stop]
        first = int(index[0, 0])
        return first, int(index[-1, -1]) + 1, Taps(index - first, self.weight[:, start:stop])

    def reached(self, start: int, stop: int) -> tuple[int, int]:
        """Range [start, stop) of the outputs that read any of the inputs [start, stop)."""
        return int(np.searchsorted(self.index[-1], start)), int(np.searchsorted(self.index[0], stop))


Axis: TypeAlias = tuple[Taps, ...]


@dataclass(frozen=True, slots=True)
class Resampler:
    """How the low-resolution logits of a frame become pixels of the original image.

    Args:
        rows: Resizes along y, from the low resolution to the original.
        columns: Resizes along x.
        support: Samples a side that a resize reads: 2 (linear) or 4 (cubic).
        overshoot: How far a value can lie outside the range of the samples it is made of, as a part of
            that range.
    """

    rows: Axis
    columns: Axis
    support: int
    overshoot: float


def linear_taps(inputs: int, outputs: int) -> Taps:
    """Table of torch's ``bilinear`` along one axis, from `inputs` to `outputs` samples."""
    scale = np.float32(inputs) / np.float32(outputs)
    centre = scale * (np.arange(outputs, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    centre = np.maximum(centre, np.float32(0))
    low = np.minimum(centre.astype(np.intp), inputs - 1)
    weight = np.clip(centre - low.astype(np.float32), 0, 1)
    return Taps(np.stack([low, np.minimum(low + 1, inputs - 1)]), np.stack([np.float32(1) - weight, weight]))


def cubic_taps(inputs: int, outputs: int) -> Taps:
    """Table of torch's ``bicubic`` along one axis, from `inputs` to `outputs` samples."""
    scale = np.float64(np.float32(inputs) / np.float32(outputs))
    centre = (scale * (np.arange(outputs) + 0.5) - 0.5).astype(np.float32)  # torch's build fuses this
    low = np.minimum(np.floor(centre).astype(np.intp), inputs - 1)
    after = np.clip(centre - low.astype(np.float32), 0, 1)
    before = np.float32(1) - after
    weight = [_outer(after + 1), _inner(after), _inner(before), _outer(before + 1)]
    return Taps(np.clip(low + np.arange(-1, 3)[:, None], 0, inputs - 1), np.stack(weight))


def _inner(x: FloatArray) -> FloatArray:
    """Weight of a sample at distance x in [0, 1]."""
    a = np.float32(_CUBIC_A)
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _outer(x: FloatArray) -> FloatArray:
    """Weight of a sample at distance x in [1, 2]; torch's build fuses the first two steps, rounding once."""
    a, wide = _CUBIC_A, x.astype(np.float64)
    value = (a * wide - 5 * a).astype(np.float32)
    value = (value * wide + 8 * a).astype(np.float32)
    return value * x - np.float32(4 * a)


def _through_frame(frame: Frame, axis: int) -> Axis:
    """Cells to pixels of the frame, and the image content among these to the original, along y (0) or x (1).

    Positions nobody reads are left out.
    """
    seen, content, outputs = frame.canvas[axis], frame.resized[axis], (frame.height, frame.width)[axis]
    second = linear_taps(content, outputs)
    first, read = linear_taps(seen * LOW_RES // frame.side, seen), np.unique(second.index)
    start = frame.offset[1 - axis]
    first = Taps(first.index[:, start + read], first.weight[:, start + read])
    return first, Taps(np.searchsorted(read, second.index), second.weight)


@lru_cache(maxsize=64)
def resampler(frame: Frame) -> Resampler:
    """The tables of a frame: two bilinear steps (SAM, YOLO), or EfficientSAM's bicubic one for ``"stretch"``."""
    if frame.fit == "stretch":
        rows, columns = (cubic_taps(LOW_RES, size) for size in (frame.height, frame.width))
        negative = 0.1875  # the two outer weights of the kernel, at their largest
        return Resampler((rows,), (columns,), support=4, overshoot=2 * negative * (1 + negative))
    rows_and_columns = _through_frame(frame, 0), _through_frame(frame, 1)
    return Resampler(*rows_and_columns, support=2, overshoot=0.0)
