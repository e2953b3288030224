"""From FiftyOne's labels, in parts of the image, to prompts in its pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone.core.labels as fol
import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import PromptError

Array = npt.NDArray[Any]
_BOX, _CLICK, _MASK = "box_prompt_field", "point_prompt_field", "mask_prompt_field"
_KINDS = {_BOX: fol.Detection, _MASK: fol.Detection, _CLICK: fol.Keypoint}
SINGLE = (fol.Detection, fol.Keypoint)
_LISTS = {fol.Detections: "detections", fol.Keypoints: "keypoints"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What points at one object; coordinates are ``(x, y)`` in pixels of the image.

    Args:
        carried: Fields that the new label takes over.
        box: (4,) ``xyxy``, or None.
        points: (P, 2) clicks.
        labels: (P,) 1 foreground, 0 background.
        mask: (h, w) array that fills `box`, or None.
        usable: Whether it points at anything in the image; what does not keeps its row, without a mask.
    """

    carried: Mapping[str, Any]
    box: Any = None
    points: Array = field(default_factory=lambda: np.zeros((0, 2)))
    labels: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    mask: Any = None
    usable: bool = True


def read_prompts(fields: Mapping[str, Any], size: tuple[int, int], attributes: Iterable[str]) -> list[Prompt]:
    """One prompt an object, in the order of the labels.

    Args:
        fields: Value of each prompt field of a sample; one that is None or empty is left out.
        size: (height, width) of the image in pixels.
        attributes: Names of attributes to carry over, besides label, index, instance and tags.

    Raises:
        PromptError: Another kind of label, fields of different lengths, or clicks that do not fit their labels.
    """
    rows: dict[str, list[Any]] = {}
    for name, value in fields.items():
        if found := [] if value is None else _labels(name, value):
            generic = _CLICK if isinstance(found[0], fol.Keypoint) else _BOX
            rows[generic if name == "prompt_field" else name] = found
    if len({len(row) for row in rows.values()}) > 1:
        raise PromptError(
            "prompts are for different numbers of objects",
            expected="one label an object in each field",
            got=", ".join(f"{len(row)} in {name}" for name, row in rows.items()),
            hint="Boxes and clicks are paired in their order; apply the model to one field after the other.",
        )
    objects = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
    return [_prompt(labels, size, attributes) for labels in objects]


def _labels(name: str, value: Any) -> list[Any]:
    labels = list(value[_LISTS[type(value)]] or ()) if type(value) in _LISTS else [value]
    kinds = (_KINDS[name],) if name in _KINDS else SINGLE
    if not all(isinstance(label, kinds) for label in labels):
        wanted = " or ".join(f"{kind.__name__}s" for kind in kinds)
        raise PromptError(f"the field of {name} holds no prompts", expected=wanted, got=type(value).__name__)
    return labels


def _prompt(labels: Mapping[str, Any], size: tuple[int, int], attributes: Iterable[str]) -> Prompt:
    click, filled = labels.get(_CLICK), labels.get(_MASK)
    shape = labels.get(_BOX, filled)
    source: Any = shape or click
    names = ("label", "index", "instance", "tags", *attributes)
    carried = {name: source[name] for name in names if name in source and source[name] is not None}
    points, kinds = _points(click, size)
    box, mask, usable = None, None, len(points) > 0
    if shape is not None:
        x, y, width, height = shape.bounding_box or [np.nan] * 4
        box = np.array((x, y, x + width, y + height)) * (size[::-1] * 2)
        overlap = np.minimum(box[2:], size[::-1]) - np.maximum(box[:2], 0)
        usable = bool((overlap > 0).all())  # of NaN nothing is
    if filled is not None:
        mask = filled.get_mask()
        usable = usable and mask is not None and mask.size > 0
    return Prompt(carried=carried, box=box, points=points, labels=kinds, mask=mask, usable=usable)


def _points(keypoint: Any, size: tuple[int, int]) -> tuple[Array, Array]:
    """Clicks of a keypoint, the missing (NaN) ones left out, and their labels."""
    xy = np.asarray(keypoint.points if keypoint else [], np.float64).reshape(-1, 2) * size[::-1]
    given = [keypoint[name] for name in ("sam_labels", "sam2_labels") if keypoint and name in keypoint]
    kinds = next((value for value in given if value is not None), [1] * len(xy))
    if len(kinds) != len(xy):
        raise PromptError("sam_labels", expected=f"{len(xy)}, one a point", got=str(len(kinds)))
    seen = np.isfinite(xy).all(1)
    return xy[seen], np.asarray(kinds, np.int64)[seen]
