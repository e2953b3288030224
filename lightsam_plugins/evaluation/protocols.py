"""The prompts of each protocol, drawn from the true masks, and the answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lightsam_plugins.evaluation.shapes import boundary_iou, box_of, deepest, iou
from lightsam_plugins.evaluation.subject import Subject, prompts_of
from lightsam_plugins.types import BoolArray

CHUNK = 64  # objects at once: masks of full size are in memory for so many
DISTANCES = (100, 200, 300, 400, 500)  # pixels, as in table 7 of MobileSAM
_DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1))


def box_answers(subject: Subject, embedding: Any, boxes: Sequence[Sequence[float]]) -> Iterator[BoolArray]:
    """One (H, W) mask a box, a `CHUNK` of them in one call."""
    for start in range(0, len(boxes), CHUNK):
        yield from subject.segment(embedding, boxes=list(boxes[start : start + CHUNK])).dense()


def click_answers(
    subject: Subject, embedding: Any, wanted: Sequence[BoolArray], clicks: int
) -> list[list[BoolArray]]:
    """Answers to a click and to the corrective clicks after it, all objects together.

    The first click is the deepest point of the object. Each further one is the deepest point of the larger error: on
    the object where it is missing, beside it where the answer is too large; "larger" is the deeper one, and a tie is
    a click on the object. The answer before goes along as mask input where the model takes one. An answer without
    any error gets no more clicks.

    Args:
        subject: The model.
        embedding: Its image.
        wanted: N true masks.
        clicks: How many clicks.

    Returns:
        For each number of clicks, N masks.
    """
    points = [[deepest(mask)[1]] for mask in wanted]
    labels = [[1] for _ in wanted]
    with_mask, previous = "mask" in prompts_of(subject), None
    rounds: list[list[BoolArray]] = []
    for number in range(clicks):
        masks = subject.segment(embedding, points=points, point_labels=labels, mask_input=previous)
        answers = list(masks.dense())
        if number:
            exact = [bool((old == mask).all()) for old, mask in zip(rounds[-1], wanted, strict=True)]
            answers = [
                old if done else new for old, new, done in zip(rounds[-1], answers, exact, strict=True)
            ]
        rounds.append(answers)
        previous = masks.logits if with_mask else None
        for row, (answer, mask) in enumerate(zip(answers, wanted, strict=True)):
            missing, surplus = deepest(mask & ~answer), deepest(answer & ~mask)
            points[row].append((missing if missing[0] >= surplus[0] else surplus)[1])
            labels[row].append(int(missing[0] >= surplus[0]))
    return rounds


def pair(mask: BoolArray, distance: int) -> list[tuple[float, float]] | None:
    """A click at the deepest point of an object and one beside the object, `distance` pixels away.

    The second lies in the first of the directions right, down, left, up and their diagonals where it is inside the
    image and outside the object; None where it is so in no direction.
    """
    _, (x, y) = deepest(mask)
    height, width = mask.shape
    for dx, dy in _DIRECTIONS:
        length = float(np.hypot(dx, dy))
        there = x + distance * dx / length, y + distance * dy / length
        inside = 0 <= there[0] < width and 0 <= there[1] < height
        if inside and not mask[int(there[1]), int(there[0])]:
            return [(x, y), there]
    return None


def agreement(
    subject: Subject, teacher: Subject, embeddings: tuple[Any, Any], mask: BoolArray
) -> dict[str, float]:
    """IoU of a model's and its teacher's answers to `pair`, by distance: how alike they are, not how good."""
    found = {}
    for distance in DISTANCES:
        points = pair(mask, distance)
        if points is not None:
            one, other = (
                model.segment(embedding, points=[points], point_labels=[[1, 0]]).dense()[0]
                for model, embedding in zip((subject, teacher), embeddings, strict=True)
            )
            found[f"teacher {distance} px"] = iou(one, other)
    return found


def scores(answer: BoolArray, wanted: BoolArray) -> list[float]:
    """IoU and boundary IoU."""
    return [iou(answer, wanted), boundary_iou(answer, wanted)]


def clipped(box: Sequence[float], size: tuple[int, int]) -> list[float] | None:
    """An ``xyxy`` box inside an image of (height, width); None where they do not overlap."""
    height, width = size
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3])
    return [x0, y0, x1, y1] if x0 < x1 and y0 < y1 else None


def prompt_box(box: Sequence[float] | None, mask: BoolArray) -> list[float]:
    """The box of an annotation, clipped to the image; the tight box of the mask where it has none."""
    inside = None if box is None else clipped(box, (mask.shape[0], mask.shape[1]))
    return [float(value) for value in box_of(mask)] if inside is None else inside
