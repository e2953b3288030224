"""A controller without a window, whose results are delivered by hand."""

import functools
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from discs import MIDDLE, look_at, stack
from napari.components import ViewerModel

import lightsam_plugins as ls
from lightsam_napari.controller import Controller
from lightsam_napari.preferences import Preferences


@functools.cache
def nano() -> ls.Segmenter:
    """The model, loaded once for all tests; how a controller loads its own is tested in `test_models.py`."""
    model = ls.load("nano", device="cpu")
    # A quarter of the clicks is enough to find two discs, and as many steps as ever to stop between.
    vars(model)["everything"] = functools.partial(model.everything, points_per_side=16, points_per_batch=16)
    return model


class Bench:
    """A controller on a viewer model; `settle` plays the event loop of the window."""

    def __init__(self, viewer: ViewerModel, preferences: Preferences | None = None) -> None:
        self.calls: queue.Queue[Callable[[], None]] = queue.Queue()
        self.viewer = viewer
        self.controller = Controller(viewer, self.calls.put, preferences or Preferences(device="cpu"))
        self.controller.models.current = nano()
        self.messages: list[str] = []
        self.steps: list[tuple[str, int, int]] = []
        self.controller.message.connect(self.messages.append)
        self.controller.busy.connect(lambda *step: self.steps.append(step))

    def settle(self, until: Callable[[], bool] | None = None, timeout: float = 240) -> None:
        """Deliver results until nothing is going on, or until something holds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                self.calls.get(timeout=0.005)()
                continue
            except queue.Empty:
                pass
            if until() if until else not self.controller.worker.busy() and self.calls.empty():
                return
        raise TimeoutError(f"still busy; messages: {self.messages}")

    def label(self) -> Any:
        """The data of the output."""
        layer = self.controller.labels
        assert layer is not None, f"nothing was kept; messages: {self.messages}"
        return layer.data


@contextmanager
def bench(viewer: ViewerModel, preferences: Preferences | None = None) -> Iterator[Bench]:
    """A bench that is closed at the end."""
    made = Bench(viewer, preferences)
    try:
        yield made
    finally:
        made.controller.close(timeout=60)


@contextmanager
def opened(pixels: Any) -> Iterator[Bench]:
    """A bench on an image of these pixels, which is chosen."""
    viewer = ViewerModel()
    image = viewer.add_image(pixels)
    with bench(viewer) as made:
        made.controller.image = image
        yield made


@contextmanager
def clicked_in_stack() -> Iterator[Bench]:
    """A bench that shows the disc of a stack, which was clicked and found."""
    viewer = ViewerModel()
    image = viewer.add_image(stack())
    look_at(viewer, image, MIDDLE)
    with bench(viewer) as made:
        made.controller.image = image
        made.controller.click(MIDDLE)
        made.settle()
        yield made
