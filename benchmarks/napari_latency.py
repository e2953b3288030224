"""How long a user of napari waits, in its real window: ``xvfb-run -a python -m benchmarks.napari_latency``.

A click is timed from the release of the mouse to the first frame that shows the mask, a preview from the move of the
mouse. While planes are encoded a timer of the window's thread tells how long the window stood still. MobileSAM has
weights from a seed: its masks mean nothing, its time is that of the real one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
import torch
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

import lightsam_plugins as ls
from lightsam_plugins.images import load_image
from lightsam_plugins.registry import build_network, model_card

NONE, LEFT, PLAIN = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
Model = ls.Segmenter


def seeded(name: str) -> Model:
    """A model of that architecture with weights from a seed."""
    torch.manual_seed(0)
    return ls.Segmenter(build_network(model_card(name)).eval(), model_card(name))


class Timed:
    """A window with one photo and the panel."""

    def __init__(self, model: Model) -> None:
        file = ls.__path__[0] + "/assets/coffee.jpg"
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1200, 800)
        self.image = self.viewer.add_image(load_image(file), rgb=True)
        _, panel = self.viewer.window.add_plugin_dock_widget("lightsam-plugins", "LightSAM")
        self.controller = panel.controller
        self.controller.models.current = model
        widgets: list[Any] = QApplication.allWidgets()
        self.canvas = next(w for w in widgets if type(w).__name__ == "CanvasBackendDesktop")
        self.frames = 0
        self.canvas.frameSwapped.connect(self._count)
        self.wait(lambda: not self.controller.worker.busy())
        self.viewer.reset_view()
        self.wait(lambda: False, 0.3)

    def _count(self) -> None:
        self.frames += 1

    def wait(self, until: Callable[[], bool], timeout: float = 30) -> None:
        """Let the window live until something holds."""
        end = time.perf_counter() + timeout
        while not until() and time.perf_counter() < end:
            QApplication.processEvents()

    def mouse(self, kind: Any, place: QPointF, button: Any, buttons: Any) -> None:
        """One event of the mouse."""
        where = QPointF(self.canvas.mapToGlobal(place.toPoint()))
        QApplication.sendEvent(self.canvas, QMouseEvent(kind, place, where, button, buttons, PLAIN))

    def place(self, random: np.random.Generator) -> QPointF:
        """A place over the photo."""
        x, y = random.uniform(0.25, 0.75, 2)
        return QPointF(round(x * self.canvas.width()), round(y * self.canvas.height()))

    def shown(self, ready: Callable[[], bool], start: float) -> float:
        """Milliseconds from `start` to the first frame after something holds."""
        self.wait(ready)
        before = self.frames
        self.canvas.update()
        self.wait(lambda: self.frames > before)
        return (time.perf_counter() - start) * 1000

    def click(self, random: np.random.Generator) -> float:
        """One click on a photo without prompts, to the mask on the screen."""
        self.controller.discard()
        self.wait(lambda: False, 0.05)
        place = self.place(random)
        self.mouse(QEvent.Type.MouseButtonPress, place, LEFT, LEFT)
        start = time.perf_counter()
        self.mouse(QEvent.Type.MouseButtonRelease, place, LEFT, NONE)
        return self.shown(lambda: self.controller.candidate is not None, start)

    def preview(self, random: np.random.Generator) -> float:
        """One move of the mouse, to its preview on the screen."""
        self.controller.discard()
        self.controller.hover.stop()
        place = self.place(random)
        start = time.perf_counter()
        self.mouse(QEvent.Type.MouseMove, place, NONE, NONE)
        return self.shown(lambda: not self.controller.worker.busy("hover"), start)

    def frame(self) -> float:
        """One frame that shows nothing new: what drawing costs on this screen."""
        start = time.perf_counter()
        return self.shown(lambda: True, start)

    def stalls(self, rounds: int) -> tuple[list[float], list[float]]:
        """Gaps between ticks of a timer of 1 ms while planes are encoded, and the encodings, in milliseconds."""
        ticks: list[float] = []
        timer = QTimer()
        timer.setInterval(1)
        timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
        gaps: list[float] = []
        encodings: list[float] = []
        for _ in range(rounds):
            self.controller.engine.cache.clear()
            ticks.clear()
            timer.start()
            start = time.perf_counter()
            self.controller.encode()
            self.wait(lambda: not self.controller.worker.busy())
            encodings.append((time.perf_counter() - start) * 1000)
            timer.stop()
            gaps += (np.diff([start, *ticks]) * 1000).tolist()
        return gaps, encodings


def report(what: str, values: list[float]) -> None:
    """Median and 95th percentile, as a row of a table."""
    print(f"| {what} | {np.median(values):.0f} | {np.percentile(values, 95):.0f} |", flush=True)


def main() -> None:
    """Time both models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    print("| what | median, ms | 95 %, ms |\n|---|---|---|")
    models: dict[str, Callable[[], Model]] = {
        "nano": lambda: ls.load("nano", device="cpu"),
        "MobileSAM, seeded": lambda: seeded("mobilesam"),
    }
    for name, make in models.items():
        timed, random = Timed(make()), np.random.default_rng(0)
        for _ in range(5):
            timed.click(random)
        report(f"{name}: a frame that shows nothing new", [timed.frame() for _ in range(rounds)])
        timed.controller.hover.on = False
        report(f"{name}: click to mask", [timed.click(random) for _ in range(rounds)])
        timed.controller.hover.on = True
        report(f"{name}: move to preview", [timed.preview(random) for _ in range(rounds)])
        gaps, encodings = timed.stalls(max(3, rounds // 6))
        report(f"{name}: encoding", encodings)
        report(f"{name}: window's thread, gaps while encoding (longest {max(gaps):.0f})", gaps)
        timed.viewer.close()


if __name__ == "__main__":
    main()
