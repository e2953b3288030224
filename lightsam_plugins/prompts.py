"""From what a user passes (lists, arrays, tensors, in pixels of the image) to a `PromptBatch`.

Every rule of the contract is checked here, so networks never see a bad prompt. Rows are named in errors
as the user counts them: row i is object i.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from lightsam_plugins.errors import PromptError, UnsupportedPrompt
from lightsam_plugins.registry import MODELS
from lightsam_plugins.types import LOW_RES, FloatArray, Frame, PromptBatch

if TYPE_CHECKING:
    from lightsam_plugins.registry import ModelSpec, Prompt
    from lightsam_plugins.types import ArrayLike

IntArray = npt.NDArray[np.int64]
_KINDS: dict[Prompt, str] = {
    "point": "points",
    "negative_point": "background points (label 0)",
    "box": "boxes",
    "mask": "a mask input",
    "everything": "everything mode",
}


@dataclass(frozen=True, slots=True)
class _Clicks:
    """(N, P, 2) points in pixels of the image and their (N, P) labels; `free` fits any number of objects."""

    points: FloatArray
    labels: IntArray
    free: bool = False


def make_prompts(
    spec: ModelSpec,
    frame: Frame,
    *,
    boxes: ArrayLike | None = None,
    points: ArrayLike | None = None,
    point_labels: ArrayLike | None = None,
    mask_input: ArrayLike | None = None,
) -> PromptBatch:
    """Check the prompts of one image and express them in the input frame of its model.

    Args:
        spec: The model, for the kinds of prompt it takes.
        frame: The image the prompts are about.
        boxes: (N, 4) or (4,) ``xyxy`` in pixels of the image; clipped to it.
        points: (P, 2), one object, or (N, P, 2), N objects; ``(x, y)`` in pixels of the image; clipped to it.
        point_labels: (P,) or (N, P): 1 foreground (the default), 0 background, -1 padding.
        mask_input: (N, 256, 256) or (256, 256) logits of an earlier answer.

    Returns:
        The prompts of N objects, on the CPU; N may be 0.

    Raises:
        PromptError: A wrong shape, value or number, or no prompt at all.
        UnsupportedPrompt: The model was not trained to take this kind of prompt.
    """
    if boxes is None and points is None and mask_input is None:
        if point_labels is not None:
            raise PromptError("point_labels without points", hint="Pass points=[[x, y], ...] as well.")
        raise PromptError(
            "no prompt",
            expected="boxes, points or mask_input",
            hint="To segment without prompts call model.everything(image).",
        )
    corners = None if boxes is None else _boxes(boxes, frame)
    clicks = _clicks(points, point_labels, frame)
    masks = None if mask_input is None else _masks(mask_input)
    count = _count(corners, clicks, masks)
    clicks = _fit_clicks(clicks, count, alone=corners is None and masks is None)
    _require(spec, _kinds(corners, clicks, masks))
    return PromptBatch(
        torch.from_numpy(frame.to_input(clicks.points)),
        torch.from_numpy(clicks.labels),
        None if corners is None else torch.from_numpy(frame.to_input(corners)),
        None if masks is None else torch.from_numpy(masks),
    )


def require_everything(spec: ModelSpec) -> None:
    """Raise `UnsupportedPrompt` where `spec` has no everything mode."""
    _require(spec, ["everything"])


def _array(value: ArrayLike, name: str) -> npt.NDArray[Any]:
    if isinstance(value, torch.Tensor):
        # numpy has no bfloat16, and bool must stay bool.
        value = (value.detach().float() if value.is_floating_point() else value.detach()).cpu().numpy()
    hint = "Objects with fewer clicks are padded with label -1." if name.startswith("point") else None
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "bifu" and array.size:
            raise TypeError(f"dtype {array.dtype}")
        return array
    except (ValueError, TypeError) as error:
        raise PromptError(
            f"{name} is not an array of numbers", expected="rows of equal length", got=str(error), hint=hint
        ) from None


def _row(mask: npt.NDArray[np.bool_]) -> int | None:
    """Index of the first object with a True anywhere, or None."""
    rows = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1)) if len(mask) else np.empty(0, np.intp)
    return int(rows[0]) if rows.size else None


def _boxes(value: ArrayLike, frame: Frame) -> FloatArray:
    array = _array(value, "boxes")
    if array.shape in ((0,), (4,)):
        array = array.reshape(-1, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise PromptError(
            "boxes have the wrong shape",
            expected="(N, 4) or (4,): x0, y0, x1, y1 in pixels",
            got=f"{array.shape}",
        )
    corners = array.astype(np.float64)
    if (row := _row(~np.isfinite(corners))) is not None:
        raise PromptError(f"box {row} holds NaN or infinity", got=f"{corners[row].tolist()}")
    if (row := _row(corners[:, 2:] <= corners[:, :2])) is not None:
        raise PromptError(
            f"box {row} is empty or inverted",
            expected="x0 < x1 and y0 < y1",
            got=f"{corners[row].tolist()}",
            hint="Boxes are x0, y0, x1, y1, not x, y, width, height.",
        )
    limit = (frame.width, frame.height) * 2
    clipped = np.clip(corners, 0, limit)
    if (row := _row(clipped[:, 2:] <= clipped[:, :2])) is not None:
        raise PromptError(
            f"box {row} lies outside the image",
            expected=f"an overlap with x 0..{frame.width}, y 0..{frame.height}",
            got=f"{corners[row].tolist()}",
        )
    return clipped.astype(np.float32)


def _clicks(points: ArrayLike | None, labels: ArrayLike | None, frame: Frame) -> _Clicks:
    if points is None:
        if labels is not None:
            raise PromptError("point_labels without points", hint="Pass points=[[x, y], ...] as well.")
        return _Clicks(np.empty((0, 0, 2), np.float32), np.empty((0, 0), np.int64), free=True)
    xy = _array(points, "points")
    if xy.shape == (0,):
        xy = xy.reshape(0, 2)
    if xy.ndim not in (2, 3) or xy.shape[-1] != 2:
        raise PromptError(
            "points have the wrong shape",
            expected="(P, 2) for one object or (N, P, 2) for N objects",
            got=f"{xy.shape}",
            hint="A single click is [[x, y]]." if xy.shape == (2,) else None,
        )
    kinds = _labels(labels, xy.shape[:-1])
    if xy.ndim == 2:
        # No click at all, (0, 2), says nothing about the number of objects.
        xy, kinds, free = xy[None], kinds[None], len(xy) == 0
    else:
        free = False
    padding = kinds == -1
    xy = np.where(padding[..., None], 0.0, xy.astype(np.float64))
    if (row := _row(~np.isfinite(xy))) is not None:
        raise PromptError(f"points of object {row} hold NaN or infinity", got=f"{xy[row].tolist()}")
    clipped = np.clip(xy, 0, (frame.width, frame.height)).astype(np.float32)
    return _Clicks(clipped, kinds, free)


def _labels(labels: ArrayLike | None, shape: tuple[int, ...]) -> IntArray:
    if labels is None:
        return np.ones(shape, np.int64)
    array = _array(labels, "point_labels")
    if array.shape != shape:
        raise PromptError(
            "point_labels do not match points",
            expected=f"shape {shape}, one label a point",
            got=f"{array.shape}",
        )
    if (row := _row(~np.isin(array, (-1, 0, 1)))) is not None:
        name = f"point {row}" if array.ndim == 1 else f"object {row}"
        raise PromptError(
            f"unknown label at {name}",
            expected="1 (foreground), 0 (background) or -1 (padding)",
            got=f"{array[row].tolist()}",
            hint="The corners of a box go into boxes=." if np.isin(array[row], (2, 3)).any() else None,
        )
    return array.astype(np.int64)


def _masks(value: ArrayLike) -> FloatArray:
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
    logits = np.ascontiguousarray(array, np.float32)
    if (row := _row(~np.isfinite(logits))) is not None:
        raise PromptError(f"mask_input {row} holds NaN or infinity")
    return logits


def _count(corners: FloatArray | None, clicks: _Clicks, masks: FloatArray | None) -> int:
    counts = {} if corners is None else {"boxes": len(corners)}
    if not clicks.free:
        counts["points"] = len(clicks.points)
    if masks is not None:
        counts["mask_input"] = len(masks)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} for {count}" for name, count in counts.items())
        raise PromptError(
            "prompts are for different numbers of objects",
            expected="one row an object in each",
            got=listed,
            hint="points (P, 2) are ONE object; N objects are (N, P, 2). After multimask=True pass masks.best().",
        )
    return max(counts.values(), default=0)


def _fit_clicks(clicks: _Clicks, count: int, *, alone: bool) -> _Clicks:
    """Give every object its clicks; refuse an object that has no prompt whatsoever."""
    if clicks.free:
        return _Clicks(np.empty((count, 0, 2), np.float32), np.empty((count, 0), np.int64))
    row = _row((clicks.labels == -1).all(axis=1)) if alone and count else None
    if row is not None:
        raise PromptError(
            f"object {row} has no prompt", expected="at least one point whose label is not -1"
        )
    return clicks


def _kinds(corners: FloatArray | None, clicks: _Clicks, masks: FloatArray | None) -> list[Prompt]:
    used: dict[Prompt, bool] = {
        "box": corners is not None,
        "point": bool((clicks.labels == 1).any()),
        "negative_point": bool((clicks.labels == 0).any()),
        "mask": masks is not None,
    }
    return [kind for kind, is_used in used.items() if is_used]


def _require(spec: ModelSpec, kinds: list[Prompt]) -> None:
    for kind in kinds:
        if kind not in spec.prompts:
            able = sorted(name for name, other in MODELS.items() if kind in other.prompts)
            takes = [_KINDS[known] for known in _KINDS if known in spec.prompts]
            raise UnsupportedPrompt(
                f"{spec.name} does not take {_KINDS[kind]}",
                expected=" or ".join(takes),
                hint=f"Models that do: {', '.join(able)}." if able else "No registered model does.",
            )
