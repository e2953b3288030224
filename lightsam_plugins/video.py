"""Objects followed through a video: prompted once, then found again in each frame.

::

    video = VideoSegmenter(ls.load("nano"))
    video.add(boxes=[[315, 155, 382, 219]])          # in the next frame
    for frame in frames:
        found = video.step(frame)                     # found.ids, found.masks, found.states
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lightsam_plugins.adapter_arguments import check_model
from lightsam_plugins.adapter_frames import check_stream, turned
from lightsam_plugins.boxes import box_areas
from lightsam_plugins.errors import InputError, OptionError, check_flags
from lightsam_plugins.images import load_image
from lightsam_plugins.mask_prompts import crop_logits
from lightsam_plugins.masks import NOWHERE, Masks
from lightsam_plugins.transforms import frame_for
from lightsam_plugins.types import LOW_RES, FloatArray
from lightsam_plugins.video_objects import Object, State
from lightsam_plugins.video_prompts import Pending
from lightsam_plugins.video_search import Look, Place

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.segmenter import Segmenter
    from lightsam_plugins.types import ArrayLike, Embedding, Frame, ImageLike
    from lightsam_plugins.upsample import Crop

NEAR = 0.75  # how far from its expected place a visible object is looked for, in parts of its longer side
FAR, FARTHER, FARTHEST = 1.5, 0.5, 6.0  # likewise one that is not seen: at once, more a frame, at most
SIZES, FAR_SIZES = (1.0,), (0.8, 1.0, 1.25)  # relative sizes that are tried; near ones grow by their masks
MARGIN = 0.1  # of the box that is prompted, in parts of its sides
DIFFERENCE = 45.0  # grey levels; a place that differs more from the look of an object is another one
FALL = 0.8  # of the predicted IoU when it was prompted, below which it has fallen
# Likeness of the colours below which a mask is of something else, and below which it is of something else as well.
ALIKE, SAME = 0.9, 0.95
AREAS = (0.25, 2.5)  # of the area that is expected, outside of which a mask is of something else
WHOLE = 0.8  # IoU of the box of a mask and of its place, below which an object is partly hidden, or joined by another


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """What was found in one frame.

    Args:
        index: Number of the frame, from 0.
        ids: (N,) the objects that are followed, in the order in which they were added.
        masks: N masks; without pixels, of score 0, where an object is not visible.
        states: ``"visible"``, ``"hidden"`` or ``"outside"`` for each object.
    """

    index: int
    ids: list[int]
    masks: Masks
    states: list[State]


class _Found(NamedTuple):
    crop: Crop
    logits: FloatArray
    score: float
    place: Place
    likeness: float = 1.0

    @property
    def worth(self) -> float:
        return self.score + self.likeness - self.place.difference / 100


class VideoSegmenter:
    """Follows objects through a stream of frames; what it remembers does not grow with the stream.

    Each object's place is predicted from its motion, corrected by comparing its last look with the pixels around, and
    prompted as a box. Where the predicted IoU falls, the area jumps or nothing there looks like it, it is looked
    for in a wider area that grows while it is not found; it then counts as hidden, or as outside where it went over
    the border.

    Args:
        model: The model; it has to take boxes.
        patience: Frames after which an object that is not found is forgotten.
        mask_prompt: Prompt with the last mask besides the box. Better or worse, by the model: see docs/video.md.
        bgr: Arrays are BGR, as OpenCV reads them; RGB otherwise. PIL images and files know their colours.

    Raises:
        InputError: No model.
        OptionError: `patience` is below 1, a switch is neither True nor False, or the model takes no mask and should.
    """

    def __init__(
        self, model: Segmenter, *, patience: int = 100, mask_prompt: bool = False, bgr: bool = False
    ) -> None:
        check_model(model)
        check_flags(mask_prompt=mask_prompt, bgr=bgr)
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise OptionError("patience", expected="a whole number of frames >= 1", got=repr(patience))
        if mask_prompt and "mask" not in model.spec.prompts:
            raise OptionError(f"mask_prompt: {model.name} takes no mask", expected="False", got="True")
        self.model, self.patience, self.mask_prompt, self.bgr = model, patience, mask_prompt, bgr
        self._objects: list[Object] = []
        self._pending: list[Pending] = []
        self._next_id = self._index = 0
        self._size = (0, 0)

    @property
    def ids(self) -> list[int]:
        """The objects that are followed, and those added for the next frame, in their order."""
        return [one.identity for one in self._objects] + [one for group in self._pending for one in group.ids]

    def add(
        self,
        *,
        boxes: ArrayLike | None = None,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        masks: ArrayLike | None = None,
    ) -> list[int]:
        """Follow more objects from the next frame on; whether the prompts, in its pixels, fit it is told by `step`.

        Args:
            boxes: (N, 4) or (4,) ``xyxy``.
            points: ``(x, y)``: (P, 2) is one object, (N, P, 2) are N.
            point_labels: (P,) or (N, P): 1 foreground, 0 background, -1 padding.
            masks: (N, H, W) bool, or (N, 256, 256) logits.

        Returns:
            N numbers, which no other object of this video has had.

        Raises:
            PromptError: No prompt, or one that fits no image: of another shape, with NaN, an inverted box.
        """
        pending = Pending.of(self._next_id, boxes, points, point_labels, masks)
        self._next_id += len(pending.ids)
        self._pending.append(pending)
        return pending.ids

    def remove(self, identities: int | Iterable[int]) -> None:
        """Follow some objects no longer.

        Args:
            identities: A number of `add`, or several.

        Raises:
            InputError: No object of such a number is followed; then all others are, still.
        """
        gone = set(identities) if isinstance(identities, Iterable) else {identities}
        for identity in gone.difference(self.ids):
            raise InputError(
                f"no object {identity!r} is followed",
                expected=f"one of {self.ids}",
                hint="One without a mask at its prompt, or not found for `patience` frames, is forgotten.",
            )
        self._objects = [one for one in self._objects if one.identity not in gone]
        self._pending = [group.without(gone) for group in self._pending]

    def run(self, frames: Iterable[ImageLike]) -> Iterator[VideoFrame]:
        """`step` for each frame of a stream, one at a time.

        Raises:
            ImageError: `frames` is a file or a single image; each frame's own errors are those of `step`.
        """
        return map(self.step, check_stream(frames))

    def step(self, image: ImageLike) -> VideoFrame:
        """Find all objects in the next frame.

        Args:
            image: As in `Segmenter.embed`, or BGR by `bgr`; its size may change from frame to frame.

        Raises:
            ImageError: It cannot be read; nothing is forgotten, and the next frame may follow.
            PromptError: A prompt of `add` that does not fit; it is dropped.

        Warns:
            UserWarning: The prompt of an object has no mask; it is dropped.
        """
        pixels = load_image(turned(image, bgr=self.bgr))
        pending, self._pending = self._pending, []
        if not self._objects and not any(group.ids for group in pending):
            spec = self.model.spec
            return self._answer(frame_for(pixels, side=spec.prompt_side, fit=spec.fit), {})
        embedding = self.model.embed(pixels)
        found = self._follow(pixels, embedding)
        for group in pending:
            masks = group.segment(self.model, embedding)
            for row, identity in enumerate(group.ids):
                crop, score = masks.crops()[row], float(masks.scores[row])
                if not crop[2].size:
                    warnings.warn(
                        f"the prompt of object {identity} has no mask: it is not followed", stacklevel=2
                    )
                else:
                    self._objects.append(Object.of(identity, pixels, crop, score))
                    found[identity] = _Found(crop, masks.logits[row], score, Place(masks.boxes[row], 0.0))
        return self._answer(embedding.frame, found)

    def _follow(self, image: UInt8Array, embedding: Embedding) -> dict[int, _Found]:
        """Find the objects of the last frame in this one; what is not found for long is forgotten."""
        frame = embedding.frame
        if self._objects and self._size != embedding.size:
            for one in self._objects:
                one.rescale(embedding.size[1] / self._size[1], embedding.size[0] / self._size[0])
        self._size = embedding.size
        near = {one.identity: self._near(one, image) for one in self._objects if not one.missed}
        found = self._prompted(image, embedding, near)
        lost = {one.identity: self._far(one, image) for one in self._objects if one.identity not in found}
        found |= self._prompted(image, embedding, lost)
        for one in self._objects:
            if (seen := found.get(one.identity)) is None:
                one.miss(frame)
            else:
                one.see(image, seen.crop, place=seen.place.box, whole=_is_whole(seen))
        self._objects = [one for one in self._objects if one.missed < self.patience]
        return found

    def _near(self, one: Object, image: UInt8Array) -> list[Place]:
        """Where a visible object went; where it cannot be compared, at the border, its motion says so."""
        places = one.last.find(image, one.window(NEAR), SIZES, 1)
        return places or [Place(one.expected.astype(np.float32), 0.0)]

    def _far(self, one: Object, image: UInt8Array) -> list[Place]:
        reach = min(FAR + FARTHER * one.missed, FARTHEST)
        grown = float(one.size.max()) / max(one.first.size)
        places = one.first.find(image, one.window(reach), tuple(grown * size for size in FAR_SIZES), 3)
        places += one.last.find(image, one.window(reach), (1.0,), 2)
        return [place for place in places if place.difference < DIFFERENCE]

    def _prompted(
        self, image: UInt8Array, embedding: Embedding, places: dict[int, list[Place]]
    ) -> dict[int, _Found]:
        """The best mask of each object among those at some places, where one is good enough to be it."""
        frame = embedding.frame
        tries = [
            (one, place, box)
            for one in self._objects
            for place in places.get(one.identity, [])
            if (box := _prompt(place, frame)) is not None
        ]
        if not tries:
            return {}
        moved = [one.moved_to(place.box, frame) for one, place, _ in tries] if self.mask_prompt else None
        masks = self.model.segment(
            embedding,
            boxes=np.array([box for _, _, box in tries]),
            mask_input=None if moved is None else crop_logits(moved, frame),
        )
        found: dict[int, _Found] = {}
        for row, ((one, place, _), crop) in enumerate(zip(tries, masks.crops(), strict=True)):
            score, best = float(masks.scores[row]), found.get(one.identity)
            likeness = one.first.likeness(Look.of(image, crop)) if crop[2].size else 0.0
            seen = _Found(crop, masks.logits[row], score, place, likeness)
            if self._is_it(one, frame, seen) and (best is None or seen.worth > best.worth):
                found[one.identity] = seen
        return found

    def _is_it(self, one: Object, frame: Frame, seen: _Found) -> bool:
        area, expected = int(np.count_nonzero(seen.crop[2])), one.area_in(frame)
        fits = AREAS[0] * expected <= area <= AREAS[1] * max(expected, 1) and area > 0
        alike = seen.likeness >= ALIKE and seen.place.difference < DIFFERENCE
        return fits and alike and seen.score >= FALL * one.score

    def _answer(self, frame: Frame, found: dict[int, _Found]) -> VideoFrame:
        empty, low = (0, 0, np.zeros((0, 0), bool)), np.full((LOW_RES, LOW_RES), NOWHERE, np.float32)
        nothing = _Found(empty, low, 0.0, Place(np.zeros(4, np.float32), 0.0))
        rows = [found.get(one.identity, nothing) for one in self._objects]
        masks = Masks(
            np.array([row.logits for row in rows]).reshape(-1, LOW_RES, LOW_RES),
            [row.score for row in rows],
            frame,
            crops=[row.crop for row in rows],
        )
        ids, states = [one.identity for one in self._objects], [one.state(frame) for one in self._objects]
        self._index += 1
        return VideoFrame(self._index - 1, ids, masks, states)


def _is_whole(found: _Found) -> bool:
    x0, y0, mask = found.crop
    box, place = np.array([x0, y0, x0 + mask.shape[1], y0 + mask.shape[0]], np.float32), found.place.box
    sides = np.clip(np.minimum(box[2:], place[2:]) - np.maximum(box[:2], place[:2]), 0, None)
    overlap = float(np.prod(sides))
    return found.likeness >= SAME and overlap >= WHOLE * (
        float(box_areas(box[None])[0] + box_areas(place[None])[0]) - overlap
    )


def _prompt(place: Place, frame: Frame) -> FloatArray | None:
    """The box to prompt at a place, inside the frame; None where nothing of it is."""
    margin = MARGIN / 2 * (place.box[2:] - place.box[:2])
    box = np.clip(
        np.concatenate([place.box[:2] - margin, place.box[2:] + margin]), 0, np.tile(frame.box[2:], 2)
    )
    return box.astype(np.float32) if (box[2:] - box[:2] >= 1).all() else None
