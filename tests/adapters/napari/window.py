"""napari's real window, and a mouse and keys for it."""

import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from bench import nano
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from lightsam_napari.widget import LightSam

NONE, LEFT = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
MODIFIERS = {
    "": Qt.KeyboardModifier.NoModifier,
    "shift": Qt.KeyboardModifier.ShiftModifier,
    "control": Qt.KeyboardModifier.ControlModifier,
    "alt": Qt.KeyboardModifier.AltModifier,
}


@functools.cache
def screen() -> None:
    """See that there is a screen: the one there is, else a virtual one, which ends with its last client, Qt."""
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        return
    program = shutil.which("Xvfb")
    assert program, "these tests need a screen: set DISPLAY, or install Xvfb (Debian: apt install xvfb)"
    read, write = os.pipe()
    command = [
        program,
        "-displayfd",
        str(write),
        "-terminate",
        "-screen",
        "0",
        "1400x1000x24",
        "-nolisten",
        "tcp",
    ]
    subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(write)
    with os.fdopen(read) as told:
        os.environ["DISPLAY"] = ":" + told.readline().strip()


class Window:
    """A viewer with the panel, driven by events of Qt as a user's hand makes them."""

    def __init__(self, viewer: Any, panel: LightSam) -> None:
        self.viewer, self.panel, self.controller = viewer, panel, panel.controller
        self.canvas = next(
            widget
            for widget in QApplication.allWidgets()
            if type(widget).__name__ == "CanvasBackendDesktop" and widget.window() is panel.window()
        )

    def events(self, seconds: float = 0.02) -> None:
        """Let the window live for a moment."""
        end = time.monotonic() + seconds
        while True:
            QApplication.processEvents()
            if time.monotonic() >= end:
                return
            time.sleep(0.001)

    def settle(self, until: Callable[[], bool] | None = None, timeout: float = 240) -> None:
        """Let the window live until nothing is going on, or until something holds."""
        end = time.monotonic() + timeout
        self.events()
        while time.monotonic() < end:
            if until() if until else not self.controller.worker.busy():
                self.events()
                return
            self.events(0.005)
        raise TimeoutError(f"still busy; the panel says: {self.panel.status.text()}")

    def pixel(self, world: tuple[float, float]) -> QPoint:
        """Where a place of the world is on the canvas."""
        camera = self.viewer.camera
        offset = (np.array(world) - np.array(camera.center)[-2:]) * camera.zoom
        return QPoint(round(self.canvas.width() / 2 + offset[1]), round(self.canvas.height() / 2 + offset[0]))

    def move(self, world: tuple[float, float], buttons: Any = NONE, modifier: str = "") -> None:
        """Move the mouse to a place."""
        place = QPointF(self.pixel(world))
        event = QMouseEvent(
            QEvent.Type.MouseMove, place, QPointF(self.canvas.mapToGlobal(place.toPoint())), NONE, buttons,
            MODIFIERS[modifier],
        )  # fmt: skip
        QApplication.sendEvent(self.canvas, event)
        self.events()

    def click(self, world: tuple[float, float], modifier: str = "") -> None:
        """Click at a place."""
        self.drag([world], modifier)

    def drag(self, path: list[tuple[float, float]], modifier: str = "") -> None:
        """Press at the first place, move along the others, and let go at the last."""
        QTest.mousePress(self.canvas, LEFT, MODIFIERS[modifier], self.pixel(path[0]))
        self.events()
        for place in path[1:]:
            self.move(place, LEFT, modifier)
        QTest.mouseRelease(self.canvas, LEFT, MODIFIERS[modifier], self.pixel(path[-1]))
        self.events()

    def key(self, key: Any, modifier: str = "") -> None:
        """Press a key while the canvas has the keyboard."""
        QTest.keyClick(self.canvas, key, MODIFIERS[modifier])
        self.events()

    def press(self, button: QWidget) -> None:
        """Press a button of the panel."""
        QTest.mouseClick(button, LEFT, pos=QPoint(10, button.height() // 2))
        self.events()


def opened(viewer: Any, open_image: Callable[[Any], Any], model: Any = None) -> Window:
    """A viewer with an image and the panel, ready for the first click."""
    viewer.window.resize(1100, 800)
    open_image(viewer)
    _, panel = viewer.window.add_plugin_dock_widget("lightsam-plugins", "LightSAM")
    panel.controller.models.take(model or nano())
    made = Window(viewer, panel)
    made.settle()
    viewer.reset_view()
    made.events()
    return made


@contextmanager
def window(open_image: Callable[[Any], Any], model: Any = None) -> Iterator[Window]:
    """napari with an image and the panel; at the end it is closed: no error may have
    been raised in a slot of Qt, and no window may stay."""
    import napari

    before = set(QApplication.topLevelWidgets()) if QApplication.instance() else set()
    viewer = napari.Viewer(show=True)
    worker = None
    errors: list[BaseException] = []
    usual, sys.excepthook = sys.excepthook, lambda kind, error, trace: errors.append(error)
    try:
        made = opened(viewer, open_image, model)
        worker = made.controller.worker
        yield made
    finally:
        viewer.close()
        if worker is not None:
            worker.close(timeout=60)
        for _ in range(5):
            QApplication.processEvents()
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        sys.excepthook = usual
        for error in errors:
            raise error
        left = [w for w in QApplication.topLevelWidgets() if w not in before and w.isVisible()]
        assert not left, f"windows that stayed: {left}"
