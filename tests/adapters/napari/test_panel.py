"""Parts of the panel, in napari's real window."""

import json
from pathlib import Path

import numpy as np
import pytest
from discs import stack, two_discs
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel
from skimage.io import imread
from superqt import QCollapsible
from window import LEFT, MODIFIERS, NONE, screen, window

from lightsam_napari.commands import segment_everything
from lightsam_napari.prompt_layers import Snapshot

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

        _, panel = w.viewer.window.add_plugin_dock_widget("lightsam-plugins", "LightSAM")
        w.events(0.5)
        assert [layer.name for layer in w.viewer.layers] == ["discs", "discs objects", "clicks"]
        assert panel.controller.labels.name == "discs objects"  # it goes on where it was


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

        w.viewer.layers.selection.active = w.viewer.layers["discs"]
        w.events()
        assert w.panel.status.text() == "The mouse is that of 'discs' now. Choose a tool to go on."
        w.press(w.panel.prompts.tools["click"])
        assert w.panel.status.text().startswith("Move the mouse over an object")
        w.click((50, 110))
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

        chosen.append((str(tmp_path / "odd.png"), "Labels (*.tif)"))
        w.press(w.panel.layers.save)
        assert w.panel.status.text() == f"Saved as {tmp_path / 'odd.png.tif'}."
        chosen.append((str(tmp_path / "nowhere" / "c.json"), ""))
        w.press(w.panel.layers.save)
        assert w.panel.status.text().startswith("Not saved: [Errno 2] No such file or directory")
        chosen.append(("", ""))
        w.press(w.panel.layers.save)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.json", "odd.png.tif"]


def test_a_slow_drag_is_one_object_and_undone_as_one() -> None:
    """With one click an object, a box that is drawn slowly is kept when the button goes up; undo takes it back."""
    with window(lambda viewer: viewer.add_image(two_discs(), name="discs")) as w:
        w.panel.prompts.one_click.click()
        QTest.mousePress(w.canvas, LEFT, MODIFIERS["shift"], w.pixel((30, 20)))
        for end in ((45, 35), (60, 50), (70, 60)):
            w.move(end, LEFT, "shift")
            w.settle()
            assert w.controller.labels is None
        QTest.mouseRelease(w.canvas, LEFT, MODIFIERS["shift"], w.pixel((70, 60)))
        w.settle()
        assert set(np.unique(w.controller.labels.data)) == {0, 1}

        w.key(Qt.Key.Key_U)
        w.settle()
        assert not w.controller.labels.data.any()
        assert w.controller.session.prompts.snapshot() == Snapshot()


@pytest.mark.parametrize("key", [Qt.Key.Key_U, Qt.Key.Key_Q])
@pytest.mark.parametrize("tool", ["polygon", "lasso"])
def test_keys_while_an_outline_is_drawn(tool: str, key: Qt.Key) -> None:
    """Undo and clear end the drawing without an error, and the tool works as before."""
    with window(lambda viewer: viewer.add_image(two_discs(), name="discs")) as w:
        corners = [(30, 20), (30, 60), (70, 60), (70, 20)]
        w.press(w.panel.prompts.tools[tool])

        def draw(places: list[tuple[float, float]]) -> None:
            if tool == "polygon":
                for place in places:
                    w.click(place)
            else:
                QTest.mousePress(w.canvas, LEFT, MODIFIERS[""], w.pixel(places[0]))
                for place in places[1:]:
                    w.move(place, LEFT)

        draw(corners[:3])
        w.key(key)
        w.move((50, 90), LEFT if tool == "lasso" else NONE)
        QTest.mouseRelease(w.canvas, LEFT, MODIFIERS[""], w.pixel((50, 90)))
        w.events(0.1)
        w.key(Qt.Key.Key_Q)
        w.settle()

        draw(corners)
        if tool == "polygon":
            QTest.mouseDClick(w.canvas, LEFT, MODIFIERS[""], w.pixel(corners[-1]))
        QTest.mouseRelease(w.canvas, LEFT, MODIFIERS[""], w.pixel(corners[-1]))
        w.settle()
        assert w.controller.candidate is not None
        assert w.controller.candidate.crop[2].sum() > 1000


def test_the_command_of_the_menu_uses_the_panel_that_is_open() -> None:
    """Everything is found by it; and a panel that the command opened has the title that the menus look for."""
    with window(lambda viewer: viewer.add_image(two_discs(), name="discs")) as w:
        segment_everything(w.viewer)
        w.settle()
        assert len(w.viewer.window.dock_widgets) == 1
        assert set(np.unique(w.controller.labels.data)) >= {0, 1, 2}

        w.panel.parent().destroyOnClose()
        w.events(0.2)
        segment_everything(w.viewer)
        w.events(0.2)
        assert list(w.viewer.window.dock_widgets) == ["LightSAM (LightSAM)"]
        (panel,) = w.viewer.window.dock_widgets.values()
        panel.controller.cancel()
        panel.controller.worker.close(timeout=60)


def test_the_first_preview_and_a_job_leave_panel_and_message_in_place() -> None:
    """The layer of the preview takes the mouse from no tool; buttons stay where they are as the progress bar comes."""
    with window(lambda viewer: viewer.add_image(two_discs(), name="discs")) as w:
        places = [part.y() for part in (w.panel.layers, w.panel.prompts)]
        w.controller.busy.emit("a job", 1, 2)
        w.events(0.1)
        assert w.panel.progress.isVisible()
        assert [part.y() for part in (w.panel.layers, w.panel.prompts)] == places
        w.controller.busy.emit("", 0, 0)
        w.move((50, 40))
        w.settle()
        w.events(0.1)
        assert w.controller.session.preview.shown
        assert not w.panel.status.text().startswith("The mouse is that of")
