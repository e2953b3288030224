"""`Masks`: what every segmentation returns, kept as low-resolution logits and cut out on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import InputError
from lightsam_plugins.low_res import low_res_boxes, stability_scores
from lightsam_plugins.mask_exports import Rle, crop_polygons, crop_rle, paste
from lightsam_plugins.types import LOW_RES, BoolArray, FloatArray, Frame
from lightsam_plugins.upsample import Crop, mask_crop, tighten

__all__ = ["Crop", "Masks", "Rle", "low_res_boxes"]

NOWHERE = -32.0  # the logits of a mask without pixels

Rows: TypeAlias = "int | slice | Sequence[int] | Sequence[bool] | npt.NDArray[Any]"


class Masks:
    """Masks of one image, in order. Immutable; coordinates are pixels of the original image.

    Pixels are computed at the first request, mask by mask and inside the mask's own box only, and kept.

    Args:
        logits: (M, 256, 256) float32 over the whole square input frame, padding included. Not copied: the
            caller leaves them as they are.
        scores: (M,) predicted IoU.
        frame: The size of the image and how it lies in the input frame.
        candidates: Rows an object: 3 after ``multimask=True``, best first, object by object.
        threshold: A pixel belongs to a mask where its upsampled logit is greater.
        crops: The pixels of each mask where they are known and not those of the logits.
        limits: (M, 4) ``xyxy`` in pixels of the original image; a mask has no pixels outside its own.

    Raises:
        InputError: Arrays whose shapes do not fit.
    """

    def __init__(
        self,
        logits: npt.ArrayLike,
        scores: npt.ArrayLike,
        frame: Frame,
        *,
        candidates: int = 1,
        threshold: float = 0.0,
        crops: Sequence[Crop] | None = None,
        limits: npt.ArrayLike | None = None,
    ) -> None:
        self._logits, self._scores = np.asarray(logits, np.float32), np.array(scores, np.float32)
        self.frame, self.candidates, self.threshold = frame, candidates, threshold
        whole = np.tile(frame.box, (self._scores.size, 1))
        self._limits = whole if limits is None else np.array(limits, np.float32)
        self._check(crops)
        self._crops: list[Crop | None] = (
            [None] * len(self) if crops is None else [_frozen(tighten(c)) for c in crops]
        )

    @classmethod
    def empty(cls, frame: Frame) -> Masks:
        """No masks of an image."""
        return cls(np.zeros((0, LOW_RES, LOW_RES), np.float32), np.zeros(0, np.float32), frame)

    @classmethod
    def concatenate(cls, parts: Sequence[Masks]) -> Masks:
        """The masks of several results of one image, one after the other.

        Raises:
            InputError: No parts, or parts of different frames, thresholds or numbers of candidates.
        """
        filled = [part for part in parts if len(part)] or list(parts[:1])
        kinds = {(part.frame, part.threshold, part.candidates) for part in filled}
        if len(kinds) != 1:
            raise InputError(
                "cannot join these masks",
                expected="at least one part, all of one frame, threshold and number of candidates",
                got=f"{len(parts)} parts of {len(kinds)} kinds",
                hint="Masks.empty(frame) stands for no masks.",
            )
        first = filled[0]
        joined = cls(
            np.concatenate([part._logits for part in filled]),
            np.concatenate([part._scores for part in filled]),
            first.frame,
            candidates=first.candidates,
            threshold=first.threshold,
            limits=np.concatenate([part._limits for part in filled]),
        )
        joined._crops = [crop for part in filled for crop in part._crops]
        return joined

    def __len__(self) -> int:
        return len(self._logits)

    def __getitem__(self, rows: Rows) -> Masks:
        """Some of the masks, each a candidate of its own: one by a number, more by a slice, list or array."""
        if isinstance(rows, int | np.integer):
            row = range(len(self))[int(rows)]
            rows = slice(row, row + 1)
        places = np.arange(len(self))[rows]
        logits = self._logits[rows if isinstance(rows, slice) else places]
        limits = self._limits[places]
        some = Masks(logits, self._scores[places], self.frame, threshold=self.threshold, limits=limits)
        some._crops = [self._crops[place] for place in places]
        return some

    def __iter__(self) -> Iterator[Masks]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.size
        groups = f", {self.candidates} candidates an object" if self.candidates > 1 else ""
        count = f"{len(self)} mask" + "s" * (len(self) != 1)
        return f"Masks({count}{groups}, image {width}x{height})"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the original image in pixels."""
        return self.frame.height, self.frame.width

    @property
    def logits(self) -> FloatArray:
        """(M, 256, 256) float32 low-resolution logits, a copy: the `mask_input` of a refinement."""
        return self._logits.copy()

    @property
    def scores(self) -> FloatArray:
        """(M,) float32 predicted IoU."""
        return self._scores.copy()

    @property
    def stability(self) -> FloatArray:
        """(M,) float32 in 0..1: IoU of the masks at threshold + 1 and - 1, on the low-resolution logits."""
        return stability_scores(self._logits, self.frame, self.threshold)

    @property
    def boxes(self) -> FloatArray:
        """(M, 4) float32 ``xyxy``, tight and half-open; zeros for an empty mask."""
        corners = [(x, y, x + mask.shape[1], y + mask.shape[0]) for x, y, mask in self.crops()]
        return np.array(corners, np.float32).reshape(-1, 4)

    @property
    def areas(self) -> npt.NDArray[np.int64]:
        """(M,) int64 number of pixels."""
        return np.array([np.count_nonzero(mask) for _, _, mask in self.crops()], np.int64)

    def crops(self) -> list[Crop]:
        """``(x0, y0, mask)`` a mask: its tight box's corner and (h, w) bool, read-only; (0, 0) if empty."""
        for row, crop in enumerate(self._crops):
            if crop is None:
                crop = mask_crop(self._logits[row], self.frame, self.threshold, self._limits[row])
                self._crops[row] = _frozen(crop)
        return [crop for crop in self._crops if crop is not None]

    def dense(self) -> BoolArray:
        """(M, H, W) bool, the one method that makes full-size arrays."""
        images = np.zeros((len(self), *self.size), bool)
        for crop, image in zip(self.crops(), images, strict=True):
            paste(crop, image)
        return images

    def rle(self) -> list[Rle]:
        """COCO's compressed run-length encoding of each mask in the whole image."""
        return [crop_rle(crop, *self.size) for crop in self.crops()]

    def polygons(self) -> list[list[FloatArray]]:
        """Outlines of each mask: rings of (K, 2) float32 ``(x, y)``, see `mask_exports.crop_polygons`."""
        return [crop_polygons(crop) for crop in self.crops()]

    def best(self) -> Masks:
        """The first candidate of each object: one mask an object."""
        return self if self.candidates == 1 else self[:: self.candidates]

    def sized(self, rank: int) -> Masks:
        """Of each object's candidates the one of this rank by size: 0 the smallest, -1 the largest.

        SAM's three candidates are mostly a part of a part, a part and the whole of an object, so that a rank asks for
        one of these. Sizes are those of the low-resolution masks.

        Raises:
            InputError: There are fewer candidates than that.
        """
        if not -self.candidates <= rank < self.candidates:
            raise InputError("rank", expected=f"one of {self.candidates} candidates, from 0", got=str(rank))
        areas = np.count_nonzero(self._logits > self.threshold, axis=(1, 2)).reshape(-1, self.candidates)
        chosen = areas.argsort(1, kind="stable")[:, rank]
        return self[np.arange(len(areas)) * self.candidates + chosen]

    def _check(self, crops: Sequence[Crop] | None) -> None:
        count = len(self._logits) if self._logits.ndim else 0
        if self._logits.shape != (count, LOW_RES, LOW_RES):
            raise InputError("logits", expected=f"(M, {LOW_RES}, {LOW_RES})", got=f"{self._logits.shape}")
        if self._scores.shape != (count,):
            raise InputError("scores", expected=f"({count},), one a mask", got=f"{self._scores.shape}")
        if self._limits.shape != (count, 4):
            raise InputError("limits", expected=f"({count}, 4), one a mask", got=f"{self._limits.shape}")
        if self.candidates < 1 or count % self.candidates:
            raise InputError("candidates", expected=f"a divisor of {count} rows", got=str(self.candidates))
        if crops is not None and len(crops) != count:
            raise InputError("crops", expected=f"{count}, one a mask", got=str(len(crops)))


def _frozen(crop: Crop) -> Crop:
    x0, y0, mask = crop
    kept = mask.view()
    kept.flags.writeable = False
    return x0, y0, kept
