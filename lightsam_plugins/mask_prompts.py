"""Masks of pixels as prompts: the logits that stand for a mask that no network made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import PromptError
from lightsam_plugins.types import LOW_RES, FloatArray, Frame
from lightsam_plugins.upsample import tighten

if TYPE_CHECKING:
    from lightsam_plugins.types import ArrayLike
    from lightsam_plugins.upsample import Crop

LEVEL = 8.0  # logit of a cell that lies inside the mask altogether; about what networks of the family answer


def mask_logits(mask: npt.NDArray[Any], box: ArrayLike, frame: Frame) -> FloatArray:
    """The `mask_input` that shows a network a mask which is known as pixels.

    Args:
        mask: (h, w) bool or 0/1, of any resolution; it fills `box`.
        box: ``xyxy`` in pixels of the image; what lies outside the input frame is left out.
        frame: The image, as in ``embedding.frame``.

    Returns:
        (256, 256) float32: +8 inside, -8 outside, in between where a cell is covered in part, so that 0 is half of it.

    Raises:
        PromptError: A mask of another shape or without pixels, or an empty box.
    """
    x0, y0, x1, y1 = np.asarray(box, np.float64)
    if np.ndim(mask) != 2 or 0 in np.shape(mask) or not (x0 < x1 and y0 < y1):
        raise PromptError(
            "a mask cannot be a prompt",
            expected="(h, w), not empty, and its box x0, y0, x1, y1",
            got=f"{np.shape(mask)} and {[float(x0), float(y0), float(x1), float(y1)]}",
        )
    cells = frame.to_input((x0, y0, x1, y1)) * (LOW_RES / frame.side)
    left, top = (int(low) for low in np.floor(cells[:2]))
    right, bottom = (
        max(int(high), low + 1) for high, low in zip(np.ceil(cells[2:]), (left, top), strict=True)
    )
    scale = np.asarray(np.shape(mask))[::-1] / (cells[2:] - cells[:2])
    # Where each edge of a cell falls in the mask, so that a cell is as sure as it is covered.
    columns = (np.arange(left, right + 1) - cells[0]) * scale[0]
    rows = (np.arange(top, bottom + 1) - cells[1]) * scale[1]
    covered = _bins(_bins(np.asarray(mask, np.float64), rows, 0), columns, 1) / (scale[0] * scale[1])
    shown = np.zeros((LOW_RES, LOW_RES))
    inside = np.s_[max(top, 0) : max(min(bottom, LOW_RES), 0), max(left, 0) : max(min(right, LOW_RES), 0)]
    shown[inside] = covered[max(-top, 0) :, max(-left, 0) :][
        : shown[inside].shape[0], : shown[inside].shape[1]
    ]
    logits: FloatArray = ((2 * shown - 1) * LEVEL).astype(np.float32)
    return logits


def crop_logits(crops: Sequence[Crop], frame: Frame) -> FloatArray:
    """The `mask_input` of masks in pixels of the image.

    Args:
        crops: N masks ``(x0, y0, mask)``, as of `Masks.crops`; one without pixels is negative everywhere.
        frame: The image, as in ``embedding.frame``.

    Returns:
        (N, 256, 256) float32.
    """
    logits = np.full((len(crops), LOW_RES, LOW_RES), -LEVEL, np.float32)
    for plane, crop in zip(logits, crops, strict=True):
        x0, y0, mask = tighten(crop)
        if mask.size:
            plane[:] = mask_logits(mask, (x0, y0, x0 + mask.shape[1], y0 + mask.shape[0]), frame)
    return logits


def rough_logits(masks: ArrayLike, frame: Frame) -> FloatArray:
    """Logits for `mask_input`, from whatever a user has: masks of pixels, or logits.

    Args:
        masks: (N, H, W) or (H, W) in pixels of the image, bool or numbers that are above 0 inside; or floats of
            (N, 256, 256) or (256, 256), which are taken for logits and returned as they are.
        frame: How the image lies in the input frame of the model.

    Returns:
        (N, 256, 256) float32.

    Raises:
        PromptError: Neither of the two.
    """
    if not isinstance(masks, np.ndarray) and (hasattr(masks, "mask") or hasattr(masks, "masks")):
        got = type(masks).__name__
        raise PromptError(
            "masks in an object", expected="an array", got=got, hint="Pass its .mask, or .masks.data."
        )
    try:
        array = np.asarray(masks.cpu() if hasattr(masks, "cpu") else masks)
    except (TypeError, ValueError) as error:
        raise PromptError(
            "masks are not an array",
            expected="masks of one size",
            got=str(error),
            hint="Pass them as an array.",
        ) from None
    dense = array[None] if array.ndim == 2 else array
    if array.dtype.kind == "f" and dense.shape[1:] == (LOW_RES, LOW_RES):
        return dense.astype(np.float32)
    if dense.ndim != 3 or dense.shape[1:] != (frame.height, frame.width) or array.dtype.kind not in "bifu":
        raise PromptError(
            "masks do not fit the image",
            expected=f"(N, {frame.height}, {frame.width}) bool, or (N, {LOW_RES}, {LOW_RES}) float logits",
            got=f"{array.shape} {array.dtype}",
            hint="Masks are in pixels of the original image, not of a resized one.",
        )
    return crop_logits([(0, 0, mask > 0) for mask in dense], frame)


def _bins(
    values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], axis: int
) -> npt.NDArray[np.float64]:
    """Sums of `values` between neighbouring edges along an axis, pixels cut by an edge counting in part."""
    sums = np.insert(np.cumsum(values, axis), 0, 0, axis)
    places = np.clip(edges, 0, values.shape[axis])
    low = np.minimum(places.astype(int), values.shape[axis] - 1)
    part = places - low
    shape = [1, 1]
    shape[axis] = -1
    before, after = np.take(sums, low, axis), np.take(sums, low + 1, axis)
    return np.diff(before + (after - before) * part.reshape(shape), axis=axis)
