"""One image and what belongs to it: prompts, the candidate, the output, and the steps that can be undone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Labels

from lightsam_napari.commits import Commits, fits
from lightsam_napari.history import History, Step
from lightsam_napari.layers import IMAGE, new_labels
from lightsam_napari.preview import Preview
from lightsam_napari.prompt_layers import PromptLayers, Snapshot
from lightsam_plugins.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image

    from lightsam_napari.engine import Found
    from lightsam_napari.planes import Plane


class Session:
    """The state of working on one image; the model has no part in it."""

    def __init__(self, viewer: ViewerModel, image: Image) -> None:
        self.viewer, self.image = viewer, image
        self.prompts = PromptLayers(viewer, image)
        self.preview = Preview(viewer, image)
        self.history = History()
        self.seen = Snapshot()  # the prompts at the last step
        self._commits: Commits | None = None
        self._writing = False
        # The last output of an earlier session on this image.
        outputs = (
            one for one in reversed(viewer.layers) if isinstance(one, Labels) and IMAGE in one.metadata
        )
        self.labels = next((one for one in outputs if fits(one, image)), None)

    @property
    def labels(self) -> Labels | None:
        """Where finished objects go; None for a new layer at the first one."""
        return self._commits.layer if self._commits else None

    @labels.setter
    def labels(self, labels: Labels | None) -> None:
        if labels == self.labels:
            return
        if labels is not None and not fits(labels, self.image):
            raise InputError(
                f"the layer {labels.name!r} does not lie on {self.image.name!r} pixel by pixel",
                expected="the same shape and place",
                got=f"shape {labels.data.shape}",
                hint='Choose "new layer" as the output.',
            )
        commits = None if labels is None else Commits(labels)
        self._let_go()
        self._commits = commits
        if labels is not None:
            labels.events.paint.connect(self._on_paint)
            labels.events.data.connect(self._on_replaced)

    def step(self) -> bool:
        """Remember the prompts of now as a step; whether they differ from those of the last."""
        now = self.prompts.snapshot()
        if now == self.seen:
            return False
        self.history.push(Step(self.seen, now))
        self.seen = now
        return True

    def write(self, plane: Plane, found: Sequence[Found], *, protect: bool, clear: bool) -> int:
        """Write objects to the output, as one step.

        Args:
            plane: Where they are.
            found: The objects.
            protect: Leave older objects as they are.
            clear: Take the prompts of this plane away.

        Returns:
            How many were written.

        Raises:
            InputError: The output cannot hold them.
        """
        if self._commits is None:
            self.labels = self._new_output()
        commits = self._commits
        if commits is None:
            return 0
        before, table, last = self.prompts.snapshot(), commits.layer.features, commits.last
        self._writing = True
        try:
            count = commits.write(plane, found, protect=protect)
        finally:
            self._writing = False
        if clear:
            self.prompts.restore(self.prompts.without(plane, before))
        self.seen = self.prompts.snapshot()
        if count:
            tables, highest = (table, commits.layer.features), (last, commits.last)
            self.history.push(Step(before, self.seen, commits.layer, tables, highest))
        return count

    @property
    def highest(self) -> int:
        """The number of the object that was kept last; 0 before the first."""
        return self._commits.last if self._commits else 0

    @property
    def ends_with_object(self) -> bool:
        """Whether the last step was to keep an object."""
        step = self.history.last
        return step is not None and step.labels is not None and step.features is not None

    def extend(self) -> None:
        """Add a click that is alone to the object that was kept last, which is taken back for it."""
        now = self.prompts.snapshot()
        if len(now.points) == 1 and self.ends_with_object and self.undo():
            old = self.prompts.snapshot()
            points, polarities = old.points + now.points, old.polarities + now.polarities
            self.prompts.restore(replace(old, points=points, polarities=polarities))

    def undo(self, *, whole: bool = False) -> bool:
        """Take one step back; whether there was one.

        Args:
            whole: Together with an object goes the last of the prompts that it was made of.
        """
        step = self.history.undo()
        if step is None:
            return False
        self._go_to(step.before, step.highest and step.highest[0])
        last = self.history.last
        if whole and step.before not in (step.after, Snapshot()) and last is not None and last.labels is None:
            self.undo()
        return True

    def redo(self, *, whole: bool = False) -> bool:
        """Make the step again that was taken back last; whether there was one.

        Args:
            whole: Together with prompts comes the object that was made of them.
        """
        step = self.history.redo()
        if step is None:
            return False
        self._go_to(step.after, step.highest and step.highest[1])
        if whole and step.labels is None:
            self.redo(whole=True)
        return True

    def forget(self, layer: Any) -> bool:
        """A layer was deleted: let go of it; whether it was one of this session's."""
        if layer == self.labels and self._commits is not None:
            self._let_go()
            return True
        return self.prompts.forget(layer) or self.preview.forget(layer)

    def close(self) -> None:
        """Take the helping layers away and leave the output."""
        self._let_go()
        self.history.clear()
        self.preview.close()
        self.prompts.close()

    def _go_to(self, prompts: Snapshot, highest: int | None) -> None:
        if highest is not None and self._commits is not None:
            self._commits.last = highest
        self.prompts.restore(prompts)
        self.seen = prompts

    def _new_output(self) -> Labels:
        layer = new_labels(self.image, f"{self.image.name} objects")
        active = self.viewer.layers.selection.active
        self.viewer.add_layer(layer)
        self.viewer.layers.move(len(self.viewer.layers) - 1, self.viewer.layers.index(self.image) + 1)
        self.viewer.layers.selection.active = active
        return layer

    def _let_go(self) -> None:
        if self._commits is not None:
            labels, self._commits = self._commits.layer, None
            labels.events.paint.disconnect(self._on_paint)
            labels.events.data.disconnect(self._on_replaced)
            self.history.forget(labels)

    def _on_paint(self) -> None:
        """A user painted: one step more in the layer's own history."""
        if self._writing or self._commits is None:
            return
        self._commits.last = max(self._commits.last, int(self._commits.layer.selected_label))
        self.history.push(Step(self.seen, self.seen, self._commits.layer))

    def _on_replaced(self) -> None:
        """The data are others, and the layer's own history is empty."""
        labels = self.labels
        if labels is None:
            return
        self._let_go()
        if fits(labels, self.image):
            self.labels = labels
