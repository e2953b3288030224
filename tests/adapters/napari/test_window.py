"""napari's real window: what a hand does with mouse and keys, and what is seen then."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from discs import RADIUS, iou, plane, stack, two_discs
from napari.layers import Labels, Points
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from window import LEFT, MODIFIERS, Window, screen, window

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of napari, vispy and Qt among themselves
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
A, B = (50, 40), (50, 110)


@pytest.fixture(scope="module", autouse=True)
def a_screen() -> None:
    """All tests here need one."""
    screen()


@pytest.fixture
def w() -> Iterator[Window]:
    """A window with two discs."""
    with window(lambda viewer: viewer.add_image(two_discs(), name="discs")) as opened:
        yield opened


def truth(column: int) -> np.ndarray:
    """One disc's mask."""
    return plane(column=column) > 0.5


def kept(w: Window) -> Any:
    """The data of the output."""
    assert w.controller.labels is not None, w.panel.status.text()
    return w.controller.labels.data


def test_hover_click_and_keep(w: Window) -> None:
    """The mask appears under the mouse, a click holds it, N keeps it, and the next click begins the next object."""
    w.move(A)
    w.settle(lambda: w.controller.session.preview.layer is not None)
    w.settle()
    layer = w.controller.session.preview.layer
    assert w.controller.session.preview.shown
    assert abs(int(np.sum(layer.data)) - np.pi * RADIUS**2) < 150
    assert w.controller.candidate is None

    w.click(A)
    w.settle()
    assert w.controller.candidate is not None
    w.key(Qt.Key.Key_N)
    w.click(B)
    w.settle()
    w.key(Qt.Key.Key_N)

    assert iou(kept(w) == 1, truth(40)) > 0.9
    assert iou(kept(w) == 2, truth(110)) > 0.9
    assert not w.controller.session.preview.shown


def test_the_candidate_is_seen_on_the_screen(w: Window) -> None:
    """The pixels of the canvas turn yellow inside of the disc, and only there."""
    before = w.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    w.click(A)
    w.settle()
    after = w.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)

    def at(image: np.ndarray, world: tuple[float, float]) -> np.ndarray:
        scale = image.shape[1] / w.canvas.width()
        place = w.pixel(world)
        return image[int(place.y() * scale), int(place.x() * scale)]

    inside, outside, other = (40, 30), (95, 40), B
    assert at(after, inside)[0] - at(after, inside)[2] > 60
    assert abs(at(before, inside)[0] - at(before, inside)[2]) < 5
    assert (at(after, outside) == at(before, outside)).all()
    assert (at(after, other) == at(before, other)).all()


@pytest.mark.parametrize("modifier", ["control", "alt"])
def test_a_modifier_makes_a_click_negative(w: Window, modifier: str) -> None:
    """Ctrl+click and Alt+click are crosses of the other colour, and the next plain click is positive again."""
    w.click(A)
    w.click((95, 80), modifier)
    w.click((40, 40))
    w.settle()
    points = w.controller.session.prompts.points
    assert list(points.features["polarity"]) == ["positive", "negative", "positive"]
    assert [str(symbol) for symbol in points.symbol] == ["disc", "x", "disc"]
    assert not np.allclose(points.face_color[0], points.face_color[1])
    assert not points.selected_data  # what is selected is drawn in napari's blue
    assert w.controller.candidate.prompts.labels == (1, 0, 1)


def test_shift_drag_is_a_box_and_the_view_stays(w: Window) -> None:
    """A box around a disc gives the disc; the mask is there before the button is let go; the camera does not move."""
    centre = w.viewer.camera.center
    w.drag([(24, 84), (40, 100), (60, 120), (76, 136)], "shift")
    w.settle()

    assert w.viewer.camera.center == centre
    box = w.controller.candidate.prompts.box
    np.testing.assert_allclose(box, (84.5, 24.5, 136.5, 76.5), atol=1)
    assert len(w.controller.session.prompts.shapes.data) == 1
    w.key(Qt.Key.Key_N)
    assert iou(kept(w) == 1, truth(110)) > 0.9


def test_the_tools_of_the_panel_draw(w: Window) -> None:
    """Box and lasso, chosen in the panel and drawn by the mouse, find the disc."""
    w.press(w.panel.prompts.tools["box"])
    assert w.panel.prompts.tools["box"].isChecked()
    assert not w.panel.prompts.tools["click"].isChecked()
    w.drag([(24, 84), (50, 100), (76, 136)])
    w.settle()
    assert w.controller.candidate.prompts.box is not None
    w.controller.discard()

    w.press(w.panel.prompts.tools["lasso"])
    angles = np.linspace(0, 2 * np.pi, 24)
    w.drag([(50 + 26 * np.sin(a), 110 + 26 * np.cos(a)) for a in angles])
    w.settle()
    assert w.controller.candidate.prompts.outline is not None
    w.key(Qt.Key.Key_N)
    assert iou(kept(w) == 1, truth(110)) > 0.85


def test_polygon_and_scribble_are_drawn(w: Window) -> None:
    """Corners clicked around a disc and ended by Enter, and a line drawn over it, find it; a click is no line."""
    w.press(w.panel.prompts.tools["polygon"])
    for corner in ((24, 84), (24, 136), (76, 136), (76, 84), (70, 84)):
        w.move(corner)
        w.click(corner)
    w.key(Qt.Key.Key_Enter)
    w.settle()
    assert len(w.controller.candidate.prompts.outline) >= 4
    assert abs(w.controller.candidate.crop[2].sum() - truth(110).sum()) < 250
    w.key(Qt.Key.Key_Q)

    w.press(w.panel.prompts.tools["scribble"])
    for _ in range(2):  # in napari a click begins a line and the next one ends it
        w.click((10, 10))
    w.settle()
    assert w.controller.candidate is None
    w.drag([(50, 98), (52, 104), (50, 110), (48, 116), (48, 122)])
    w.settle()
    assert w.controller.candidate.prompts.labels == (1,) * 5
    assert list(w.controller.session.prompts.shapes.features["polarity"]) == ["positive"]
    w.key(Qt.Key.Key_N)
    assert iou(kept(w) == 1, truth(110)) > 0.85


def test_a_click_whose_press_was_shown_already(w: Window) -> None:
    """While the button is held its mask is found; let go, the click is answered at once, without another look."""
    w.controller.hover.on = False
    QTest.mousePress(w.canvas, LEFT, MODIFIERS[""], w.pixel(A))
    w.settle()
    assert w.controller.candidate is None
    assert not w.controller.session.preview.shown
    QTest.mouseRelease(w.canvas, LEFT, MODIFIERS[""], w.pixel(A))
    assert not w.controller.worker.busy()
    w.key(Qt.Key.Key_N)
    assert iou(kept(w) == 1, truth(40)) > 0.9


def test_clicks_in_quick_succession_are_all_counted(w: Window) -> None:
    """Ten clicks without a pause, each while the last answer is on its way, end as ten clicks with one mask."""
    for column in range(30, 50, 2):
        for act in (QTest.mousePress, QTest.mouseRelease):
            act(w.canvas, LEFT, MODIFIERS[""], w.pixel((50, column)))
    w.settle()
    assert len(w.controller.candidate.prompts.points) == 10
    assert w.controller.session.preview.shown


def test_another_model_at_run_time(w: Window) -> None:
    """A device chosen in the panel loads the model anew; the candidate is found again, and work goes on."""
    w.click(A)
    w.settle()
    before = w.controller.models.current
    choice = w.panel.model.device
    choice.setCurrentText("cpu")
    choice.activated.emit(choice.currentIndex())
    w.settle(lambda: w.controller.models.current is not before)
    w.settle()
    assert w.controller.candidate is not None
    w.key(Qt.Key.Key_N)
    assert iou(kept(w) == 1, truth(40)) > 0.9


def test_two_windows_at_once(w: Window) -> None:
    """Clicks and keys of one window leave the other alone."""
    with window(lambda viewer: viewer.add_image(plane(column=110), name="other")) as other:
        other.click(B)
        other.settle()
        other.key(Qt.Key.Key_N)
        assert w.controller.labels is None
        assert w.controller.candidate is None
        w.click(A)
        w.settle()
        w.key(Qt.Key.Key_N)
        assert iou(kept(other) == 1, truth(110)) > 0.9
    assert iou(kept(w) == 1, truth(40)) > 0.9
    w.click(B)
    w.settle()
    assert w.controller.candidate is not None


def test_dragging_a_click_moves_it(w: Window) -> None:
    """A click dragged from one disc to the other takes the mask with it; undo brings it back."""
    w.click(A)
    w.settle()
    w.drag([A, (50, 60), (50, 90), B])
    w.settle()
    assert len(w.controller.session.prompts.points.data) == 1
    assert w.controller.candidate.crop[0] > 60

    w.key(Qt.Key.Key_U)
    w.settle()
    assert w.controller.candidate.crop[0] < 60


def test_dragging_beside_moves_the_view(w: Window) -> None:
    """Without a key, a drag moves the camera and adds no click."""
    centre = w.viewer.camera.center
    w.drag([(100, 80), (90, 70), (80, 60)])

    assert w.viewer.camera.center != centre
    assert len(w.controller.session.prompts.points.data) == 0


def test_undo_and_redo_by_key(w: Window) -> None:
    """U goes back over object and click, Shift+U and Ctrl+Shift+Z forth again."""
    w.click(A)
    w.settle()
    w.key(Qt.Key.Key_N)
    w.key(Qt.Key.Key_U)
    w.settle()
    assert not kept(w).any()
    w.key(Qt.Key.Key_Z, "control")
    w.settle()
    assert len(w.controller.session.prompts.points.data) == 0
    w.key(Qt.Key.Key_U, "shift")
    w.key(Qt.Key.Key_U, "shift")
    w.settle()
    assert iou(kept(w) == 1, truth(40)) > 0.9
    assert not w.panel.prompts.redo.isEnabled()


def test_ten_clicks_are_ten_coins() -> None:
    """In the sample, with "one click, one object", ten clicks label ten coins; Ctrl+click corrects the last."""
    clicks = [
        (45, 37),
        (46, 96),
        (43, 156),
        (40, 217),
        (37, 277),
        (37, 336),
        (108, 44),
        (187, 348),
        (120, 97),
        (116, 155),
    ]
    with window(lambda viewer: viewer.open_sample("lightsam-plugins", "coins")) as w:
        w.press(w.panel.prompts.one_click)
        for count, place in enumerate(clicks, 1):
            w.click(place)
            w.settle(
                lambda count=count: (
                    w.controller.labels is not None and len(w.controller.labels.features) == count
                )
            )
        labels = kept(w)
        assert [int(labels[place]) for place in clicks] == list(range(1, 11))
        areas = np.bincount(labels.ravel())[1:]
        assert (areas > 700).all()
        assert (areas < 5000).all()

        w.click((143, 155), "control")
        w.settle(lambda: '"labels": [1, 0]' in w.controller.labels.features["prompts"].iloc[-1])
        assert len(w.controller.labels.features) == 10
        assert labels[clicks[-1]] == 10


def test_the_slider_changes_the_plane() -> None:
    """Moving to another slice hides its candidate, and clicks go to the slice that is shown."""
    with window(lambda viewer: viewer.add_image(stack(), name="stack")) as w:
        w.viewer.dims.set_point(0, 2)
        w.settle()
        w.click((50, 90))
        w.settle()
        assert w.controller.session.preview.shown
        w.viewer.dims.set_point(0, 0)
        w.settle()
        assert not w.controller.session.preview.shown
        w.viewer.dims.set_point(0, 2)
        w.settle()
        w.key(Qt.Key.Key_N)
        assert iou(kept(w)[2] > 0, plane() > 0.5) > 0.9
        assert not kept(w)[[0, 1, 3, 4]].any()


def test_a_deleted_layer_mid_job(w: Window) -> None:
    """The image goes while its mask is being found, another comes: no error, and the other is worked on."""
    w.click(A)
    w.viewer.layers.remove("discs")
    w.settle()
    assert w.controller.image is None
    assert not any(isinstance(layer, Points) for layer in w.viewer.layers)

    w.viewer.add_image(plane(column=110), name="next")
    w.viewer.reset_view()
    w.settle()
    assert w.panel.layers.image.currentText() == "next"
    w.click(B)
    w.settle()
    assert w.controller.candidate is not None


def test_closing_the_viewer_mid_job() -> None:
    """A window that is closed during everything mode takes its worker along."""
    with window(lambda viewer: viewer.add_image(two_discs())) as w:
        w.press(w.panel.batch.everything)
        worker = w.controller.worker
        assert worker.busy("batch")
    assert not worker.busy()


def test_the_activity_dock_has_no_bar_of_a_job_that_is_over(w: Window) -> None:
    """Reading the image shows a bar in napari's activity dock, which is gone when it is read."""
    w.controller.engine.cache.clear()
    w.controller.encode()
    w.settle()
    w.events(0.2)

    bars = [widget for widget in QApplication.allWidgets() if type(widget).__name__ == "QtLabeledProgressBar"]
    assert [bar for bar in bars if bar.isVisibleTo(bar.parent())] == []
    assert not w.panel.progress.isVisible()


def test_everything_shows_progress_and_stops(w: Window) -> None:
    """The bar moves, Stop ends it, and no object is left; run to its end, both discs are objects."""
    seen: list[int] = []
    w.controller.busy.connect(lambda name, done, total: seen.append(done))
    w.press(w.panel.batch.everything)
    w.settle(lambda: max(seen, default=0) > 0)
    assert w.panel.progress.isVisible()
    w.press(w.panel.stop)
    w.settle()
    assert w.controller.labels is None
    assert not w.panel.progress.isVisible()

    w.press(w.panel.batch.everything)
    w.settle()
    assert iou(kept(w) == kept(w)[A], truth(40)) > 0.9
    assert iou(kept(w) == kept(w)[B], truth(110)) > 0.9


def test_another_model_is_asked_for_first(w: Window) -> None:
    """A model that is not on the machine asks; "Not now" stays with nano, which works meanwhile."""
    choice = w.panel.model.model
    choice.setCurrentText("mobilesam")
    choice.activated.emit(choice.currentIndex())
    w.events()
    assert w.panel.model.ask.isVisible()
    asked = w.panel.model.question.text()
    assert "The weights of mobilesam (41 MB, Apache-2.0) are not on this machine" in asked
    w.click(A)
    w.settle()
    assert w.controller.candidate.model == "nano"

    w.press(w.panel.model.refuse)
    assert not w.panel.model.ask.isVisible()
    assert choice.currentText() == "nano"


def test_painting_by_hand_goes_on_as_always(w: Window) -> None:
    """The output is an ordinary labels layer: napari's brush writes to it, and U takes that back."""
    w.click(A)
    w.settle()
    w.key(Qt.Key.Key_N)
    output = w.controller.labels
    assert isinstance(output, Labels)
    w.viewer.layers.selection.active = output
    output.mode, output.selected_label, output.brush_size = "paint", 5, 4
    w.drag([(100, 60), (100, 80)])
    assert (output.data == 5).any()
    w.key(Qt.Key.Key_U)
    assert not (output.data == 5).any()
    assert (output.data == 1).any()
