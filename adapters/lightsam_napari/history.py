"""Undo and redo across prompts and finished objects, in the order in which a user made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Labels

    from lightsam_napari.prompt_layers import Snapshot

LIMIT = 100  # steps; a labels layer of napari keeps as many


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """What one step changed.

    Args:
        before: The prompts before it.
        after: And after it.
        labels: The layer it wrote to, one step of that layer's own history; None for prompts alone.
        features: The table of that layer (before, after).
        highest: The highest number of an object in it (before, after).
    """

    before: Snapshot
    after: Snapshot
    labels: Labels | None = None
    features: tuple[Any, Any] | None = None
    highest: tuple[int, int] | None = None


class History:
    """The steps of a session, undone and redone one by one."""

    def __init__(self) -> None:
        self._done: list[Step] = []
        self._undone: list[Step] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back last."""
        return bool(self._undone)

    @property
    def last(self) -> Step | None:
        """The step that `undo` would take back."""
        return self._done[-1] if self._done else None

    def push(self, step: Step) -> None:
        """A step was made."""
        self._done.append(step)
        del self._done[:-LIMIT]
        self._undone.clear()

    def undo(self) -> Step | None:
        """Take back the last step in its labels layer; the prompts are the caller's."""
        if not self._done:
            return None
        step = self._done.pop()
        self._undone.append(step)
        if step.labels is not None:
            step.labels.undo()
            if step.features is not None:
                step.labels.features = step.features[0]
        return step

    def redo(self) -> Step | None:
        """Make the step again that was taken back last."""
        if not self._undone:
            return None
        step = self._undone.pop()
        self._done.append(step)
        if step.labels is not None:
            step.labels.redo()
            if step.features is not None:
                step.labels.features = step.features[1]
        return step

    def forget(self, labels: Labels) -> None:
        """A labels layer is gone, or its own history is: its steps cannot be taken back any more."""
        self._done = [step for step in self._done if step.labels != labels]
        self._undone = [step for step in self._undone if step.labels != labels]

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()
