"""The tool that the mouse has, and what is drawn and moved by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from lightsam_napari.layers import POSITIVE
from lightsam_napari.prompt_layers import Drawn

if TYPE_CHECKING:
    from napari.layers import Points, Shapes

    from lightsam_napari.controller import Controller

Tool = Literal["click", "box", "polygon", "lasso", "scribble", "edit"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
_SHAPE_MODES: dict[Tool, str] = {
    "box": "add_rectangle",
    "polygon": "add_polygon",
    "lasso": "add_polygon_lasso",
    "scribble": "add_path",
}


class Mouse:
    """Chooses tools, and draws while a button is held."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.tool: Tool = "click"
        self.drags = False  # a box is drawn or a click moved by us, and the button not let go
        self.held = False  # the same of what napari draws

    def use(self, tool: Tool) -> None:
        """Make a tool the one that the mouse has: its layer becomes the active one."""
        session = self._controller.require_session()
        self.tool = tool
        if tool in _SHAPE_MODES:
            layer: Points | Shapes = session.prompts.open_shapes()
            layer.mode = _SHAPE_MODES[tool]
        else:
            layer = session.prompts.open_points()
            layer.mode = "add" if tool == "click" else "select"
        self._controller.viewer.layers.selection.active = layer
        self._controller.changed.emit()

    def has(self, tool: Tool) -> bool:
        """Whether the mouse has a tool: it was chosen, and its layer is the active one."""
        prompts = self._controller.session.prompts if self._controller.session else None
        layer = prompts and (prompts.shapes if tool in _SHAPE_MODES else prompts.points)
        return (
            self.tool == tool
            and layer is not None
            and self._controller.viewer.layers.selection.active == layer
        )

    def drag_box(self, start: Sequence[float], end: Sequence[float], *, last: bool) -> None:
        """Draw a box between two places in the world; the mask follows while it is drawn.

        Args:
            start: Where the mouse was pressed.
            end: Where it is.
            last: It is let go there.
        """
        controller = self._controller
        session, plane = controller.require_session(), controller.picture().plane
        world = [session.image.world_to_data(start), session.image.world_to_data(end)]
        (x0, y0), (x1, y1) = plane.to_xy(world)
        ring = plane.to_data([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        box = Drawn("rectangle", tuple(map(tuple, ring.tolist())), POSITIVE)
        session.prompts.restore(replace(session.seen, shapes=(*session.seen.shapes, box)))
        self.drags = not last
        if last:
            session.step()
        self._controller.refresh()

    def move_click(self, index: int, place: Sequence[float], *, last: bool) -> None:
        """Move a click to a place in the world; the mask follows while it is moved.

        Args:
            index: Row of the click in its layer.
            place: Where it is now.
            last: It is let go there.
        """
        session = self._controller.require_session()
        points = list(session.prompts.snapshot().points)
        points[index] = tuple(session.image.world_to_data(place).tolist())
        session.prompts.restore(replace(session.seen, points=tuple(points)))
        self.drags = not last
        if last:
            session.step()
        self._controller.refresh()
