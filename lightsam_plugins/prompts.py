"""From what a user passes, in pixels of the image, to a `PromptBatch` in the input frame of a model.

Every rule of the contract is checked here and in `prompt_arrays`, so networks never see a bad prompt.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from lightsam_plugins.errors import PromptError, UnsupportedPrompt
from lightsam_plugins.prompt_arrays import Clicks, first_row, read_boxes, read_clicks, read_masks
from lightsam_plugins.registry import MODELS
from lightsam_plugins.types import FloatArray, Frame, PromptBatch

if TYPE_CHECKING:
    from lightsam_plugins.registry import ModelSpec, Prompt
    from lightsam_plugins.types import ArrayLike

_TINY = 8  # pixels; in an image up to here coordinates within the first pixel may be meant
_KINDS: dict[Prompt, str] = {
    "point": "points",
    "negative_point": "background points (label 0)",
    "box": "boxes",
    "mask": "a mask input",
    "everything": "everything mode",
}


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
        points: (P, 2), one object, or (N, P, 2), N objects; ``(x, y)`` in pixels of the image; clipped to it
            where they lie a little outside (a tenth of the longer side, or 16 pixels).
        point_labels: (P,) or (N, P): 1 foreground (the default), 0 background, -1 padding. An object with clicks
            of label 0 alone is no error, but nothing points at it.
        mask_input: (N, 256, 256) or (256, 256) logits of an earlier answer.

    Returns:
        The prompts of N objects, on the CPU; N may be 0.

    Raises:
        PromptError: A wrong shape, value or number, more than the model takes, or no prompt at all.
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
    corners = None if boxes is None else read_boxes(boxes, frame)
    clicks = read_clicks(points, point_labels, frame)
    masks = None if mask_input is None else read_masks(mask_input)
    _warn_of_fractions(corners, clicks, frame)
    count = _count(corners, clicks, masks)
    clicks = _fit_clicks(clicks, count, alone=corners is None and masks is None)
    _require(spec, _kinds(corners, clicks, masks))
    _require_slots(spec, clicks, corner_count=0 if corners is None else 2)
    return PromptBatch(
        torch.from_numpy(frame.to_input(clicks.points)),
        torch.from_numpy(clicks.labels),
        None if corners is None else torch.from_numpy(frame.to_input(corners)),
        None if masks is None else torch.from_numpy(masks),
        bool((clicks.labels < 0).any()),
    )


def require_everything(spec: ModelSpec) -> None:
    """Raise `UnsupportedPrompt` where `spec` has no everything mode."""
    _require(spec, ["everything"])


def _count(corners: FloatArray | None, clicks: Clicks, masks: FloatArray | None) -> int:
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
            hint="points (P, 2) are ONE object, (N, P, 2) are N. After multimask=True pass masks.best().logits.",
        )
    return max(counts.values(), default=0)


def _fit_clicks(clicks: Clicks, count: int, *, alone: bool) -> Clicks:
    """Give every object its clicks; refuse an object that has no prompt whatsoever."""
    if clicks.free:
        return Clicks(np.empty((count, 0, 2), np.float32), np.empty((count, 0), np.int64))
    row = first_row((clicks.labels == -1).all(axis=1)) if alone and count else None
    if row is not None:
        raise PromptError(f"object {row} has no prompt", expected="at least one point whose label is not -1")
    return clicks


def _warn_of_fractions(corners: FloatArray | None, clicks: Clicks, frame: Frame) -> None:
    """Warn where coordinates look as if they were in 0..1: all of them are, some between, and the image is larger."""
    given = clicks.points[clicks.labels != -1].ravel()
    values = given if corners is None else np.concatenate([given, corners.ravel()])
    if max(frame.height, frame.width) > _TINY and (values <= 1).all() and (values % 1 != 0).any():
        warnings.warn(
            f"all coordinates lie in 0..1, in the first pixel of an image of {frame.width} x {frame.height}: "
            "they are in pixels, not in parts of the image. Multiply x by the width and y by the height.",
            UserWarning,
            stacklevel=4,  # the caller of Segmenter.segment
        )


def _kinds(corners: FloatArray | None, clicks: Clicks, masks: FloatArray | None) -> list[Prompt]:
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


def _require_slots(spec: ModelSpec, clicks: Clicks, *, corner_count: int) -> None:
    if spec.point_slots is None:
        return
    points = (clicks.labels != -1).sum(axis=1) + corner_count
    if (row := first_row(points > spec.point_slots)) is not None:
        able = sorted(name for name, other in MODELS.items() if other.point_slots is None)
        raise PromptError(
            f"object {row} has more points than {spec.name} takes",
            expected=f"at most {spec.point_slots}, a box counting as two",
            got=f"{points[row]}",
            hint=f"Leave some clicks out. Models without such a limit: {', '.join(able)}.",
        )
