"""The prompts of the table: the box, the centre click, corrective clicks; as `lightsam evaluate` has them, and more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lightsam_plugins.evaluation.baselines import BASELINES
from lightsam_plugins.evaluation.protocols import click_answers
from lightsam_plugins.evaluation.shapes import box_of, deepest, iou
from training.holdout import Case


def box_ious(model: Any, embedding: Any, case: Case) -> list[float]:
    """One box an object, all in one call."""
    answers = model.segment(embedding, boxes=[box_of(mask) for mask in case.masks]).dense()
    return [iou(answer, wanted) for answer, wanted in zip(answers, case.masks, strict=True)]


def click_ious(model: Any, embedding: Any, case: Case, clicks: int = 3) -> list[list[float]]:
    """A centre click, then clicks at the deepest point of the error; each answer is handed back as mask input."""
    rounds = click_answers(model, embedding, list(case.masks), clicks)
    each = [[iou(one, wanted) for one, wanted in zip(r, case.masks, strict=True)] for r in rounds]
    return [list(row) for row in zip(*each, strict=True)]


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


def baseline_ious(name: str, case: Case) -> list[float]:
    """The filled box or GrabCut with the same boxes."""
    return box_ious(BASELINES[name], case.image, case)


def zeroed(embedding: Any) -> Any:
    """The embedding with every feature set to zero: what the prompt alone is worth to the model."""
    return replace(embedding, features={name: value * 0 for name, value in embedding.features.items()})
