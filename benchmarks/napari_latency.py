"""How long a user of napari waits, in its real window: ``xvfb-run -a python -m benchmarks.napari_latency``.

A click is a press and a release right after it, timed from the press to the first frame that shows the mask; a preview
is timed from the move of the mouse, and counted while the mouse moves on. While planes are encoded a timer of the
window's thread tells how long the window stood still. MobileSAM has weights from a seed: its masks mean nothing, its
time is that of the real one. Beside the time on the clock is the CPU time of the window's thread and of the whole
process, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import napari
import numpy as np
import numpy.typing as npt
import torch
from qtpy.QtCore import QEvent, QEventLoop, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

import lightsam_plugins as ls
from lightsam_plugins.images import load_image
from lightsam_plugins.registry import build_network, model_card

NONE, LEFT, PLAIN = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
Model = ls.Segmenter
PRESS, RELEASE, MOVE = QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease, QEvent.Type.MouseMove


class Cost(NamedTuple):
    """Milliseconds on the clock, of the window's thread and of all threads."""

    clock: float
    window: float
    process: float


def seeded(name: str) -> Model:
    """A model of that architecture with weights from a seed."""
    torch.manual_seed(0)
    return ls.Segmenter(build_network(model_card(name)).eval(), model_card(name))


class Watch:
    """Starts now."""

    def __init__(self) -> None:
        self._start = (time.perf_counter(), time.thread_time(), time.process_time())

    def read(self) -> Cost:
        """What it took until now; to be read on the thread that started it."""
        now = (time.perf_counter(), time.thread_time(), time.process_time())
        return Cost(*((end - start) * 1000 for end, start in zip(now, self._start, strict=True)))


class Timed:
    """A window with one photo and the panel."""

    def __init__(self, model: Model) -> None:
        file = ls.__path__[0] + "/assets/coffee.jpg"
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1200, 800)
        self.image = self.viewer.add_image(load_image(file), rgb=True)
        _, self.panel = self.viewer.window.add_plugin_dock_widget("lightsam-plugins", "LightSAM")
        self.controller = self.panel.controller
        self.controller.models.take(model)
        widgets: list[Any] = QApplication.allWidgets()
        self.canvas = next(w for w in widgets if type(w).__name__ == "CanvasBackendDesktop" and w.isVisible())
        self.frames = 0
        self.canvas.frameSwapped.connect(self._count)
        self.wait(lambda: self.controller.engine.model is model and not self.controller.worker.busy())
        self.viewer.reset_view()
        self.pause(0.3)

    def _count(self) -> None:
        self.frames += 1

    def wait(self, until: Callable[[], bool], timeout: float = 30) -> None:
        """Let the window live until something holds; the thread sleeps where nothing happens, as in napari.

        Raises:
            TimeoutError: It did not come about.
        """
        over = QTimer()
        over.setSingleShot(True)
        over.start(int(timeout * 1000))
        while not until():
            if not over.isActive():
                raise TimeoutError(f"waited for {timeout} s; the panel says: {self.panel.status.text()}")
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)

    def pause(self, seconds: float) -> None:
        """Let the window live for a while."""
        over: list[bool] = []
        QTimer.singleShot(int(seconds * 1000), lambda: over.append(True))
        self.wait(lambda: bool(over))

    def mouse(self, kind: Any, place: QPointF, button: Any = NONE, buttons: Any = NONE) -> None:
        """One event of the mouse."""
        where = QPointF(self.canvas.mapToGlobal(place.toPoint()))
        QApplication.sendEvent(self.canvas, QMouseEvent(kind, place, where, button, buttons, PLAIN))

    def place(self, random: np.random.Generator) -> QPointF:
        """A place in the middle of the photo, on the canvas."""
        return self.pixel(random.uniform(0.2, 0.8, 2))

    def pixel(self, part: npt.ArrayLike) -> QPointF:
        """Where a part of the photo's height and width is on the canvas, of which parts may be beside it."""
        camera = self.viewer.scene.camera
        world = np.array(part) * self.image.data.shape[:2] - np.array(camera.center)[-2:]
        middle = np.array([self.canvas.height() // 2, self.canvas.width() // 2])
        row, column = np.rint(world * camera.zoom) + middle
        return QPointF(column, row)

    def shown(self, ready: Callable[[], bool], watch: Watch) -> Cost:
        """What it took from the start of a watch to the first frame that was drawn after something held."""
        costs: list[Cost] = []

        def drawn() -> None:
            if ready():
                costs.append(watch.read())

        self.canvas.frameSwapped.connect(drawn)
        try:
            self.wait(ready)
            self.canvas.update()  # a mask may have no pixel: then nothing else is drawn
            self.wait(lambda: bool(costs))
        finally:
            self.canvas.frameSwapped.disconnect(drawn)
        return costs[0]

    def click(self, random: np.random.Generator, held: float = 0) -> Cost:
        """One click on a photo without prompts, to the mask on the screen; from the release where it was held."""
        self.controller.discard()
        self.pause(0.05)
        place, watch = self.place(random), Watch()
        self.mouse(PRESS, place, LEFT, LEFT)
        if held:
            self.pause(held)
            watch = Watch()
        self.mouse(RELEASE, place, LEFT)
        return self.shown(lambda: self.controller.candidate is not None, watch)

    def preview(self, random: np.random.Generator) -> Cost:
        """One move of the mouse, to its preview on the screen."""
        self.controller.discard()
        self.controller.hover.stop()
        self.pause(0.05)
        place, watch = self.place(random), Watch()
        self.mouse(MOVE, place)
        return self.shown(lambda: self.controller.session.preview.shown, watch)

    def rate(self, seconds: float) -> float:
        """Previews a second while the mouse goes round, with a hundred moves a second."""
        shown: list[int] = []
        session, end = self.controller.session, time.perf_counter() + seconds
        usual = session.preview.show

        def show(*crop: Any) -> None:
            usual(*crop)
            shown.append(self.frames)

        session.preview.show = show
        while (now := time.perf_counter()) < end:
            self.mouse(MOVE, self.pixel((0.5 + 0.3 * np.sin(2 * now), 0.5 + 0.3 * np.cos(2 * now))))
            self.pause(0.01)
        session.preview.show = usual
        return len(set(shown)) / seconds  # two between two frames are one that is seen

    def frame(self) -> Cost:
        """One frame that shows nothing new: what drawing costs on this screen."""
        return self.shown(lambda: True, Watch())

    def stalls(self, rounds: int) -> tuple[list[Cost], list[float]]:
        """Encodings, and gaps between ticks of a timer of 1 ms meanwhile, in milliseconds."""
        ticks: list[float] = []
        timer = QTimer()
        timer.setInterval(1)
        timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
        gaps: list[float] = []
        encodings: list[Cost] = []
        for _ in range(rounds):
            self.controller.engine.cache.clear()
            start, watch = time.perf_counter(), Watch()
            ticks[:] = [start]
            timer.start()
            self.controller.encode()
            self.wait(lambda: not self.controller.worker.busy())
            encodings.append(watch.read())
            timer.stop()
            gaps += (np.diff([*ticks, time.perf_counter()]) * 1000).tolist()
        return encodings, gaps


def report(what: str, costs: list[Cost]) -> None:
    """Median and 95th percentile on the clock and median CPU times, as a row of a table."""
    clock, window, process = np.array(costs).T
    numbers = (np.median(clock), np.percentile(clock, 95), np.median(window), np.median(process))
    print(f"| {what} |", " | ".join(f"{number:.0f}" for number in numbers), "|", flush=True)


def measure(name: str, model: Model, rounds: int) -> None:
    """All rows of one model."""
    timed, random = Timed(model), np.random.default_rng(0)
    timed.controller.hover.on = False
    for _ in range(5):
        timed.click(random)
    assert timed.controller.candidate.model == model.name
    report(f"{name}: a frame that shows nothing new", [timed.frame() for _ in range(rounds)])
    report(f"{name}: press and release, to mask", [timed.click(random) for _ in range(rounds)])
    report(f"{name}: release after 80 ms, to mask", [timed.click(random, 0.08) for _ in range(rounds)])
    timed.controller.hover.on = True
    report(f"{name}: move to preview", [timed.preview(random) for _ in range(rounds)])
    print(f"| {name}: previews a second while the mouse moves | {timed.rate(rounds / 10):.0f} | | | |")
    encodings, gaps = timed.stalls(max(3, rounds // 6))
    report(f"{name}: encoding", encodings)
    longest, most = max(gaps), np.percentile(gaps, 95)
    print(
        f"| {name}: gaps of the window's thread, longest {longest:.0f} | {np.median(gaps):.0f} | {most:.0f} | | |"
    )
    timed.viewer.close()


def main() -> None:
    """Time both models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    print(
        "| what | median, ms | 95 %, ms | CPU of the window's thread, ms | CPU of all, ms |\n|---|---|---|---|---|"
    )
    with mock.patch("lightsam_napari.hover.is_ground", return_value=False):  # each move has a preview
        measure("nano", ls.load("nano", device="cpu"), rounds)
        measure("MobileSAM, seeded", seeded("mobilesam"), rounds)


if __name__ == "__main__":
    main()
