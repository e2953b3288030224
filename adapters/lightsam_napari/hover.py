"""The mask under the mouse, before anything is clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightsam_napari.layers import POSITIVE
from lightsam_plugins.errors import LightSamError

if TYPE_CHECKING:
    from lightsam_napari.controller import Controller
    from lightsam_napari.engine import Found
    from lightsam_napari.pixels import Picture
    from lightsam_napari.planes import Plane
    from lightsam_plugins.upsample import Crop

SPAN = 0.98  # of the height and the width of a plane
PRESS = 0.03  # seconds; `nano` takes 12 ms


class Hover:
    """Asks for the object under the mouse, of all places the latest only.

    Args:
        controller: Which shows it.
        on: Whether it does so at the start.
    """

    def __init__(self, controller: Controller, on: bool) -> None:
        self._controller, self.on = controller, on
        self._quick = True  # the last answer that was waited for came in time

    def at(self, data: Sequence[float]) -> None:
        """Show what a click at data coordinates of the image would find, where nothing is prompted yet."""
        if self.on and self._ask(data, POSITIVE) and self._quick:
            self._wait()

    def pressed(self, data: Sequence[float], polarity: str) -> None:
        """Find what a click will ask for while the button is still held.

        The window stands still for it, see `_wait`.
        """
        if self._ask(data, polarity, click=True):
            self._wait()

    def toggle(self) -> None:
        """Show the mask under the mouse, or not."""
        self.on = not self.on
        self.stop()
        self._controller.changed.emit()

    def stop(self) -> None:
        """The mouse is elsewhere."""
        controller = self._controller
        controller.worker.cancel("hover")
        if controller.candidate is None and controller.session is not None:
            controller.session.preview.hide()

    def _wait(self) -> None:
        """Let the window stand still for an answer, `PRESS` at most.

        Model and window take turns in Python, so that side by side both are slower, and a frame without the mask would
        be drawn in between. The mouse waits at its moves only while the model is quick enough for it; see `at`.
        """
        worker = self._controller.worker
        if not worker.busy("prompt", "encode", "batch"):
            self._quick = worker.wait("hover", PRESS)

    def _ask(self, data: Sequence[float], polarity: str, *, click: bool = False) -> bool:
        """Ask the model; whether it can answer at once, as it has read the plane."""
        controller = self._controller
        if (session := controller.session) is None:
            return False
        try:
            shown = controller.picture()
        except LightSamError:
            return False
        x, y = shown.plane.to_xy([data])[0]
        inside = 0 <= x <= shown.plane.shape[1] and 0 <= y <= shown.plane.shape[0]
        before = session.prompts.snapshot()
        first = not session.prompts.collect(shown.plane, before)
        prompts = session.prompts.collect(shown.plane, before.with_click(data, polarity))
        if inside and prompts and (first or click):
            controller.submit("hover", shown, prompts, self._show if first and self.on else _keep)
            return controller.engine.holds(shown)
        if not click:
            self.stop()
        return False

    def _show(self, shown: Picture, found: Found) -> None:
        controller = self._controller
        if (
            controller.session is not None
            and controller.candidate is None
            and not controller.worker.busy("prompt")
        ):
            if is_ground(found.crop, shown.plane):
                controller.session.preview.hide()
            else:
                controller.session.preview.show(found.crop, shown.plane)


def is_ground(crop: Crop, plane: Plane) -> bool:
    """Whether a mask spans its plane or covers most of it: a flash of colour under the mouse."""
    height, width = plane.shape
    return spans(crop, plane.shape) or 2 * int(crop[2].sum()) > height * width


def spans(crop: Crop, shape: tuple[int, int]) -> bool:
    """Whether a mask reaches all four sides of its plane, or nearly so: it is the ground that objects lie on."""
    return all(side >= SPAN * whole for side, whole in zip(crop[2].shape, shape, strict=True))


def _keep(_shown: Picture, _found: Found) -> None:
    """The engine remembers it."""
