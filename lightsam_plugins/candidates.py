"""The masks everything mode has found so far in one view (the image, or one crop of it).

Memory: of every candidate that passes the filters its boxes, score and click are kept (44 bytes), but logits
(256 KB) only of those that non-maximum suppression would keep if the run ended now. Suppression is done
over ALL boxes each time, so the outcome is that of one suppression at the end, whatever the chunk; the
rare candidate that comes back because the one that beat it lost later is decoded once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from lightsam_plugins.boxes import cut_by_crop, nms
from lightsam_plugins.everything_options import EverythingOptions
from lightsam_plugins.hierarchy import Hierarchy
from lightsam_plugins.low_res import low_res_boxes, stability_scores
from lightsam_plugins.point_grid import CropBox
from lightsam_plugins.types import LOW_RES, Chosen, FloatArray, Frame, IntArray

Decoder = Callable[[FloatArray, float], Chosen]

HELD = 256  # logits held before the first pruning: 64 MB


@dataclass(frozen=True, slots=True)
class View:
    """A crop of the image, encoded.

    Args:
        crop: Where it lies, ``xyxy`` in pixels of the image.
        frame: Its size and how it lies in the input frame.
        size: (height, width) of the whole image.
        points: (K, 2) clicks in pixels of the crop, or (K, 5) detected objects.
        decode: Gives the candidates of n of them whose predicted IoU is above a threshold, with limits in pixels of
            the crop.
    """

    crop: CropBox
    frame: Frame
    size: tuple[int, int]
    points: FloatArray
    decode: Decoder

    @property
    def clicked(self) -> bool:
        """Whether it is asked by clicks, and not by what was detected."""
        return bool(self.points.shape[1] == 2)


@dataclass(frozen=True, slots=True)
class _Found:
    boxes: FloatArray  # (m, 4), pixels of the whole image
    scores: FloatArray  # (m,)
    points: IntArray  # (m,), the click each came from
    limits: FloatArray  # (m, 4), pixels of the crop


_NO_BOXES = np.empty((0, 4), np.float32)
_NOTHING = _Found(_NO_BOXES, np.empty(0, np.float32), np.empty(0, np.intp), _NO_BOXES)


class Candidates:
    """Collects the masks of one view.

    Args:
        view: Where they come from.
        options: The filters.

    Attributes:
        decoded: Clicks decoded so far.
        left_out: Clicks that were found not to be worth it.
    """

    def __init__(self, view: View, options: EverythingOptions) -> None:
        self.view, self._options = view, options
        self._chunks: list[_Found] = [_NOTHING]
        self._logits: dict[int, FloatArray] = {}
        self._limit = HELD
        self._hierarchy: Hierarchy | None = None
        if options.hierarchical and view.clicked:
            self._hierarchy = Hierarchy(view.points, view.frame, options.pred_iou_thresh)
        self.decoded, self.left_out = 0, 0

    @property
    def held(self) -> int:
        """Number of candidates whose logits are in memory."""
        return len(self._logits)

    def chunks(self, size: int) -> Iterator[IntArray]:
        """Numbers of the clicks to be decoded, `size` at a time; which come last may depend on what was decoded."""
        yield from _cut(np.arange(self._hierarchy.coarse if self._hierarchy else len(self.view.points)), size)
        if self._hierarchy is not None:
            needed = self._hierarchy.needed()
            self.left_out = len(self.view.points) - self._hierarchy.coarse - len(needed)
            yield from _cut(needed, size)

    def decode(self, clicks: IntArray) -> None:
        """Decode these clicks and keep what passes the filters."""
        rated = self.view.decode(self.view.points[clicks], self._options.pred_iou_thresh)
        found, masks = self._filter(rated, clicks)
        if self._hierarchy is not None and clicks[0] < self._hierarchy.coarse:
            self._hierarchy.note(clicks, rated.best, masks, found.scores)
        self.decoded += len(clicks)
        first = sum(len(chunk.scores) for chunk in self._chunks)
        # One append: Ctrl-C leaves either all of a chunk or nothing (logits that miss are decoded again).
        self._chunks.append(found)
        self._logits.update({first + row: mask.copy() for row, mask in enumerate(masks)})
        if self.held > self._limit:
            self._prune()

    def winners(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """What is left after suppression, best first.

        Returns:
            Logits (M, 256, 256) float32, scores (M,), boxes (M, 4) in pixels of the whole image and limits (M, 4)
            in pixels of the crop.
        """
        found, rows = self._prune()
        self._decode_again(found, [row for row in rows.tolist() if row not in self._logits])
        logits = np.empty((len(rows), LOW_RES, LOW_RES), np.float32)
        for index, row in enumerate(rows.tolist()):
            logits[index] = self._logits.pop(row)
        return logits, found.scores[rows], found.boxes[rows], found.limits[rows]

    def _filter(self, rated: Chosen, clicks: IntArray) -> tuple[_Found, FloatArray]:
        options, view = self._options, self.view
        masks, limits = rated.logits.float(), rated.limits
        # On the CPU numpy compares and counts several times faster than torch.
        cells = masks.numpy() if masks.device.type == "cpu" else masks
        steady = stability_scores(cells, view.frame, offset=options.stability_score_offset)
        boxes = np.clip(low_res_boxes(cells, view.frame), limits[:, [0, 1, 0, 1]], limits[:, [2, 3, 2, 3]])
        boxes += np.asarray(view.crop[:2] * 2, np.float32)
        good = (
            (steady >= options.stability_score_thresh)
            & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            & ~cut_by_crop(boxes, view.crop, *view.size)
        )
        found = _Found(boxes[good], rated.scores[good], clicks[rated.rows][good], limits[good])
        # Only what passed every filter leaves the device.
        return found, masks[torch.from_numpy(good).to(masks.device)].cpu().numpy()

    def _prune(self) -> tuple[_Found, IntArray]:
        found = _Found(
            np.concatenate([chunk.boxes for chunk in self._chunks]),
            np.concatenate([chunk.scores for chunk in self._chunks]),
            np.concatenate([chunk.points for chunk in self._chunks]),
            np.concatenate([chunk.limits for chunk in self._chunks]),
        )
        rows = nms(found.boxes, found.scores, self._options.box_nms_thresh)
        self._logits = {row: self._logits[row] for row in rows.tolist() if row in self._logits}
        # Twice what is needed before the next pruning: the work of pruning stays a small part.
        self._limit = HELD + 2 * self.held
        return found, rows

    def _decode_again(self, found: _Found, rows: list[int]) -> None:
        for row in rows:
            click = found.points[row]
            again = self.view.decode(self.view.points[click : click + 1], float("-inf"))
            # By score, not by rank: two candidates may swap places where their scores are all but equal.
            nearest = int(np.abs(again.scores - found.scores[row]).argmin())
            self._logits[row] = again.logits[nearest].float().cpu().numpy()


def _cut(clicks: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(clicks), size):
        yield clicks[start : start + size]
