"""Boxes, clicks and masks as a user writes them (lists, arrays, tensors), checked one by one.

Rows are named in errors as the user counts them: row i is object i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from lightsam_plugins.errors import PromptError
from lightsam_plugins.types import LOW_RES, BoolArray, FloatArray

if TYPE_CHECKING:
    from lightsam_plugins.types import ArrayLike, Frame

IntArray = npt.NDArray[np.int64]

# A click this near to the image is meant for it and is clipped: a part of the longer side, and at least so many pixels.
_NEAR, _NEAR_PIXELS = 0.1, 16
_LABELS = "1 (foreground), 0 (background) or -1 (padding)"


@dataclass(frozen=True, slots=True)
class Clicks:
    """(N, P, 2) points in pixels of the image and their (N, P) labels; `free` fits any number of objects."""

    points: npt.NDArray[np.floating]
    labels: IntArray
    free: bool = False


def _array(value: ArrayLike, name: str) -> npt.NDArray[Any]:
    if isinstance(value, torch.Tensor):
        # numpy has no bfloat16, and bool must stay bool.
        value = (value.detach().float() if value.is_floating_point() else value.detach()).cpu().numpy()
    hint = (
        "Objects with fewer clicks are padded with label -1."
        if name.startswith("point")
        else "Pass a list of rows, an array or a tensor."
    )
    expected = f"the numbers {_LABELS}" if name == "point_labels" else "rows of equal length"
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "bifu" and array.size:
            raise TypeError(f"dtype {array.dtype}")
        return array
    except (ValueError, TypeError) as error:
        what = f"{name} is not an array of numbers"
        raise PromptError(what, expected=expected, got=str(error), hint=hint) from None


def first_row(mask: BoolArray) -> int | None:
    """Index of the first object with a True anywhere, or None."""
    rows = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1)) if len(mask) else np.empty(0, np.intp)
    return int(rows[0]) if rows.size else None


def check_boxes(value: ArrayLike, *, empty: bool = False) -> npt.NDArray[np.float64]:
    """Check what can be told of boxes without their image: (N, 4) float64 ``xyxy``; `empty` ones may be allowed."""
    if inside := next((name for name in ("xyxy", "boxes") if hasattr(value, name)), None):
        got = type(value).__name__
        raise PromptError("boxes in an object", expected="(N, 4)", got=got, hint=f"Pass its .{inside}.")
    array = _array(value, "boxes")
    if array.shape in ((0,), (4,)):
        array = array.reshape(-1, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise PromptError(
            "boxes have the wrong shape",
            expected="(N, 4) or (4,): x0, y0, x1, y1 in pixels",
            got=f"{array.shape}",
            hint="Give four numbers a box.",
        )
    corners = array.astype(np.float64)
    if (row := first_row(~np.isfinite(corners))) is not None:
        raise PromptError(
            f"box {row} holds NaN or infinity",
            expected="four finite numbers",
            got=f"{corners[row].tolist()}",
            hint="Leave the object out, or find where the number comes from.",
        )
    wrong = corners[:, 2:] < corners[:, :2] if empty else corners[:, 2:] <= corners[:, :2]
    if (row := first_row(wrong)) is not None:
        raise PromptError(
            f"box {row} is {'' if empty else 'empty or '}inverted",
            expected="x0 <= x1 and y0 <= y1" if empty else "x0 < x1 and y0 < y1",
            got=f"{corners[row].tolist()}",
            hint="Boxes are x0, y0, x1, y1, not x, y, width, height.",
        )
    return corners


def read_boxes(value: ArrayLike, frame: Frame) -> FloatArray:
    """Check boxes and clip them to the image: (N, 4) float32 ``xyxy`` in pixels of the image."""
    corners = check_boxes(value)
    limit = (frame.width, frame.height) * 2
    clipped = np.clip(corners, 0, limit)
    if (row := first_row(clipped[:, 2:] <= clipped[:, :2])) is not None:
        raise PromptError(
            f"box {row} lies outside the image",
            expected=f"an overlap with x 0..{frame.width}, y 0..{frame.height}",
            got=f"{corners[row].tolist()}",
            hint="Boxes are in pixels of the original image, not of a resized one or in 0..1.",
        )
    return clipped.astype(np.float32)


def check_clicks(points: ArrayLike | None, labels: ArrayLike | None) -> Clicks:
    """Check what can be told of points and their labels without their image; what is padded lies at (0, 0)."""
    if points is None:
        if labels is not None:
            raise PromptError("point_labels without points", hint="Pass points=[[x, y], ...] as well.")
        return Clicks(np.empty((0, 0, 2), np.float32), np.empty((0, 0), np.int64), free=True)
    xy = _array(points, "points")
    if xy.shape == (0,):
        xy = xy.reshape(0, 2)
    if xy.ndim not in (2, 3) or xy.shape[-1] != 2:
        raise PromptError(
            "points have the wrong shape",
            expected="(P, 2) for one object or (N, P, 2) for N objects",
            got=f"{xy.shape}",
            hint="A single click is [[x, y]].",
        )
    kinds = _labels(labels, xy.shape[:-1])
    if xy.ndim == 2:
        # No click at all, (0, 2), says nothing about the number of objects.
        xy, kinds, free = xy[None], kinds[None], len(xy) == 0
    else:
        free = False
    padding = kinds == -1
    xy = np.where(padding[..., None], 0.0, xy.astype(np.float64))
    if (row := first_row(~np.isfinite(xy))) is not None:
        raise PromptError(
            f"points of object {row} hold NaN or infinity",
            expected="finite numbers",
            got=f"{xy[row].tolist()}",
            hint="Places that hold no click are marked by label -1.",
        )
    return Clicks(xy, kinds, free)


def read_clicks(points: ArrayLike | None, labels: ArrayLike | None, frame: Frame) -> Clicks:
    """Check points with their labels and clip those near the image to it; what is padded lies at (0, 0)."""
    clicks = check_clicks(points, labels)
    xy = clicks.points
    clipped = np.clip(xy, 0, (frame.width, frame.height))
    reach = max(_NEAR_PIXELS, round(_NEAR * max(frame.width, frame.height)))
    if (row := first_row(far := (np.abs(xy - clipped) > reach).any(axis=-1))) is not None:
        raise PromptError(
            f"a click of object {row} lies outside the image",
            expected=f"x 0..{frame.width}, y 0..{frame.height}, or at most {reach} pixels from there",
            got=f"{xy[row][far[row]][0].tolist()}",
            hint="Clicks are in pixels of the original image, not of a resized one.",
        )
    return Clicks(clipped.astype(np.float32), clicks.labels, clicks.free)


def _labels(labels: ArrayLike | None, shape: tuple[int, ...]) -> IntArray:
    if labels is None:
        return np.ones(shape, np.int64)
    array = _array(labels, "point_labels")
    if array.shape != shape:
        raise PromptError(
            "point_labels do not match points",
            expected=f"shape {shape}, one label a point",
            got=f"{array.shape}",
            hint="Objects with fewer clicks are padded with label -1.",
        )
    if (row := first_row(~np.isin(array, (-1, 0, 1)))) is not None:
        name = f"point {row}" if array.ndim == 1 else f"object {row}"
        raise PromptError(
            f"unknown label at {name}",
            expected=_LABELS,
            got=f"{array[row].tolist()}",
            hint="The corners of a box (labels 2 and 3 elsewhere) go into boxes=.",
        )
    return array.astype(np.int64)


def pad_clicks(
    points: Sequence[npt.NDArray[Any]], labels: Sequence[npt.NDArray[Any]]
) -> tuple[FloatArray, IntArray]:
    """Clicks of objects that have different numbers of them, in the form that `Segmenter.segment` takes.

    Args:
        points: (P, 2) of each object; P may be 0.
        labels: (P,) of each object.

    Returns:
        (N, P, 2) float32 points and (N, P) int64 labels, P the largest number; what is padded has label -1.
    """
    most = max((len(one) for one in points), default=0)
    xy, kinds = np.zeros((len(points), most, 2), np.float32), np.full((len(points), most), -1, np.int64)
    for row, (some, their) in enumerate(zip(points, labels, strict=True)):
        xy[row, : len(some)], kinds[row, : len(some)] = some, their
    return xy, kinds


def read_masks(value: ArrayLike) -> FloatArray:
    """Check mask logits: (N, 256, 256) float32, a copy."""
    if hasattr(value, "logits"):
        raise PromptError(
            "mask_input is an answer, not its logits",
            expected=f"(N, {LOW_RES}, {LOW_RES}) float logits",
            got=type(value).__name__,
            hint="Pass its .logits: mask_input=masks.logits; after multimask=True masks.best().logits.",
        )
    array = _array(value, "mask_input")
    if array.shape == (LOW_RES, LOW_RES):
        array = array[None]
    if array.ndim != 3 or array.shape[1:] != (LOW_RES, LOW_RES) or array.dtype == np.bool_:
        raise PromptError(
            "mask_input is no low-resolution mask",
            expected=f"(N, {LOW_RES}, {LOW_RES}) float logits",
            got=f"{array.shape} {array.dtype}",
            hint="Pass the .logits of an earlier answer.",
        )
    with np.errstate(over="ignore"):  # beyond float32 is infinity, which is refused below
        logits = np.array(array, np.float32)
    if (row := first_row(~np.isfinite(logits))) is not None:
        raise PromptError(
            f"mask_input {row} holds NaN or infinity",
            expected="finite logits",
            hint="Pass the .logits of an earlier answer.",
        )
    return logits
