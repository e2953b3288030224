"""From other threads to the window's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from qtpy.QtCore import QObject, Qt
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]


class Bridge(QObject):
    """Runs functions on the thread it was made on, in the order in which they are handed over."""

    _called = QtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self._called.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def deliver(self, function: Callable[[], None]) -> None:
        """Run a function soon; may be called from any thread, and does nothing once the window is gone."""
        with suppress(RuntimeError):
            self._called.emit(function)

    def _run(self, function: Callable[[], None]) -> None:
        function()
