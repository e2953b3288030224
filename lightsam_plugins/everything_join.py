"""The end of everything mode: from the winners of each crop to the masks of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from lightsam_plugins.boxes import nms
from lightsam_plugins.masks import Masks
from lightsam_plugins.regions import clean_regions
from lightsam_plugins.types import LOW_RES, BoolArray, FloatArray, Frame, IntArray
from lightsam_plugins.upsample import Crop, tighten

if TYPE_CHECKING:
    from lightsam_plugins.candidates import Candidates
    from lightsam_plugins.everything_options import EverythingOptions
    from lightsam_plugins.point_grid import CropBox


@dataclass(frozen=True, slots=True)
class Part:
    """What one crop contributes.

    Args:
        crop: Where it lies, ``xyxy`` in pixels of the image.
        frame: Its size and how it lies in the input frame.
        logits: (M, 256, 256) float32 over the input frame of the crop.
        scores: (M,) float32, best first.
        boxes: (M, 4) float32 in pixels of the image, estimated on the logits.
        limits: (M, 4) float32 in pixels of the crop, outside of which a mask has no pixels.
    """

    crop: CropBox
    frame: Frame
    logits: FloatArray
    scores: FloatArray
    boxes: FloatArray
    limits: FloatArray

    @classmethod
    def of(cls, candidates: Candidates) -> Part:
        """The masks of a crop that suppression leaves."""
        view = candidates.view
        return cls(view.crop, view.frame, *candidates.winners())

    def take(self, rows: IntArray | BoolArray) -> Part:
        """Some of its masks."""
        kept = (values[rows] for values in (self.logits, self.scores, self.boxes, self.limits))
        return Part(self.crop, self.frame, *kept)

    def covers(self, frame: Frame) -> bool:
        """Whether it is the whole image; the only part may be a crop, where nothing else holds an object."""
        return self.frame == frame and self.crop == (0, 0, frame.width, frame.height)

    def masks(self) -> Masks:
        """Its masks, in pixels of the crop."""
        return Masks(self.logits, self.scores, self.frame, limits=self.limits)


def join(parts: list[Part], frame: Frame, options: EverythingOptions) -> Masks:
    """The masks of all crops, once each, best first.

    Args:
        parts: The crops, the whole image first.
        frame: The whole image.
        options: For the suppression between crops and the removal of small regions.
    """
    if not parts:
        return Masks.empty(frame)
    if len(parts) == 1 and parts[0].covers(frame) and not options.min_mask_region_area:
        return parts[0].take(_visible(parts[0])).masks()
    parts = _suppress_between_crops(parts, options.crop_nms_thresh)
    crops = [crop for part in parts for crop in _crops(part)]
    logits = np.concatenate([onto_frame(part, frame) for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    keep = np.flatnonzero([mask.any() for _, _, mask in crops])
    crops, logits, scores = [crops[row] for row in keep], logits[keep], scores[keep]
    if options.min_mask_region_area:
        threshold = max(options.box_nms_thresh, options.crop_nms_thresh)
        crops, keep = _clean(crops, frame, options.min_mask_region_area, threshold)
        logits, scores = logits[keep], scores[keep]
    order = np.argsort(-scores, kind="stable")
    return Masks(logits[order], scores[order], frame, crops=[crops[row] for row in order])


def _visible(part: Part) -> BoolArray:
    """Which masks have a pixel in the image: one of a few cells may fall between the pixels."""
    cells_a_pixel = LOW_RES / max(part.frame.height, part.frame.width)
    few = (part.logits > 0).sum((1, 2)) < 16 * max(1.0, cells_a_pixel) ** 2
    visible = np.ones(len(few), np.bool_)
    visible[few] = part.take(few).masks().areas > 0
    return visible


def _suppress_between_crops(parts: list[Part], threshold: float) -> list[Part]:
    """Where crops show the same object the smaller crop wins, as in SAM's generator: it shows more detail."""
    if len(parts) == 1:
        return parts
    sizes = [(part.crop[2] - part.crop[0]) * (part.crop[3] - part.crop[1]) for part in parts]
    owner = np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])
    kept = nms(np.concatenate([part.boxes for part in parts]), 1 / np.asarray(sizes)[owner], threshold)
    starts = np.searchsorted(owner, np.arange(len(parts)))
    return [
        part.take(np.sort(kept[owner[kept] == index]) - starts[index]) for index, part in enumerate(parts)
    ]


def _crops(part: Part) -> list[Crop]:
    x, y = part.crop[:2]
    return [(x0 + x, y0 + y, mask) for x0, y0, mask in part.masks().crops()]


def _clean(
    crops: list[Crop], frame: Frame, min_area: float, nms_threshold: float
) -> tuple[list[Crop], IntArray]:
    """Remove small regions; of masks that have become alike those that were clean from the start win."""
    cleaned = [_clean_one(crop, frame, min_area) for crop in crops]
    untouched = np.asarray([new[2] is old[2] for new, old in zip(cleaned, crops, strict=True)], np.float32)
    boxes = np.asarray([(x, y, x + m.shape[1], y + m.shape[0]) for x, y, m in cleaned], np.float32)
    keep = np.sort(nms(boxes.reshape(-1, 4), untouched, nms_threshold))
    return [cleaned[row] for row in keep], keep


def _clean_one(crop: Crop, frame: Frame, min_area: float) -> Crop:
    x0, y0, mask = crop
    height, width = mask.shape
    more = np.asarray([x0 > 0, y0 > 0, x0 + width < frame.width, y0 + height < frame.height])
    new = clean_regions(mask, min_area, open_sides=more)
    return crop if new is mask else tighten((x0, y0, new))


def onto_frame(part: Part, frame: Frame) -> FloatArray:
    """The logits of a crop on the cells of the whole image, for use as a later mask input.

    Cells beyond the crop get the lowest logit of their mask.

    Returns:
        (M, 256, 256) float32.
    """
    if part.covers(frame):
        return part.logits
    centres = (np.arange(LOW_RES) + 0.5) * frame.side / LOW_RES
    pixels = (np.stack([centres, centres], 1) - frame.offset) / frame.scale - part.crop[:2]
    size = (part.frame.width, part.frame.height)
    beyond = (pixels < 0) | (pixels > size)
    # -1..1 over the square, as grid_sample has it.
    inside = pixels * part.frame.scale + part.frame.offset
    x, y = (inside / part.frame.side * 2 - 1).T.astype(np.float32)
    grid = torch.from_numpy(np.stack(np.meshgrid(x, y), -1))[None]
    logits = torch.from_numpy(part.logits)
    moved = functional.grid_sample(
        logits[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0]
    outside = torch.from_numpy(beyond[:, 1][:, None] | beyond[:, 0])
    lowest = logits.amin((1, 2), keepdim=True) if len(logits) else logits[:, :1, :1]
    return np.asarray(torch.where(outside, lowest, moved).numpy(), np.float32)
