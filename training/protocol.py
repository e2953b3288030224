"""The prompts of the table: the box, the centre click, corrective clicks; and the classical baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.holdout import Case
from training.sources import UInt8

Mask = npt.NDArray[np.bool_]


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """Tight half-open xyxy box."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def deepest(region: Mask) -> tuple[float, tuple[float, float]]:
    """The largest distance to the region's outline (the image border counts as outline), and its (x, y) place."""
    padded = np.pad(region, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[y, x]), (float(x) + 0.5, float(y) + 0.5)


def iou(answer: Mask, wanted: Mask) -> float:
    """Intersection over union."""
    union = int((answer | wanted).sum())
    return int((answer & wanted).sum()) / union if union else 1.0


def box_ious(model: Any, embedding: Any, case: Case) -> list[float]:
    """One box an object, all in one call."""
    answers = model.segment(embedding, boxes=[box_of(mask) for mask in case.masks]).dense()
    return [iou(answer, wanted) for answer, wanted in zip(answers, case.masks, strict=True)]


def click_ious(model: Any, embedding: Any, case: Case, clicks: int = 3) -> list[list[float]]:
    """A centre click, then clicks at the deepest point of the error; each answer is handed back as mask input."""
    rows = []
    for wanted in case.masks:
        points, labels, previous, reached = [deepest(wanted)[1]], [1], None, []
        for _ in range(clicks):
            masks = model.segment(embedding, points=points, point_labels=labels, mask_input=previous)
            answer = masks.dense()[0]
            reached.append(iou(answer, wanted))
            missing, surplus = deepest(wanted & ~answer), deepest(answer & ~wanted)
            points.append((missing if missing[0] >= surplus[0] else surplus)[1])
            labels.append(int(missing[0] >= surplus[0]))
            previous = masks.logits
        rows.append(reached)
    return rows


def candidate_ious(model: Any, embedding: Any, case: Case) -> list[tuple[float, float]]:
    """For a centre click: IoU of the candidate rated best, and of the best candidate there is."""
    centres = [[deepest(mask)[1]] for mask in case.masks]
    masks = model.segment(embedding, points=centres, multimask=True)
    answers = masks.dense().reshape(len(case.masks), -1, *case.image.shape[:2])
    each = [
        [iou(answer, wanted) for answer in trio] for trio, wanted in zip(answers, case.masks, strict=True)
    ]
    return [(row[0], max(row)) for row in each]


def spill(model: Any, embedding: Any, case: Case) -> list[tuple[float, float]]:
    """For a centre click: the share of the answer outside its object, and the share on other objects of the case."""
    centres = [[deepest(mask)[1]] for mask in case.masks]
    answers = model.segment(embedding, points=centres).dense()
    anything = case.masks.any(0)
    shares = []
    for answer, wanted in zip(answers, case.masks, strict=True):
        area = max(int(answer.sum()), 1)
        outside = answer & ~wanted
        shares.append((int(outside.sum()) / area, int((outside & anything).sum()) / area))
    return shares


def filled_box(case: Case) -> list[float]:
    """What the box alone is worth."""
    scores = []
    for wanted in case.masks:
        answer = np.zeros_like(wanted)
        x0, y0, x1, y1 = box_of(wanted)
        answer[y0:y1, x0:x1] = True
        scores.append(iou(answer, wanted))
    return scores


def grabcut(image: UInt8, box: tuple[int, int, int, int], side: int = 320) -> Mask:
    """OpenCV's GrabCut from the box, five rounds, at most `side` pixels long; the filled box where it gives up."""
    scale = min(1.0, side / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = (round(value * scale) for value in box)
    rectangle = x0, y0, max(2, x1 - x0), max(2, y1 - y0)
    mask = np.zeros(small.shape[:2], np.uint8)
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(small, mask, rectangle, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # no background pixel is left outside a box that covers the image
        mask[y0:y1, x0:x1] = cv2.GC_FGD
    inside = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    return cv2.resize(inside, image.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(bool)


def grabcut_ious(case: Case) -> list[float]:
    """GrabCut with the same box."""
    return [iou(grabcut(case.image, box_of(mask)), mask) for mask in case.masks]


def zeroed(embedding: Any) -> Any:
    """The embedding with every feature set to zero: what the prompt alone is worth to the model."""
    return replace(embedding, features={name: value * 0 for name, value in embedding.features.items()})
