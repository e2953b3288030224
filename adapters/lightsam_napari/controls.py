"""Small parts of the panel: choices, buttons and checks that follow the controller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QWidget


class Choice(QComboBox):
    """A combo box of any values, each shown by a text.

    Args:
        tip: What it is for.
        chosen: Called with the value that a user chooses.
    """

    def __init__(self, tip: str, chosen: Callable[[Any], None]) -> None:
        super().__init__()
        self.setToolTip(tip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(10)
        # After a choice by the mouse keys go to the canvas as before.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._values: list[Any] = []
        self.activated.connect(lambda row: chosen(self._values[row]))

    def offer(self, items: Sequence[tuple[str, Any]], current: Any) -> None:
        """Show these texts and values, and which is chosen; no user's choice."""
        values = [value for _, value in items]
        texts = [text for text, _ in items]
        shown = [self.itemText(row) for row in range(self.count())]
        with QSignalBlocker(self):
            if texts != shown:
                self.clear()
                self.addItems(texts)
            self._values = values
            rows = [row for row, value in enumerate(values) if value == current]
            self.setCurrentIndex(rows[0] if rows else -1)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802 - Qt's name
        """Scroll the panel, of which this is a part, and choose nothing."""
        if event is not None:
            event.ignore()

    @property
    def value(self) -> Any:
        """What is chosen; None where nothing is."""
        row = self.currentIndex()
        return self._values[row] if 0 <= row < len(self._values) else None


def button(text: str, tip: str, clicked: Callable[[], Any], *, checkable: bool = False) -> QPushButton:
    """A button that never takes the keyboard from the canvas."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.clicked.connect(lambda _checked=False: clicked())
    return made


def check(text: str, tip: str, toggled: Callable[[bool], None]) -> QCheckBox:
    """A check box."""
    made = QCheckBox(text)
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.clicked.connect(lambda checked=False: toggled(bool(checked)))
    return made


def row(*widgets: QWidget) -> QWidget:
    """Widgets side by side."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return box
