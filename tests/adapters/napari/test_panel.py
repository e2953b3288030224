"""Parts of the panel, in napari's real window."""

import json
from pathlib import Path

import numpy as np
import pytest
from discs import stack, two_discs
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel
from skimage.io import imread
from superqt import QCollapsible
from window import screen, window

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of napari, vispy and Qt among themselves
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def a_screen() -> None:
    """All tests here need one."""
    screen()


def test_the_wheel_and_keys_pass_choices_by() -> None:
    """The wheel over a choice scrolls the panel and chooses nothing; after a choice by the mouse keys still work."""
    with window(lambda viewer: viewer.add_image(stack(), name="stack")) as w:
        choice = w.panel.prompts.overlap
        place = QPointF(5, 5)
        turned = QWheelEvent(
            place,
            QPointF(choice.mapToGlobal(place.toPoint())),
            QPoint(0, -120),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(choice, turned)

        assert choice.value is True
        assert w.controller.protect
        assert not turned.isAccepted()
        assert choice.focusPolicy() == Qt.FocusPolicy.TabFocus


def test_the_list_of_keys_is_seen_whole() -> None:
    """At the panel's own width "Mouse and keys" is inside of it to its last line and letter; it can be folded away."""
    with window(lambda viewer: viewer.add_image(stack(), name="stack")) as w:
        label = next(one for one in w.panel.findChildren(QLabel) if "undo, as anywhere" in one.text())
        w.settle()

        assert label.height() >= label.heightForWidth(label.width())
        assert label.geometry().bottom() <= label.parentWidget().height()
        assert w.panel.widget().minimumSizeHint().width() <= w.panel.viewport().width()
        w.press(w.panel.findChild(QCollapsible).toggleButton())
        w.settle(lambda: label.parentWidget().height() == 0)


def test_a_panel_that_is_closed_takes_its_layers_along() -> None:
    """Closing the dock removes clicks and candidate and leaves the objects; the panel opened again makes no others."""
    with window(lambda viewer: viewer.add_image(two_discs(), name="discs")) as w:
        w.click((50, 40))
        w.settle()
        w.key(Qt.Key.Key_N)
        w.panel.parent().destroyOnClose()  # what the dock's X does
        w.settle(lambda: len(w.viewer.layers) == 2)
        assert [layer.name for layer in w.viewer.layers] == ["discs", "discs objects"]

        w.viewer.window.add_plugin_dock_widget("lightsam-plugins", "LightSAM")
        w.events(0.5)
        assert [layer.name for layer in w.viewer.layers] == ["discs", "discs objects", "clicks"]


def test_another_layer_that_takes_the_mouse_is_told() -> None:
    """Selecting the objects leaves no tool pressed and says so; choosing a tool goes on."""
    with window(lambda viewer: viewer.add_image(two_discs(), name="discs")) as w:
        w.click((50, 40))
        w.settle()
        w.key(Qt.Key.Key_N)
        w.viewer.layers.selection.active = w.controller.labels
        w.events()
        assert w.panel.status.text() == "The mouse is that of 'discs objects' now. Choose a tool to go on."
        assert not any(tool.isChecked() for tool in w.panel.prompts.tools.values())

        w.press(w.panel.prompts.tools["click"])
        w.click((110, 150))
        w.settle()
        assert w.controller.candidate is not None


def test_objects_are_saved_as_labels_or_as_coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The button saves the objects, not the selected layer; a name without ending gets that of the kind chosen."""
    chosen: list[tuple[str, str]] = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: chosen.pop())
    with window(lambda viewer: viewer.add_image(two_discs(), name="discs")) as w:
        assert not w.panel.layers.save.isEnabled()
        w.click((50, 40))
        w.settle()
        w.key(Qt.Key.Key_N)
        chosen.append((str(tmp_path / "a"), "Labels (*.tif)"))
        w.press(w.panel.layers.save)
        np.testing.assert_array_equal(imread(tmp_path / "a.tif"), w.controller.labels.data)
        assert w.panel.status.text() == f"Saved as {tmp_path / 'a.tif'}."

        chosen.append((str(tmp_path / "b"), "COCO annotations (*.json)"))
        w.press(w.panel.layers.save)
        content = json.loads((tmp_path / "b.json").read_text("utf-8"))
        assert [image["file_name"] for image in content["images"]] == ["discs"]
        assert len(content["annotations"]) == 1

        chosen.append((str(tmp_path / "nowhere" / "c.json"), ""))
        w.press(w.panel.layers.save)
        assert w.panel.status.text().startswith("Not saved: [Errno 2] No such file or directory")
        chosen.append(("", ""))
        w.press(w.panel.layers.save)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.json"]
