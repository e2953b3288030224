"""The two layers a user puts prompts into: clicks, and boxes, outlines and scribbles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers.base import ActionType
from psygnal import Signal

from lightsam_napari.layers import (
    BORDERS,
    COLOURS,
    NEGATIVE,
    POSITIVE,
    SYMBOLS,
    new_points,
    new_shapes,
    set_polarity,
)
from lightsam_napari.prompts import Prompts, along, corners

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Points, Shapes

    from lightsam_napari.planes import Coordinates, Plane

_DONE = {ActionType.ADDED, ActionType.REMOVED, ActionType.CHANGED}  # napari announces each edit before, too


@dataclass(frozen=True, slots=True)
class Drawn:
    """One shape: napari's type of it, its corners in data coordinates, and its polarity."""

    kind: str
    corners: tuple[tuple[float, ...], ...]
    polarity: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All prompts of all planes, in data coordinates; what undo goes back to."""

    points: tuple[tuple[float, ...], ...] = ()
    polarities: tuple[str, ...] = ()
    shapes: tuple[Drawn, ...] = ()

    def with_click(self, data: Sequence[float], polarity: str) -> Snapshot:
        """These and one click more, at data coordinates."""
        click = tuple(float(value) for value in data)
        return replace(self, points=(*self.points, click), polarities=(*self.polarities, polarity))


class PromptLayers:
    """Clicks and shapes over one image, made when they are first needed and again when they were deleted."""

    edited = Signal(description="A user added, moved or deleted a prompt.")
    opened = Signal(object, description="One of the two layers was made.")

    def __init__(self, viewer: ViewerModel, image: Image) -> None:
        self._viewer, self._image = viewer, image
        self.points: Points | None = None
        self.shapes: Shapes | None = None
        self._polarity = POSITIVE
        self._quiet = 0

    @property
    def polarity(self) -> str:
        """Of the next click or scribble."""
        return self._polarity

    @polarity.setter
    def polarity(self, polarity: str) -> None:
        self._polarity = polarity
        if self.points is not None:
            set_polarity(self.points, polarity)
        if self.shapes is not None:
            self.shapes.selected_data = set()
            self.shapes.feature_defaults = {"polarity": polarity}
            self.shapes.current_edge_color = COLOURS[polarity]

    def open_points(self) -> Points:
        """The layer of clicks, ready for the next one."""
        if self.points is None:
            self.points = self._add(new_points(self._image))
            self.polarity = self._polarity
        return self.points

    def open_shapes(self) -> Shapes:
        """The layer of boxes, outlines and scribbles."""
        if self.shapes is None:
            self.shapes = self._add(new_shapes(self._image))
            self.polarity = self._polarity
        return self.shapes

    def deselect(self) -> None:
        """Show a click that was just made in its colour: napari selects it, and highlights what is selected in blue."""
        if self.points is not None and self.points.mode == "add" and self.points.selected_data:
            self.points.selected_data = set()

    def forget(self, layer: Any) -> bool:
        """Let go of a layer that a user deleted; whether it was one of these."""
        mine = layer is not None and layer in (self.points, self.shapes)
        if mine:
            layer.events.data.disconnect(self._on_data)
            if layer == self.points:
                self.points = None
            else:
                self.shapes = None
        return mine

    def close(self) -> None:
        """Remove both layers."""
        for layer in (self.points, self.shapes):
            if layer is not None:
                self.forget(layer)
                with suppress(ValueError):  # it is gone already
                    self._viewer.layers.remove(layer)

    def snapshot(self) -> Snapshot:
        """All prompts there are."""
        points: tuple[tuple[float, ...], ...] = ()
        polarities: tuple[str, ...] = ()
        shapes: tuple[Drawn, ...] = ()
        if self.points is not None:
            points = tuple(map(tuple, self.points.data.tolist()))
            polarities = tuple(self.points.features["polarity"].fillna(POSITIVE))
        if self.shapes is not None:
            rows = zip(self.shapes.shape_type, self.shapes.data, self._polarities(), strict=True)
            shapes = tuple(Drawn(str(kind), tuple(map(tuple, c.tolist())), p) for kind, c, p in rows)
        return Snapshot(points, polarities, shapes)

    def restore(self, prompts: Snapshot) -> None:
        """Have exactly these prompts, and say nothing of it."""
        with self.quiet():
            self._end_drawing()
            now = self.snapshot()
            if (prompts.points, prompts.polarities) != (now.points, now.polarities):
                self._restore_points(prompts)
            if prompts.shapes != now.shapes:
                self._restore_shapes(prompts.shapes)

    def without(self, plane: Plane, prompts: Snapshot) -> Snapshot:
        """Those prompts that are not of a plane."""
        kept = [not plane.holds([point])[0] for point in prompts.points]
        return Snapshot(
            tuple(point for point, keep in zip(prompts.points, kept, strict=True) if keep),
            tuple(polarity for polarity, keep in zip(prompts.polarities, kept, strict=True) if keep),
            tuple(shape for shape in prompts.shapes if not plane.holds(shape.corners).all()),
        )

    def collect(self, plane: Plane, prompts: Snapshot | None = None) -> Prompts:
        """The prompts of one plane, of those there are or of others; of several boxes or outlines the last."""
        now = prompts or self.snapshot()
        points: list[tuple[float, float]] = []
        labels: list[int] = []
        for point, polarity in zip(now.points, now.polarities, strict=True):
            x, y = plane.to_xy([point])[0]
            if plane.holds([point])[0] and 0 <= x <= plane.shape[1] and 0 <= y <= plane.shape[0]:
                points.append((float(x), float(y)))
                labels.append(int(polarity != NEGATIVE))
        box, outline = None, None
        for shape in now.shapes:
            if not plane.holds(shape.corners).all():
                continue
            xy: Coordinates = plane.to_xy(shape.corners)
            if shape.kind in ("path", "line"):
                places = along(xy, plane.shape)
                points += places
                labels += [int(shape.polarity != NEGATIVE)] * len(places)
            elif (around := corners(xy, plane.shape)) is not None:
                box = around
                outline = tuple(map(tuple, xy.tolist())) if shape.kind == "polygon" and len(xy) > 2 else None
        return Prompts(tuple(points), tuple(labels), box, outline)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Edits that are no user's."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _restore_points(self, prompts: Snapshot) -> None:
        import pandas as pd

        layer = self.open_points()
        layer.selected_data = set()
        layer.data = np.reshape(np.array(prompts.points, float), (-1, self._image.ndim))
        layer.features = pd.DataFrame({"polarity": pd.Series(list(prompts.polarities), dtype=str)})
        if prompts.points:
            layer.face_color = [COLOURS[polarity] for polarity in prompts.polarities]
            layer.border_color = [BORDERS[polarity] for polarity in prompts.polarities]
            layer.symbol = [SYMBOLS[polarity] for polarity in prompts.polarities]
        set_polarity(layer, self._polarity)

    def _restore_shapes(self, shapes: tuple[Drawn, ...]) -> None:
        layer = self.open_shapes()
        layer.selected_data = set(range(len(layer.data)))
        layer.remove_selected()  # with `data = []` their features would stay
        for shape in shapes:
            layer.feature_defaults = {"polarity": shape.polarity}
            layer.add(
                np.array(shape.corners),
                shape_type=shape.kind,
                edge_color=COLOURS[shape.polarity],
                face_color="transparent",
            )
        self.polarity = self._polarity

    def _end_drawing(self) -> None:
        """Let napari finish a shape that is being drawn, which it does as the mode changes: it cannot be replaced."""
        layer = self.shapes
        if (
            layer is not None
            and layer == self._viewer.layers.selection.active
            and layer.mode.startswith("add")
        ):
            mode, layer.mode = layer.mode, "pan_zoom"
            layer.mode = mode

    def _polarities(self) -> list[str]:
        if self.shapes is None:
            return []
        return [value if value == NEGATIVE else POSITIVE for value in self.shapes.features["polarity"]]

    def _add(self, layer: Any) -> Any:
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active
        layer.events.data.connect(self._on_data)
        self.opened.emit(layer)
        return layer

    def _on_data(self, event: Any) -> None:
        if self._quiet or event.action not in _DONE:
            return
        layer = self.shapes
        if layer is not None and len(layer.features) > len(layer.data):
            # napari drops a line that is too short, but not its row, which would be that of the next line.
            layer.features = layer.features[: len(layer.data)]
            self.polarity = self._polarity  # which that made unknown
        self.edited.emit()
