"""Clicks of "one click, one object" that come faster than objects are found: one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightsam_napari.controller import Controller


class Turns:
    """What waits until the click before it is an object; together they would be prompts of one."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._waiting: list[tuple[tuple[float, ...], str]] = []
        self.asked = False  # the model was asked for an object and has not answered

    def defers(self) -> bool:
        """Put the click that was just added aside, if it has to wait; whether it has to."""
        controller = self._controller
        session = controller.require_session()
        now, before = session.prompts.snapshot(), session.seen
        added = now.points[:-1] == before.points and now.shapes == before.shapes and len(now.points) > 1
        if not (added and self.asked and controller.one_click) or controller.extend_next:
            return False
        self._waiting.append((now.points[-1], now.polarities[-1]))
        session.prompts.restore(before)
        return True

    def next(self) -> None:
        """The one before is done: ask for the next, if there is one."""
        if self._waiting:
            session = self._controller.require_session()
            session.prompts.restore(session.seen.with_click(*self._waiting.pop(0)))
            session.step()
            self._controller.refresh()

    def end(self) -> None:
        """Nothing is asked for any more."""
        self.asked = False
        self._waiting.clear()
