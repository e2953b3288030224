"""Masks for the boxes of a detector or a tracker: row i of the boxes is row i of the masks, whatever the boxes are.

What a video pipeline needs beyond `Segmenter.segment`: several frames at once, boxes that have left the frame, and
frames so large that the object would be a few cells of the network's input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import InputError, OptionError, located
from lightsam_plugins.everything_join import Part, onto_frame
from lightsam_plugins.images import load_image
from lightsam_plugins.masks import NOWHERE, Masks
from lightsam_plugins.prompt_arrays import check_boxes
from lightsam_plugins.transforms import frame_for
from lightsam_plugins.types import LOW_RES, BoolArray, Frame

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.segmenter import Segmenter
    from lightsam_plugins.types import ArrayLike, ImageLike
    from lightsam_plugins.upsample import Crop

HUGE = 4096  # pixels of the longest side; frames beyond that are cut into tiles of half of it

Window: TypeAlias = tuple[int, int, int, int]


class _Job(NamedTuple):
    """Boxes that are prompted in one part of one image: ``xyxy`` of the part, and the rows."""

    image: int
    window: Window
    rows: npt.NDArray[np.intp]


def segment_boxes(
    model: Segmenter,
    images: Sequence[ImageLike],
    boxes: Sequence[ArrayLike],
    *,
    tile: int | None = None,
    batch_size: int = 8,
) -> list[Masks]:
    """One mask a box, for the boxes of several images.

    A box that has no area inside of its image (a tracker's whose object has left) gets a mask without pixels of score
    0. Images without boxes are not encoded. In images whose longest side is above 4096 pixels boxes are grouped by
    tiles, so that small objects keep their pixels: a tile is twice as large as the boxes in it at least.

    Args:
        model: The model.
        images: B images, as in `Segmenter.embed`.
        boxes: (N, 4) ``xyxy`` in pixels of its image, for each image.
        tile: Side of the smallest tiles in pixels, for images of any size; None leaves it to the rule above.
        batch_size: Images or tiles encoded at once.

    Returns:
        B masks, in the order of the images.

    Raises:
        InputError: Not one array of boxes an image.
        OptionError: See `check_tile`.
        PromptError: A box with NaN, or inverted.
        ImageError: An image cannot be read.
    """
    if len(images) != len(boxes):
        raise InputError("boxes", expected=f"{len(images)} arrays, one an image", got=f"{len(boxes)}")
    check_tile(tile)
    pixels, corners = _read(images, boxes)
    frames = [frame_for(image, side=model.spec.prompt_side, fit=model.spec.fit) for image in pixels]
    gone = [_gone(one, frame) for one, frame in zip(corners, frames, strict=True)]
    parts: list[list[tuple[npt.NDArray[np.intp], Masks]]] = [[] for _ in images]
    jobs = [
        _Job(index, window, rows)
        for index, (one, frame) in enumerate(zip(corners, frames, strict=True))
        for window, rows in _windows(one, np.flatnonzero(~gone[index]), frame, tile)
    ]
    for start in range(0, len(jobs), batch_size):
        some = jobs[start : start + batch_size]
        embeddings = model.embed([_cut(pixels[job.image], job.window) for job in some], batch_size=batch_size)
        for job, embedding in zip(some, embeddings, strict=True):
            moved = corners[job.image][job.rows] - np.tile(job.window[:2], 2)
            found = model.segment(embedding, boxes=moved)
            parts[job.image].append((job.rows, _placed(found, job.window, frames[job.image])))
    return [
        _in_order(several, np.flatnonzero(lost), frame)
        for several, lost, frame in zip(parts, gone, frames, strict=True)
    ]


def _read(
    images: Sequence[ImageLike], boxes: Sequence[ArrayLike]
) -> tuple[list[UInt8Array], list[npt.NDArray[np.float64]]]:
    """Pixels and boxes of each image; an error says of which of several."""
    pixels, corners = [], []
    for index, (image, own) in enumerate(zip(images, boxes, strict=True)):
        try:
            pixels.append(load_image(image))
            corners.append(check_boxes(own, empty=True))
        except InputError as error:
            raise located(error, f"image {index} of {len(images)}") if len(images) > 1 else error from None
    return pixels, corners


def check_tile(tile: int | None) -> None:
    """Check the side of tiles.

    Raises:
        OptionError: It is no whole number of at least 64, nor None.
    """
    if tile is not None and (isinstance(tile, bool) or not isinstance(tile, int) or tile < 64):
        raise OptionError("tile", expected="a whole number >= 64, in pixels", got=repr(tile))


def _gone(boxes: npt.NDArray[np.float64], frame: Frame) -> BoolArray:
    """Which boxes have no area inside the image."""
    clipped = np.clip(boxes, 0, np.tile((frame.width, frame.height), 2))
    return np.asarray((clipped[:, 2:] <= clipped[:, :2]).any(axis=1))


def _windows(
    boxes: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], frame: Frame, tile: int | None
) -> Iterator[tuple[Window, npt.NDArray[np.intp]]]:
    """Parts of the image and the boxes prompted in each: the whole, or tiles that overlap by half.

    A box is at most half as long as its tile, so that the tile nearest to it holds it with a margin around.
    """
    whole = max(frame.height, frame.width)
    side = tile or (HUGE // 2 if whole > HUGE else whole)
    if not len(rows) or side >= whole:
        if len(rows):
            yield (0, 0, frame.width, frame.height), rows
        return
    groups: dict[Window, list[int]] = {}
    for row in rows:
        x0, y0, x1, y1 = boxes[row]
        level = side
        while level < 2 * max(x1 - x0, y1 - y0) and level < whole:
            level *= 2
        step = level / 2
        starts = [
            int(np.clip(round(((low + high - level) / 2) / step) * step, 0, max(0, size - level)))
            for low, high, size in ((x0, x1, frame.width), (y0, y1, frame.height))
        ]
        ends = [
            min(start + level, size) for start, size in zip(starts, (frame.width, frame.height), strict=True)
        ]
        groups.setdefault((starts[0], starts[1], ends[0], ends[1]), []).append(int(row))
    for window, members in groups.items():
        yield window, np.array(members)


def _cut(image: UInt8Array, window: Window) -> UInt8Array:
    x0, y0, x1, y1 = window
    return image[y0:y1, x0:x1]


def _placed(found: Masks, window: Window, frame: Frame) -> Masks:
    """The masks of a tile in the frame of the whole image."""
    if found.frame == frame:
        return found
    limits = np.tile(found.frame.box, (len(found), 1))
    part = Part(window, found.frame, found.logits, found.scores, found.boxes, limits)
    crops: list[Crop] = [(x0 + window[0], y0 + window[1], mask) for x0, y0, mask in found.crops()]
    return Masks(onto_frame(part, frame), found.scores, frame, crops=crops)


def _in_order(
    parts: list[tuple[npt.NDArray[np.intp], Masks]], gone: npt.NDArray[np.intp], frame: Frame
) -> Masks:
    """All masks of one image by row; those of `gone` have no pixels."""
    if len(parts) == 1 and not len(gone):
        return parts[0][1]
    nothing = Masks(np.full((len(gone), LOW_RES, LOW_RES), NOWHERE, np.float32), np.zeros(len(gone)), frame)
    rows = np.concatenate([*(rows for rows, _ in parts), gone])
    return Masks.concatenate([*(masks for _, masks in parts), nothing])[np.argsort(rows, kind="stable")]
