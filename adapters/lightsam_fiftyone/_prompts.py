"""From FiftyOne's labels, in parts of the image, to prompts in its pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone.core.labels as fol
import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import PromptError

_KINDS = {
    "box_prompt_field": fol.Detection,
    "mask_prompt_field": fol.Detection,
    "point_prompt_field": fol.Keypoint,
}
_LISTS = {fol.Detections: "detections", fol.Keypoints: "keypoints"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What points at one object, and what its label hands down to the mask.

    Args:
        carried: Fields of the new label.
        box: (4,) ``xyxy`` in pixels of the image, or None.
        points: (P, 2) ``(x, y)`` in pixels of the image.
        labels: (P,) 1 foreground, 0 background.
        mask: (h, w) array that fills `box`, or None.
        usable: Whether it points at anything in the image; what does not keeps its row, without a mask.
    """

    carried: Mapping[str, Any]
    box: npt.NDArray[np.float64] | None = None
    points: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    mask: npt.NDArray[Any] | None = None
    usable: bool = True


def read_prompts(
    fields: Mapping[str, Any], size: tuple[int, int], attributes: Iterable[str] = ()
) -> list[Prompt]:
    """One prompt an object, in the order of the labels.

    Args:
        fields: Value of each prompt field of a sample; one that is None or empty is left out.
        size: (height, width) of the image in pixels.
        attributes: Names of attributes to carry over, besides label, index, instance and tags.

    Raises:
        PromptError: Another kind of label, fields of different lengths, or clicks and their labels that do not fit.
    """
    rows = {name: _labels(name, value) for name, value in fields.items() if value is not None}
    rows = {"point_prompt_field" if _clicks(name, row) else name: row for name, row in rows.items() if row}
    if len({len(row) for row in rows.values()}) > 1:
        raise PromptError(
            "prompts are for different numbers of objects",
            expected="one label an object in each field",
            got=", ".join(f"{len(row)} in {name}" for name, row in rows.items()),
            hint="Boxes and clicks are paired in their order; apply the model to one field after the other.",
        )
    count = len(next(iter(rows.values()), ()))
    return [_prompt({name: row[i] for name, row in rows.items()}, size, attributes) for i in range(count)]


def _labels(name: str, value: Any) -> list[Any]:
    labels = list(value[_LISTS[type(value)]] or ()) if type(value) in _LISTS else [value]
    kinds = (_KINDS[name],) if name in _KINDS else (fol.Detection, fol.Keypoint)
    if not all(isinstance(label, kinds) for label in labels):
        wanted = " or ".join(f"{kind.__name__}(s)" for kind in kinds)
        raise PromptError(f"{name} holds no prompts", expected=wanted, got=type(value).__name__)
    return labels


def _clicks(name: str, row: list[Any]) -> bool:
    return name == "prompt_field" and bool(row) and isinstance(row[0], fol.Keypoint)


def _prompt(labels: Mapping[str, Any], size: tuple[int, int], attributes: Iterable[str]) -> Prompt:
    shape = next((label for label in labels.values() if isinstance(label, fol.Detection)), None)
    click = labels.get("point_prompt_field")
    source = click if shape is None else shape
    names = ("label", "index", "instance", "tags", *attributes)
    carried = {name: source[name] for name in names if name in source and source[name] is not None}
    points, kinds = _points(click, size)
    usable, box, mask = len(points) > 0, None, None
    if shape is not None:
        box = _box(shape, size)
        height, width = size
        overlap = np.minimum(box[2:], (width, height)) - np.maximum(box[:2], 0)
        usable = bool((overlap > 0).all() and np.isfinite(box).all())
    if "mask_prompt_field" in labels:
        mask = labels["mask_prompt_field"].get_mask()
        usable = usable and mask is not None and 0 not in mask.shape
    return Prompt(carried=carried, box=box, points=points, labels=kinds, mask=mask, usable=usable)


def _box(detection: Any, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    x, y, width, height = detection.bounding_box or [np.nan] * 4
    return np.array((x, y, x + width, y + height)) * (size[::-1] * 2)


def _points(keypoint: Any, size: tuple[int, int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Clicks of a keypoint, the missing (NaN) ones left out, and their labels."""
    points = [] if keypoint is None else keypoint.points or []
    xy = np.asarray(points, np.float64).reshape(-1, 2) * size[::-1]
    given = [keypoint[name] for name in ("sam_labels", "sam2_labels") if keypoint and name in keypoint]
    kinds = next((value for value in given if value is not None), np.ones(len(xy)))
    if len(kinds) != len(xy):
        raise PromptError("sam_labels", expected=f"{len(xy)}, one a point", got=str(len(kinds)))
    seen = np.isfinite(xy).all(1)
    return xy[seen], np.asarray(kinds, np.int64)[seen]
