"""What the mouse does in the layer of clicks, and the keys; none needs a middle button or a wheel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points

from lightsam_napari.layers import NEGATIVE, set_polarity

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Shapes

    from lightsam_napari.controller import Controller

_STILL = 5  # pixels of the screen that the mouse may move in a click, as in napari

# Keys that no layer of napari has; name, what it does, and the method of the controller.
KEYS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("N", "keep it, go on", lambda controller: controller.commit()),
    ("Q", "clear the prompts", lambda controller: controller.discard()),
    ("W", "next: this / not this", lambda controller: controller.flip_polarity()),
    ("G", "another size of mask", lambda controller: controller.cycle_granularity()),
    ("U", "undo", lambda controller: controller.undo()),
    ("Shift-U", "redo", lambda controller: controller.redo()),
    ("H", "preview on / off", lambda controller: controller.hover.toggle()),
    ("K", "stop the model", lambda controller: controller.cancel()),
)
MOUSE = (
    ("click", "this is the object"),
    ("Ctrl/Alt+click", "not this"),
    ("Shift+drag", "a box around it"),
    ("drag a click", "moves it"),
    ("drag beside", "moves the view"),
)


def bind_keys(viewer: ViewerModel, controller: Controller) -> Callable[[], None]:
    """Bind the keys in a viewer.

    Returns:
        Takes them back.
    """
    for key, _, action in KEYS:
        viewer.bind_key(key, _key(controller, action), overwrite=True)

    def unbind() -> None:
        for key, _, _ in KEYS:
            viewer.bind_key(key, None)

    return unbind


def attach(controller: Controller, layer: Points | Shapes) -> None:
    """Give a layer of prompts its gestures, and the keys that are usual for them."""
    layer.bind_key("Control-Z", _key(controller, lambda c: c.undo()), overwrite=True)
    layer.bind_key("Control-Shift-Z", _key(controller, lambda c: c.redo()), overwrite=True)
    if isinstance(layer, Points):
        layer.bind_key("Enter", _key(controller, lambda c: c.commit()), overwrite=True)
        layer.mouse_drag_callbacks.append(lambda points, event: _press(controller, points, event))
        layer.mouse_move_callbacks.append(lambda points, event: _move(controller, event))
    else:
        layer.mouse_drag_callbacks.append(lambda _, event: _hold(controller, event))


def _key(controller: Controller, action: Callable[[Any], Any]) -> Callable[[Any], None]:
    def pressed(_: Any) -> None:
        busy = controller.mouse.held or controller.mouse.drags  # what is drawn cannot be replaced
        if controller.session is not None and not busy:
            action(controller)

    return pressed


def _hold(controller: Controller, event: Any) -> Iterator[None]:
    controller.mouse.held = True
    yield
    while event.type == "mouse_move":
        yield
    controller.mouse.held = False


def _move(controller: Controller, event: Any) -> None:
    if controller.image is not None and not event.is_dragging:
        controller.hover.at(controller.image.world_to_data(event.position))


def _press(controller: Controller, layer: Points, event: Any) -> Iterator[None]:
    """A click is napari's own; before it, its polarity is set. A drag with Shift is a box, one on a click moves it."""
    flat = controller.viewer.dims.ndisplay == 2
    if layer.mode != "add" or event.button not in (1, None) or controller.session is None or not flat:
        return
    modifiers = event.modifiers  # keys of vispy, which equal their names
    taken_away = "Control" in modifiers or "Alt" in modifiers
    polarity = NEGATIVE if taken_away else controller.polarity
    controller.extend_next = controller.one_click and (taken_away or "Shift" in modifiers)
    start, start_pos = event.position, np.array(event.pos)
    grabbed = layer.get_value(start, world=True)
    if "Shift" not in modifiers and grabbed is None and not controller.extend_next:
        controller.hover.pressed(layer.world_to_data(start), polarity)
    set_polarity(layer, polarity)
    dragged = False

    def drag(last: bool) -> None:
        if "Shift" in modifiers:
            controller.mouse.drag_box(start, event.position, last=last)
        elif grabbed is not None:
            controller.mouse.move_click(int(grabbed), event.position, last=last)

    yield
    while event.type == "mouse_move":
        moving = "Shift" in modifiers or grabbed is not None
        if moving and np.linalg.norm(start_pos - event.pos) >= _STILL:
            dragged = event.handled = True  # the camera stays
            drag(last=False)
        yield
    if dragged:
        controller.extend_next = False
        drag(last=True)
