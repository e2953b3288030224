"""The panel: what a controller does, as a dock widget of napari."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils import progress
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import QLabel, QProgressBar, QScrollArea, QVBoxLayout, QWidget
from superqt import QCollapsible

from lightsam_napari.bridge import Bridge
from lightsam_napari.canvas import let_go_of_buffers
from lightsam_napari.controller import Controller
from lightsam_napari.controls import button, row
from lightsam_napari.gestures import bind_keys
from lightsam_napari.model_section import ModelSection
from lightsam_napari.preferences import adopt, read_preferences, watch_preferences
from lightsam_napari.sections import BatchSection, LayersSection, PromptSection, shortcuts

if TYPE_CHECKING:
    import napari.viewer

_SCROLL_BAR = 20  # pixels
_NO_IMAGE = "Open an image first, yours or one of File > Open Sample."
_MOUSE = "The mouse is that of"
_HELLO = "Move the mouse over an object: its outline appears. Click to hold it, press N to keep it."


class LightSam(QScrollArea):
    """Click, and the object is outlined.

    Args:
        viewer: The viewer, as napari hands it over.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._bridge = Bridge()
        self.controller = controller = Controller(viewer, self._bridge.deliver, read_preferences())
        self._bar: Any = None
        self._working = self._held = False  # the latter: whether the mouse has a tool of the panel
        self.layers, self.prompts = LayersSection(controller), PromptSection(controller)
        self.batch, self.model = BatchSection(controller), ModelSection(controller)
        self.status, self.progress = QLabel(_NO_IMAGE), QProgressBar()
        self.stop = button("Stop (K)", "Stop what is going on.", controller.cancel)
        self._lay_out()
        controller.changed.connect(self.refresh)
        controller.message.connect(self._say)
        controller.busy.connect(self._show_progress)
        for event in self._layer_events():
            event.connect(self._on_layers)
        viewer.layers.events.removed.connect(let_go_of_buffers)
        ends = (bind_keys(viewer, controller), watch_preferences(lambda new: adopt(controller, new)))
        self.destroyed.connect(lambda: _close(controller, *ends))
        self._take_image()
        self.refresh()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Narrow, so that the canvas keeps its room."""
        return QSize(self.minimumSizeHint().width(), 700)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """So wide that nothing is cut off, in the fonts of the moment: napari sets its style later."""
        content, least = self.widget(), super().minimumSizeHint()
        width = 0 if content is None else content.minimumSizeHint().width()
        return QSize(width + _SCROLL_BAR, least.height())

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802 - Qt's name
        """Go where the dock is closed: napari then takes the panel out of it and keeps it, with its layers."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            for layers in self._layer_events():
                layers.disconnect(self._on_layers)
            self.deleteLater()

    def refresh(self) -> None:
        """Show what the controller has."""
        for section in (self.layers, self.prompts, self.batch, self.model):
            section.refresh()

    def _lay_out(self) -> None:
        keys = QCollapsible("Mouse and keys")
        keys.addWidget(shortcuts())
        keys.expand(animate=False)
        self.status.setWordWrap(True)
        self.status.setMinimumHeight(36)
        for hidden in (self.progress, self.stop):
            policy = hidden.sizePolicy()
            policy.setRetainSizeWhenHidden(True)  # or all below would jump
            hidden.setSizePolicy(policy)
            hidden.hide()
        content = QWidget()
        layout = QVBoxLayout(content)
        for part in (
            self.status,
            row(self.progress, self.stop),
            self.layers,
            self.prompts,
            self.batch,
            self.model,
            keys,
        ):
            layout.addWidget(part)
        layout.addStretch()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def _layer_events(self) -> list[Any]:
        events = self._viewer.layers.events
        return [
            events.inserted,
            events.removed,
            events.renamed,
            events.reordered,
            self._viewer.layers.selection.events.active,
        ]

    def _on_layers(self) -> None:
        if self.controller.image is None:
            # Soon, as napari makes a new layer the active one after it tells of it.
            self._bridge.deliver(self._take_image)
        self.refresh()
        self._bridge.deliver(self._tell_tool)  # soon: a layer that is added is the active one for a moment

    def _tell_tool(self) -> None:
        """Say that the mouse has no tool of the panel any more, and take that back."""
        active, mouse = self._viewer.layers.selection.active, self.controller.mouse
        if active is None or self.controller.image is None:
            return
        held, self._held = self._held, mouse.has(mouse.tool)
        told = self.status.text().startswith(_MOUSE)
        if not self._held and (held or told):
            self._say(f"{_MOUSE} {active.name!r} now. Choose a tool to go on.")
        elif self._held and told:
            self._say(_HELLO)

    def _take_image(self) -> None:
        """Work on the selected image, or else on the topmost, where there is none yet."""
        if self.controller.image is not None:
            return
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        active = self._viewer.layers.selection.active
        if images:
            self.controller.image = active if active in images else images[-1]
            self.controller.mouse.use("click")
            self._say(_HELLO)

    def _say(self, text: str) -> None:
        self.status.setText(text)

    def _show_progress(self, name: str, done: int, total: int) -> None:
        """A bar in the panel and one in napari's activity dock."""
        working = self._working = total > 0
        self.progress.setVisible(working)
        self.stop.setVisible(working)
        if not working:
            if self._bar is not None:
                self._bar.close()
                self._bar = None
            return
        # 0 of 1 is a job that cannot say how far it is: the bar only moves.
        self.progress.setRange(0, total if total > 1 else 0)
        self.progress.setValue(done)
        self.progress.setFormat(f"{name} %p%")
        if self._bar is None:
            bar = progress(total=total if total > 1 else 0, desc=f"LightSAM: {name}")
            # napari lets events pass while it makes a bar: the job may be over by now.
            if self._working and self._bar is None:
                self._bar = bar
            else:
                bar.close()
        elif total > 1:
            self._bar.total = total
            self._bar.update(done - self._bar.n)


def _close(controller: Controller, *ends: Callable[[], None]) -> None:
    for signal in (controller.changed, controller.message, controller.busy):
        signal.disconnect()
    # Of a window that is closed as a whole, parts may be gone before the panel.
    for end in (controller.worker.close, *ends, controller.close):
        with suppress(RuntimeError):
            end()
