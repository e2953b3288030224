"""Parts of the panel, in napari's real window."""

import pytest
from discs import stack
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel
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
    """At the panel's own width the last line of "Mouse and keys" is inside of it."""
    with window(lambda viewer: viewer.add_image(stack(), name="stack")) as w:
        label = next(one for one in w.panel.findChildren(QLabel) if "undo, as anywhere" in one.text())
        w.settle()

        assert label.height() >= label.heightForWidth(label.width())
        assert label.geometry().bottom() <= label.parentWidget().height()
