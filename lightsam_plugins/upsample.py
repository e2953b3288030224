"""From low-resolution logits to a mask of the original image, touching the mask's own box only.

Every pixel gets the value that SAM's official post-processing gives it (two bilinear steps, see
`interpolation`) and is compared with the threshold. A pixel's value does not depend on which others are
computed, so a crop equals the same part of a whole image bit for bit: the fast float32 arithmetic decides
wherever rounding cannot matter, and the few pixels nearer to the threshold than its error bound are computed
again in torch's exact order of operations.
"""

from __future__ import annotations

import threading
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lightsam_plugins.interpolation import Axis, Resampler, Taps, resampler
from lightsam_plugins.types import BoolArray, FloatArray, Frame

Crop: TypeAlias = tuple[int, int, BoolArray]  # x0, y0 and the mask inside its box

_BLOCK = 1 << 16  # float32 values a block: small enough for the second-level cache
# Rounding error of fast and exact arithmetic together, over the largest value: at most 31 roundings of 2**-24
# (cubic; linear 16).
_ROUNDING = 2.0**-19


def mask_crop(low: FloatArray, frame: Frame, threshold: float = 0.0, limit: FloatArray | None = None) -> Crop:
    """The mask of one object, inside its tight box in the original image.

    Args:
        low: (256, 256) float32 logits over the whole square input frame.
        frame: Where the image lies in that frame.
        threshold: A pixel belongs to the mask where its logit is greater.
        limit: (4,) ``xyxy`` in pixels of the original image: pixel (c, r) counts where x0 <= c < x1 and
            y0 <= r < y1.

    Returns:
        ``(x0, y0, mask)``, mask (h, w) bool; ``(0, 0, (0, 0) array)`` where nothing is above the threshold.
    """
    tables = resampler(frame)
    box = _reachable(low, tables, np.float32(threshold))
    if box is not None and limit is not None:
        box = _limited(box, limit)
    if box is None:
        return 0, 0, np.zeros((0, 0), bool)
    return tighten((box[0], box[1], mask_region(low, frame, threshold, box)))


def tighten(crop: Crop) -> Crop:
    """The same mask without empty rows and columns around it; ``(0, 0, (0, 0) array)`` if it is empty."""
    x0, y0, mask = crop
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, np.zeros((0, 0), bool)
    top, left = int(rows[0]), int(columns[0])
    tight = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return x0 + left, y0 + top, np.ascontiguousarray(tight)


def mask_region(low: FloatArray, frame: Frame, threshold: float, box: tuple[int, int, int, int]) -> BoolArray:
    """The mask inside a half-open ``(x0, y0, x1, y1)`` box of the original image: (y1 - y0, x1 - x0) bool."""
    tables, limit = resampler(frame), np.float32(threshold)
    x0, y0, x1, y1 = box
    mask = np.empty((y1 - y0, x1 - x0), bool)
    first_row, last_row, _ = _cut(tables.rows, y0, y1)
    first_column, last_column, column_steps = _cut(tables.columns, x0, x1)
    values = low[first_row:last_row, first_column:last_column]
    # fmax leaves NaN out; what is next to one is NaN itself, and NaN is not above a threshold.
    slack = np.float32(_ROUNDING * max(np.fmax.reduce(np.abs(values), axis=None), abs(limit)))
    with np.errstate(invalid="ignore", over="ignore"):
        values = _chain(values, column_steps, axis=1)
        height = max(1, _BLOCK // (x1 - x0))
        for top in range(y0, y1, height):
            bottom = min(top + height, y1)
            start, stop, row_steps = _cut(tables.rows, top, bottom)
            block = _chain(values[start - first_row : stop - first_row], row_steps, axis=0)
            above = np.greater(block, limit + slack, out=mask[top - y0 : bottom - y0])
            maybe = block > limit - slack
            if np.count_nonzero(maybe) != np.count_nonzero(above):
                y, x = np.divmod(np.flatnonzero(maybe != above), x1 - x0)
                above[y, x] = _exact(low, tables.rows, tables.columns, y + top, x + x0) > limit
    return mask


def _reachable(low: FloatArray, tables: Resampler, limit: np.float32) -> tuple[int, int, int, int] | None:
    """Half-open ``(x0, y0, x1, y1)`` in original pixels outside which no value exceeds `limit`, or None."""
    # Weights that add up to 1 but for rounding can lift a value just below the limit above it.
    floor = limit - np.abs(limit) * np.float32(2.0**-20)
    margin = tables.support // 2 if tables.overshoot else 0
    # What lies in the padding, beyond the last cell that a pixel reads, does not count.
    seen = low[: tables.rows[0].index[-1, -1] + 1, : tables.columns[0].index[-1, -1] + 1]
    likely = _highest(seen, margin, tables.overshoot) > floor
    rows, columns = np.flatnonzero(likely.any(1)), np.flatnonzero(likely.any(0))
    if not len(rows):
        return None
    y0, y1 = _reach(tables.rows, int(rows[0]) - margin, int(rows[-1]) + max(margin, 1))
    x0, x1 = _reach(tables.columns, int(columns[0]) - margin, int(columns[-1]) + max(margin, 1))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _limited(box: tuple[int, int, int, int], limit: FloatArray) -> tuple[int, int, int, int] | None:
    """The part of a box of pixels that lies inside `limit`, or None."""
    left, top, right, bottom = (int(side) for side in np.ceil(limit))
    x0, y0, x1, y1 = max(box[0], left), max(box[1], top), min(box[2], right), min(box[3], bottom)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _highest(low: FloatArray, margin: int, overshoot: float) -> FloatArray:
    """Upper bound of what the windows of samples can make: the samples themselves without overshoot.

    With a margin m, element (i, j) bounds the window of 2m x 2m samples that starts at (i - m, j - m).
    """
    if not overshoot:
        return low
    top = bottom = np.pad(low, margin, mode="edge")
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(top, 2 * margin, axis)
        top = windows.max(-1)
        bottom = np.lib.stride_tricks.sliding_window_view(bottom, 2 * margin, axis).min(-1)
    return top + np.float32(overshoot) * (top - bottom)


def _reach(axis: Axis, start: int, stop: int) -> tuple[int, int]:
    """Range of the final outputs that samples [start, stop) have a part in."""
    for taps in axis:
        start, stop = taps.reached(start, stop)
    return start, stop


def _cut(axis: Axis, start: int, stop: int) -> tuple[int, int, list[Taps]]:
    """What outputs [start, stop) need: the range of samples, and each resize based on its own input range."""
    steps: list[Taps] = []
    for taps in reversed(axis):
        start, stop, step = taps.cut(start, stop)
        steps.insert(0, step)
    return start, stop, steps


def _chain(values: FloatArray, steps: list[Taps], axis: int) -> FloatArray:
    """The resizes of one axis, one after the other. The result lies in memory that the next call reuses."""
    for number, taps in enumerate(steps):
        weight = taps.weight[:, :, None] if axis == 0 else taps.weight[:, None, :]
        shape = (taps.index.shape[1], values.shape[1]) if axis == 0 else (len(values), taps.index.shape[1])
        total, part = _scratch.array((axis, number), shape), _scratch.array((axis, "part"), shape)
        np.multiply(values.take(taps.index[0], axis, total, "clip"), weight[0], out=total)
        for index, factor in zip(taps.index[1:], weight[1:], strict=True):
            np.multiply(values.take(index, axis, part, "clip"), factor, out=part)
            total += part
        values = total
    return values


class _Scratch(threading.local):
    """Arrays kept from call to call: touching fresh memory takes longer than the arithmetic in it."""

    def __init__(self) -> None:
        self._kept: dict[object, FloatArray] = {}

    def array(self, key: object, shape: tuple[int, int]) -> FloatArray:
        """An uninitialised float32 array, the one `key` gave before where that is large enough."""
        size = shape[0] * shape[1]
        if size > 2 * _BLOCK:
            return np.empty(shape, np.float32)
        if key not in self._kept:
            self._kept[key] = np.empty(2 * _BLOCK, np.float32)
        return self._kept[key][:size].reshape(shape)


_scratch = _Scratch()


def _exact(
    low: FloatArray, rows: Axis, columns: Axis, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]
) -> FloatArray:
    """Values of the pixels (y, x), (n,) each, rounded as torch's CPU kernel rounds them.

    That kernel resizes both axes in one go, x inside y, and its compiler fuses multiplications and additions.
    """
    steps: list[tuple[FloatArray, FloatArray]] = []
    # Two more axes a step, the taps along y and x; what is read first ends up as the first two.
    for row, column in zip(reversed(rows), reversed(columns), strict=True):
        steps.append((row.weight[:, y], column.weight[:, x]))
        y, x = row.index[:, y][:, None], column.index[:, x][None]
    values: FloatArray = low[y, x]
    for row_weight, column_weight in reversed(steps):
        values = _fused_sum(values.swapaxes(0, 1), column_weight)
        values = _fused_sum(values, row_weight)
    return values


def _fused_sum(parts: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted sum over the first axis; weight has the shape of what is left, but for broadcasting."""
    # A float64 product of two float32 is exact, so that one rounding follows, as in a fused operation.
    wide = parts.astype(np.float64)
    total: FloatArray = (wide[0] * weight[0] + parts[1] * weight[1]).astype(np.float32)
    for part, factor in zip(wide[2:], weight[2:], strict=True):
        total = (part * factor + total).astype(np.float32)
    return total
