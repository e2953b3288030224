"""The prompts of one object in one plane, as the layers hold them and as the core takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lightsam_plugins.outlines import outline_logits

if TYPE_CHECKING:
    from lightsam_napari.planes import Coordinates
    from lightsam_plugins.model_spec import ModelSpec
    from lightsam_plugins.types import Frame

Point = tuple[float, float]
SCRIBBLE_POINTS = 5  # clicks that stand for a scribble; a model may take six at most


@dataclass(frozen=True, slots=True)
class Prompts:
    """What points at one object; all in plane coordinates.

    Args:
        points: ``(x, y)`` of clicks and of places along scribbles.
        labels: 1 for "this", 0 for "not this", one a point.
        box: ``(x0, y0, x1, y1)`` of the box, or around the outline.
        outline: Corners of an outline drawn by hand.
    """

    points: tuple[Point, ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    outline: tuple[Point, ...] | None = None

    def __bool__(self) -> bool:
        """Whether something is pointed at; clicks of label 0 alone point at nothing."""
        return 1 in self.labels or self.box is not None

    def arguments(self, spec: ModelSpec, frame: Frame) -> dict[str, Any]:
        """The arguments of `Segmenter.segment`; an outline is a mask for models that take one, else its box."""
        given: dict[str, Any] = {}
        if self.points:
            given |= {"points": list(self.points), "point_labels": list(self.labels)}
        if self.box is not None:
            given["boxes"] = [self.box]
        if self.outline is not None and "mask" in spec.prompts:
            given["mask_input"] = outline_logits(self.outline, frame)[None]
        return given

    def record(self) -> dict[str, Any]:
        """Everything in a form that JSON can hold."""
        found = {"points": self.points, "labels": self.labels, "box": self.box, "outline": self.outline}
        return {name: _rounded(value) for name, value in found.items() if value}


def _rounded(value: Any) -> Any:
    return [_rounded(one) for one in value] if isinstance(value, tuple) else round(value, 2)


def corners(xy: Coordinates, shape: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """The box around some plane coordinates, inside a plane of that shape; None where nothing of it is."""
    x0, y0 = np.maximum(xy.min(0), 0)
    x1, y1 = np.minimum(xy.max(0), (shape[1], shape[0]))
    return (float(x0), float(y0), float(x1), float(y1)) if x1 - x0 >= 1 and y1 - y0 >= 1 else None


def along(path: Coordinates, shape: tuple[int, int]) -> list[Point]:
    """A few places along a scribble, at equal distances, those inside of a plane of that shape."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    length = np.concatenate([[0], np.cumsum(steps)])
    places = np.linspace(0, length[-1], SCRIBBLE_POINTS)
    x, y = (np.interp(places, length, path[:, axis]) for axis in (0, 1))
    inside = (x >= 0) & (y >= 0) & (x <= shape[1]) & (y <= shape[0])
    return [(float(a), float(b)) for a, b in zip(x[inside], y[inside], strict=True)]
