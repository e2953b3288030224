"""Objects written into a labels layer, with napari's own undo, and where each came from in its table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lightsam_napari.layers import same_place
from lightsam_plugins.errors import InputError

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from lightsam_napari.engine import Found
    from lightsam_napari.planes import Plane

COLUMNS = ("index", "model", "score", "prompts")
REST = 0.2  # of an object's pixels; what others leave less of is a rim or crumbs of the same thing


class Commits:
    """One labels layer as the place of finished objects.

    Args:
        labels: The layer; its data are written through napari's history.

    Raises:
        InputError: The data of the layer cannot be written.
    """

    def __init__(self, labels: Labels) -> None:
        if labels.multiscale or not hasattr(labels.data, "__setitem__"):
            raise InputError(
                f"the layer {labels.name!r} cannot be written",
                expected="one array at full resolution",
                got="several resolutions" if labels.multiscale else type(labels.data).__name__,
                hint='Choose "new layer" as the output.',
            )
        self.layer = labels
        self.last = int(np.max(labels.data, initial=0))

    def write(self, plane: Plane, found: Sequence[Found], *, protect: bool) -> int:
        """Write objects as one step of napari's history.

        Args:
            plane: Where they are.
            found: The objects; where two overlap the first has the pixels.
            protect: Leave the pixels of older objects as they are.

        Returns:
            How many are in the layer now: those of which more than `REST` is theirs. They are numbered on from the
            highest number so far.

        Raises:
            InputError: The layer's type holds no number that high.
        """
        highest = int(np.iinfo(self.layer.dtype).max)
        if self.last + len(found) > highest:
            raise InputError(
                f"the layer {self.layer.name!r} has no number left",
                expected=f"at most {highest} objects, as its type is {self.layer.dtype}",
                got=str(self.last + len(found)),
                hint="Right-click it, Convert data type, int32.",
            )
        window = _window([one.crop for one in found if one.crop[2].size])
        if window is None:
            return 0
        places = np.zeros([part.stop - part.start for part in window], np.int64)
        for place, one in reversed(list(enumerate(found, 1))):
            x0, y0, mask = one.crop
            top, left = y0 - window[0].start, x0 - window[1].start
            places[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = place
        if protect:
            places[plane.read(self.layer.data, window) != 0] = 0
        left_over = np.bincount(places.ravel(), minlength=len(found) + 1)[1:]
        there = left_over > [REST * np.count_nonzero(one.crop[2]) for one in found]
        numbers = np.concatenate([[0], np.where(there, self.last + np.cumsum(there), 0)])[places]
        rows, columns = np.nonzero(numbers)
        if not len(rows):
            return 0
        pixels = plane.index(rows + window[0].start, columns + window[1].start)
        self.layer.data_setitem(pixels, numbers[rows, columns])
        kept = [one for one, it in zip(found, there, strict=True) if it]
        self._describe(plane, list(enumerate(kept, self.last + 1)))
        self.last += len(kept)
        return len(kept)

    def _describe(self, plane: Plane, found: list[tuple[int, Found]]) -> None:
        import pandas as pd

        rows = [
            {
                "index": number,
                "model": one.model,
                "score": round(one.score, 4),
                "prompts": json.dumps({"plane": plane.position, "axes": plane.axes, **one.prompts.record()}),
            }
            for number, one in found
        ]
        before = self.layer.features
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        if len(before) and "index" not in before:  # a table by row numbers, as other plugins have it
            before = before.assign(index=np.arange(len(before)))
        self.layer.features = pd.concat([before, table], ignore_index=True) if len(before) else table


def fits(labels: Labels, image: Image) -> bool:
    """Whether a labels layer lies on an image pixel by pixel."""
    from lightsam_napari.planes import level_zero

    if labels.multiscale or labels.data.shape != level_zero(image).shape[: image.ndim]:
        return False
    return same_place(labels, image)


def _window(crops: Sequence[Any]) -> tuple[slice, slice] | None:
    """Rows and columns that hold all crops; None where there are none."""
    if not crops:
        return None
    top, left = min(y for _, y, _ in crops), min(x for x, _, _ in crops)
    bottom = max(y + mask.shape[0] for _, y, mask in crops)
    right = max(x + mask.shape[1] for x, _, mask in crops)
    return slice(top, bottom), slice(left, right)
