"""The mask under the mouse, before anything is clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightsam_napari.prompts import Prompts
from lightsam_plugins.errors import LightSamError

if TYPE_CHECKING:
    from lightsam_napari.controller import Controller
    from lightsam_napari.engine import Found
    from lightsam_napari.pixels import Picture


class Hover:
    """Asks for the object under the mouse, of all places the latest only.

    Args:
        controller: Which shows it.
        on: Whether it does so at the start.
    """

    def __init__(self, controller: Controller, on: bool) -> None:
        self._controller, self.on = controller, on
        self.found: Found | None = None  # what is shown; a click at its place takes it over

    def at(self, data: Sequence[float]) -> None:
        """Show what a click at data coordinates of the image would find, where nothing is prompted yet."""
        controller = self._controller
        if not self.on or controller.session is None:
            return
        try:
            shown = controller.picture()
        except LightSamError:
            return
        x, y = shown.plane.to_xy([data])[0]
        inside = 0 <= x <= shown.plane.shape[1] and 0 <= y <= shown.plane.shape[0]
        if not inside or controller.session.prompts.collect(shown.plane):
            self.stop()
            return
        controller.submit("hover", shown, Prompts(((float(x), float(y)),), (1,)), self._show)

    def toggle(self) -> None:
        """Show the mask under the mouse, or not."""
        self.on = not self.on
        self.stop()
        self._controller.changed.emit()

    def stop(self) -> None:
        """The mouse is elsewhere."""
        controller = self._controller
        controller.worker.cancel("hover")
        self.found = None
        if controller.candidate is None and controller.session is not None:
            controller.session.preview.hide()

    def _show(self, shown: Picture, found: Found) -> None:
        controller = self._controller
        if (
            controller.session is not None
            and controller.candidate is None
            and not controller.worker.busy("prompt")
        ):
            self.found = found
            controller.session.preview.show(found.crop, shown.plane)
