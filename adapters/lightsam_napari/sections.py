"""The sections of the panel. Each shows what the controller has and hands on what a user does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtWidgets import QFileDialog, QFormLayout, QGridLayout, QGroupBox, QLabel, QVBoxLayout, QWidget

from lightsam_napari.controls import Choice, button, check, row
from lightsam_napari.engine import GRANULARITIES
from lightsam_napari.gestures import KEYS, MOUSE
from lightsam_napari.layers import NEGATIVE
from lightsam_napari.pixels import CONTRASTS

if TYPE_CHECKING:
    from lightsam_napari.controller import Controller
    from lightsam_napari.mouse import Tool

_TOOLS: tuple[tuple[Tool, str, str], ...] = (
    ("click", "Click", "Click on the object. Shift+drag draws a box, Ctrl+click says: not this."),
    ("box", "Box", "Drag a box around the object."),
    ("polygon", "Polygon", "Click corners around the object; a double click ends it."),
    ("lasso", "Lasso", "Draw around the object with the button held."),
    ("scribble", "Scribble", "Draw a line over the object, or over what does not belong to it (W)."),
    ("edit", "Edit", "Select clicks, drag them, delete them."),
)

_FILES = {"Labels (*.tif)": ".tif", "COCO annotations (*.json)": ".json"}


class LayersSection(QGroupBox):
    """Which image, and where its objects go."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Layers")
        self._controller = controller
        self.image = Choice("The image that is segmented.", lambda layer: setattr(controller, "image", layer))
        self.output = Choice(
            "The labels layer that finished objects go to.",
            lambda layer: setattr(controller, "labels", layer),
        )
        self.contrast = Choice(
            "How values become brightness: the layer's contrast limits, or the 1st and 99th percentile.",
            lambda contrast: setattr(controller, "contrast", contrast),
        )
        self.mix = check(
            "mix visible channels", "Add the visible images of the same shape, in their colours.", self._mix
        )
        self.save = button("Save objects...", "As a TIFF of labels, or as COCO annotations.", self._save)
        form = QFormLayout(self)
        form.addRow("image", self.image)
        form.addRow("objects", self.output)
        form.addRow("brightness", self.contrast)
        form.addRow(self.mix)
        form.addRow(self.save)

    def refresh(self) -> None:
        """Show what is."""
        layers, controller = list(self._controller.viewer.layers), self._controller
        mine = controller.session.preview.layer if controller.session else None
        images = [(layer.name, layer) for layer in layers if isinstance(layer, Image)]
        labels = [(layer.name, layer) for layer in layers if isinstance(layer, Labels) and layer != mine]
        self.image.offer(images, controller.image)
        self.output.offer([("new layer", None), *labels], controller.labels)
        self.contrast.offer([(contrast, contrast) for contrast in CONTRASTS], controller.contrast)
        self.mix.setChecked(controller.view.mix)
        self.save.setEnabled(controller.labels is not None)

    def _save(self) -> None:
        """Ask for a file; napari's Save would take the selected layer, which is that of the clicks."""
        controller, layer = self._controller, self._controller.labels
        if layer is None:
            return
        path, kind = QFileDialog.getSaveFileName(self, "Save objects", layer.name, ";;".join(_FILES))
        if not path:
            return
        try:
            known = Path(path).suffix.lower() in _FILES.values()
            saved = layer.save(path if known else path + _FILES.get(kind, ".tif"))
        except OSError as error:
            saved = []
            controller.message.emit(f"Not saved: {error}.")
        if saved:
            controller.message.emit(f"Saved as {saved[0]}.")

    def _mix(self, on: bool) -> None:
        self._controller.set_mix(on)


class PromptSection(QGroupBox):
    """Tools, and what to do with the object that was found."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Point at one object")
        self._controller = controller
        self.tools = {tool: button(text, tip, self._user(tool), checkable=True) for tool, text, tip in _TOOLS}
        self.polarity = button("", "What the next click or scribble means (W).", controller.flip_polarity)
        self.granularity = Choice("Of the three masks that a model offers (G).", controller.set_granularity)
        self.one_click = check(
            "one click, one object",
            "Each click is an object at once. Shift+click adds to the last one, Ctrl+click takes away.",
            lambda on: setattr(controller, "one_click", on),
        )
        self.hover = check("preview under the mouse", "Show the mask before the click (H).", self._hover)
        self.overlap = Choice("What happens to pixels of older objects.", self._protect)
        self.keep = button("Keep object (N)", "Make it an object, and begin the next.", controller.commit)
        self.clear = button("Clear (Q)", "Take the prompts away.", self._clear)
        self.undo = button("Undo (U)", "Of prompts and of objects.", controller.undo)
        self.redo = button("Redo (Shift+U)", "Of prompts and of objects.", controller.redo)
        self._lay_out()

    def refresh(self) -> None:
        """Show what is."""
        controller = self._controller
        session = controller.session
        for tool, made in self.tools.items():
            made.setChecked(controller.mouse.has(tool))
        self.setEnabled(session is not None)
        self.polarity.setText(
            "next click: not this  ✖" if controller.polarity == NEGATIVE else "next click: this  ●"
        )
        self.granularity.offer([(size, size) for size in GRANULARITIES], controller.granularity)
        self.overlap.offer([("keep older objects", True), ("overwrite them", False)], controller.protect)
        self.one_click.setChecked(controller.one_click)
        self.hover.setChecked(controller.hover.on)
        self.keep.setEnabled(controller.candidate is not None)
        self.undo.setEnabled(session is not None and session.history.can_undo)
        self.redo.setEnabled(session is not None and session.history.can_redo)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        for place, made in enumerate(self.tools.values()):
            grid.addWidget(made, *divmod(place, 3))
        form = QFormLayout()
        form.addRow("size", self.granularity)
        form.addRow("overlap", self.overlap)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        layout.addWidget(self.polarity)
        layout.addWidget(self.one_click)
        layout.addWidget(self.hover)
        layout.addLayout(form)
        layout.addWidget(row(self.keep, self.clear))
        layout.addWidget(row(self.undo, self.redo))

    def _user(self, tool: Tool) -> Any:
        return lambda: self._controller.mouse.use(tool)

    def _hover(self, on: bool) -> None:
        if on != self._controller.hover.on:
            self._controller.hover.toggle()

    def _protect(self, protect: bool) -> None:
        self._controller.protect = protect

    def _clear(self) -> None:
        self._controller.discard()


class BatchSection(QGroupBox):
    """Many objects in one go."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Many objects of this plane")
        self._controller = controller
        self.everything = button("Everything", "Find all objects of the plane.", controller.batch.everything)
        self.source = Choice("A layer of shapes (their boxes) or of points, one object each.", lambda _: None)
        self.start = button("From this layer", "One object for each shape or point.", self._from_layer)
        layout = QVBoxLayout(self)
        layout.addWidget(self.everything)
        layout.addWidget(row(self.source, self.start))

    def refresh(self) -> None:
        """Show what is."""
        session = self._controller.session
        mine = (session.prompts.points, session.prompts.shapes) if session else ()
        layers = [
            (layer.name, layer)
            for layer in self._controller.viewer.layers
            if isinstance(layer, Points | Shapes) and layer not in mine
        ]
        chosen = self.source.value
        self.source.offer(layers, chosen if chosen is not None else layers[0][1] if layers else None)
        self.start.setEnabled(bool(layers) and session is not None)
        self.everything.setEnabled(session is not None)

    def _from_layer(self) -> None:
        layer = self.source.value
        if isinstance(layer, Shapes):
            self._controller.batch.from_shapes(layer)
        elif isinstance(layer, Points):
            self._controller.batch.from_points(layer)


def shortcuts() -> QWidget:
    """The mouse and the keys, as a table."""
    rows = [
        *MOUSE,
        *((key.replace("-", "+"), text) for key, text, _ in KEYS),
        ("Ctrl+Z", "undo, as anywhere"),
    ]
    cells = "".join(f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text in rows)
    return QLabel(f"<table>{cells}</table>")  # not wrapped: a collapsible's height is that of one width
