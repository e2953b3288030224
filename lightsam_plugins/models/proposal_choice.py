"""Which proposals a prompt means.

The score of a proposal for a prompt is a product of

- the IoU of its mask with the box of the prompt, where there is one;
- the IoU of its mask with the mask of the prompt, where there is one;
- its confidence, where there are points alone;
- 0.4 for each point it disagrees with: a positive one outside of its mask, a negative one inside. Confidences are
  0.4 to 1, so that of clicks alone the number of disagreements counts first and confidence second.

A proposal that does not touch the box has the score 0, and so has, where there are points alone, one that has none of
the positive ones: it does not match.

The official code (``fastsam/prompt.py``) chooses by the same IoU for a box, but returns the choices for several boxes
as a set: two boxes that mean one proposal get one mask, in any order. Of points it makes one mask, the union of all
proposals with a positive point in them, the largest first, less those with a negative one. Here an object is one
proposal, and each prompt has its own.
"""

from __future__ import annotations

import torch

from lightsam_plugins.models.proposal_masks import at_points, near, shares
from lightsam_plugins.models.yolo_proposals import CONFIDENCE
from lightsam_plugins.types import PromptBatch

_BLOCK = 32  # proposals whose masks are in memory at once, 8 MB


def choose(
    found: torch.Tensor, prototypes: torch.Tensor, prompts: PromptBatch, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The proposals that fit each prompt best.

    Args:
        found: (P, 37) proposals of one image, most confident first.
        prototypes: (32, h, w).
        prompts: Prompts of N objects.
        count: Proposals wanted of each, K.

    Returns:
        Scores (N, K), best first, and rows of `found` (N, K); the row P, one beyond the last, where nothing (more)
        matches, with score 0.
    """
    fit = found.new_ones((len(prompts), len(found)))
    if prompts.boxes is not None:
        fit *= _box_iou(found, prototypes, prompts.boxes)
    if prompts.masks is not None:
        fit *= _mask_iou(found, prototypes, prompts.masks)
    agreement, touched = _agreement(found, prototypes, prompts)
    fit *= agreement
    if prompts.boxes is None and prompts.masks is None:
        fit *= found[:, 4] * touched
    # The row that stands for nothing, as often as it may be needed.
    fit = torch.cat([fit, fit.new_zeros((len(fit), count))], 1)
    scores, rows = fit.sort(dim=1, descending=True, stable=True)
    scores, rows = scores[:, :count], rows[:, :count]
    return scores, rows.masked_fill(scores <= 0, len(found))


def _agreement(
    found: torch.Tensor, prototypes: torch.Tensor, prompts: PromptBatch
) -> tuple[torch.Tensor, torch.Tensor]:
    """0.4 to the power of the points that disagree, and whether a positive one agrees, if there are any: (N, P)."""
    inside = at_points(found, prototypes, prompts.points)
    positive, negative = prompts.labels[:, None] == 1, prompts.labels[:, None] == 0
    wrong = (positive & ~inside) | (negative & inside)
    touched = (positive & inside).any(-1) | ~positive.any(-1)
    return CONFIDENCE ** wrong.sum(-1), touched


def _box_iou(found: torch.Tensor, prototypes: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """IoU of each proposal's mask with each of (N, 4) boxes, cells at borders counted in part: (N, P)."""
    height, width = prototypes.shape[1:]
    rows, columns = shares(boxes, height, 1), shares(boxes, width, 0)
    result = boxes.new_empty((len(boxes), len(found)))
    for start in range(0, len(found), _BLOCK):
        some = found[start : start + _BLOCK]
        inside = (some[:, 5:] @ prototypes.flatten(1)).unflatten(1, (height, width)) > 0
        masks = shares(some, height, 1)[:, :, None] * inside * shares(some, width, 0)[:, None]
        both = ((masks @ columns.T).transpose(1, 2) * rows).sum(2).T
        union = masks.sum((1, 2)) + (rows.sum(1) * columns.sum(1))[:, None] - both
        result[:, start : start + _BLOCK] = both / union.clamp(min=1e-6)
    return result


def _mask_iou(found: torch.Tensor, prototypes: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """IoU of the cells that are positive in each proposal's logits and in each of (N, 256, 256): (N, P)."""
    height, width = prototypes.shape[1:]
    wanted = (masks[:, :height, :width] > 0).float().flatten(1)
    result = wanted.new_empty((len(wanted), len(found)))
    for start in range(0, len(found), _BLOCK):
        some = found[start : start + _BLOCK]
        inside = (some[:, 5:] @ prototypes.flatten(1)).unflatten(1, (height, width)) > 0
        cells = (inside & near(some, height, width)).float().flatten(1)
        both = wanted @ cells.T
        union = wanted.sum(1)[:, None] + cells.sum(1) - both
        result[:, start : start + _BLOCK] = both / union.clamp(min=1)
    return result
