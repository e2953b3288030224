"""Crops in the forms other programs read: COCO run-length encoding and polygons."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias, TypedDict, cast

import numpy as np
import numpy.typing as npt

from lightsam_plugins.types import BoolArray, FloatArray
from lightsam_plugins.upsample import Crop

# contourpy's OuterOffset: points (K, 2) of each exterior and its holes, and where each ring of them begins.
_Filled: TypeAlias = "tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.uint32]]]"


class Rle(TypedDict):
    """COCO's compressed run-length encoding, as pycocotools has it, with text that JSON can hold.

    Args:
        size: [height, width] of the whole image.
        counts: Compressed run lengths, column by column.
    """

    size: list[int]
    counts: str


def crop_rle(crop: Crop, height: int, width: int) -> Rle:
    """Encode a mask in an image of `height` x `width` pixels from its crop; the image is never built."""
    from pycocotools import mask as coco

    runs = {"size": [height, width], "counts": _runs(crop, height, width)}
    encoded: Any = coco.frPyObjects(runs, height, width)  # type: ignore[call-overload] # stubs lack arrays
    return Rle(size=[height, width], counts=encoded["counts"].decode("ascii"))


def _runs(crop: Crop, height: int, width: int) -> npt.NDArray[np.int64]:
    """Lengths of the alternating runs of the whole image, column by column, background first."""
    x0, y0, mask = crop
    h, w = mask.shape
    # An empty row above and below each column: every run begins and ends inside its own column.
    columns = np.zeros((w, h + 2), bool)
    columns[:, 1:-1] = mask.T
    flat = columns.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    column, row = np.divmod(changes, h + 2)
    edges = (x0 + column) * height + y0 + row
    # A run down to the last row goes on where the next column begins with one: both edges fall together.
    together = edges[1:-1:2] == edges[2::2]
    keep = np.ones(len(edges), bool)
    keep[1:-1:2], keep[2::2] = ~together, ~together
    total = height * width
    ends = edges[keep] if len(edges) and edges[-1] == total else np.append(edges[keep], total)
    return np.diff(ends, prepend=0)


def crop_polygons(crop: Crop) -> list[FloatArray]:
    """Outlines of a mask in original pixels, where pixel (c, r) covers [c, c + 1] x [r, r + 1].

    A pixel belongs to the mask exactly where its centre lies in the rings by the even-odd rule. An outline
    passes half way between the centres of a mask pixel and its neighbour outside, so that the bounds of all
    rings are the box of the mask; pixels that touch by a corner only are apart.

    Returns:
        Rings of (K, 2) float32 ``(x, y)``, K >= 4, the last point not repeated; each exterior is followed by
        its holes. By the shoelace formula ``sum(x[i] * y[i+1] - x[i+1] * y[i]) / 2`` exteriors have
        positive and holes negative areas.
    """
    from contourpy import FillType, contour_generator

    x0, y0, mask = crop
    if not mask.size:
        return []
    generator = contour_generator(z=np.pad(mask, 1).astype(np.float64), fill_type=FillType.OuterOffset)
    groups, offsets = cast("_Filled", generator.filled(0.5, 2.0))
    # Padding puts the centre of the crop's first pixel at 1; in original pixels it is at x0 + 0.5.
    origin = np.array([x0 - 0.5, y0 - 0.5])
    return [
        _simplified((group[start : stop - 1] + origin).astype(np.float32))
        for group, starts in zip(groups, offsets, strict=True)
        for start, stop in pairwise(starts)
    ]


def _simplified(ring: FloatArray) -> FloatArray:
    """The ring without the points that lie on the straight line between their neighbours."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    bends = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    simple: FloatArray = ring[bends]
    return simple


def window(crop: Crop, box: npt.ArrayLike) -> BoolArray:
    """What a mask has inside a box: (h, w) bool, of the pixels nearest to the box and at least one.

    Args:
        crop: The mask.
        box: ``xyxy`` in pixels of the image.
    """
    x, y, mask = crop
    x0, y0, x1, y1 = np.rint(np.asarray(box, np.float64)).astype(int)
    part = mask[max(y0 - y, 0) : max(y1 - y, 0), max(x0 - x, 0) : max(x1 - x, 0)]
    inside = np.zeros((max(y1 - y0, 1), max(x1 - x0, 1)), bool)
    top, left = max(y - y0, 0), max(x - x0, 0)
    inside[top : top + part.shape[0], left : left + part.shape[1]] = part
    return inside


def paste(crop: Crop, image: BoolArray) -> None:
    """Write a crop into an (H, W) image of False."""
    x0, y0, mask = crop
    image[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
