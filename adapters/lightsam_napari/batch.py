"""Many objects of a plane in one go: everything, or one for each shape or point of a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lightsam_napari import objects
from lightsam_plugins.errors import LightSamError

if TYPE_CHECKING:
    from napari.layers import Points, Shapes

    from lightsam_napari.controller import Controller
    from lightsam_napari.engine import Found
    from lightsam_napari.pixels import Picture
    from lightsam_napari.prompts import Prompts
    from lightsam_napari.session import Session
    from lightsam_napari.worker import Ticket


class Batch:
    """Jobs that take long, with progress; clicks are answered in between, and `Controller.cancel` stops them."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def everything(self) -> None:
        """Find and keep all objects of the plane."""
        self._start("everything", self._controller.engine.everything)

    def from_shapes(self, layer: Shapes) -> None:
        """Find and keep one object for each shape of a layer in the plane, by the box around it."""
        controller = self._controller
        self._from(layer, lambda plane: objects.boxes(layer, controller.require_session().image, plane.plane))

    def from_points(self, layer: Points) -> None:
        """Find and keep one object for each point of a layer in the plane."""
        controller = self._controller
        self._from(
            layer, lambda plane: objects.clicks(layer, controller.require_session().image, plane.plane)
        )

    def _from(self, layer: Points | Shapes, prompts_of: Callable[[Picture], list[Prompts]]) -> None:
        controller = self._controller
        shown = controller.shown()
        if shown is None:
            return
        prompts = prompts_of(shown)
        if not prompts:
            controller.message.emit(f"The layer {layer.name!r} has nothing in this plane.")
            return
        self._start(layer.name, lambda shown, ticket: controller.engine.several(shown, prompts, ticket))

    def _start(self, name: str, job: Callable[[Picture, Ticket], list[Found]]) -> None:
        controller = self._controller
        shown = controller.shown()
        if shown is None:
            return
        session = controller.require_session()

        def done(found: list[Found]) -> None:
            controller.busy.emit(name, 0, 0)
            self._keep(session, shown, found)

        controller.busy.emit(name, 0, 1)
        controller.worker.submit(
            "batch",
            lambda ticket: job(shown, ticket),
            done,
            controller.fail,
            lambda count, total: controller.busy.emit(name, count, total),
        )

    def _keep(self, session: Session, shown: Picture, found: list[Found]) -> None:
        controller = self._controller
        try:
            count = session.write(shown.plane, found, protect=controller.protect, clear=False)
        except LightSamError as error:
            controller.message.emit(str(error))
            return
        controller.message.emit(f"{count} objects.")
        controller.changed.emit()
