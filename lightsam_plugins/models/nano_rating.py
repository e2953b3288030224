"""`nano`'s judgement of its own masks: a predicted IoU for each, from what lies under, around and between them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from lightsam_plugins.models.nano_encoder import PROJECTIONS
from lightsam_plugins.types import PromptBatch

HIDDEN = 96
SHAPE, FIT, GIVEN = 4, 4, 4  # numbers that describe a mask, its agreement with the prompts, and the prompts


class Rating(nn.Module):
    """Rates the T masks of each object beside each other; gradients stay out of the masks and their features.

    A mask is judged by the decoder's features under it and in a ring around it, by its shape, by how it fits the
    prompts, and by its overlap with the other masks: where all agree, all are likely right.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__()
        _, d8, d16, d32 = PROJECTIONS
        self.own = nn.Linear(2 * d8 + d16 + SHAPE + FIT + tokens, HIDDEN)
        self.scene = nn.Linear(d32 + GIVEN, HIDDEN)
        self.token = nn.Parameter(torch.zeros(tokens, HIDDEN))
        self.mix = nn.Linear(2 * HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)

    def forward(
        self, masks: torch.Tensor, features: tuple[torch.Tensor, ...], prompts: PromptBatch
    ) -> torch.Tensor:
        """Predict the IoU of each mask.

        Args:
            masks: (N, T, S / 4, S / 4) logits.
            features: The decoder's maps (N, C, ., .) at strides 8, 16 and 32.
            prompts: The N prompts the masks answer.

        Returns:
            (N, T) in 0..1.
        """
        soft = torch.sigmoid(masks.detach())
        x8, x16, x32 = (value.detach() for value in features)
        soft8 = functional.avg_pool2d(soft, 2)
        ring = functional.max_pool2d(soft8, 5, 1, 2) - soft8
        inputs = [
            pooled(x8, soft8),
            pooled(x8, ring),
            pooled(x16, functional.avg_pool2d(soft8, 2)),
            shape(soft, soft8),
            fit(soft, soft8, prompts),
            overlaps(soft8),
        ]
        scene = torch.cat([x32.mean((2, 3)), given(prompts).to(x32.dtype)], 1)
        each = self.own(torch.cat(inputs, 2)) + self.scene(scene)[:, None] + self.token
        each = functional.relu(each)
        together = each.mean(1, keepdim=True).expand_as(each)
        each = functional.relu(self.mix(torch.cat([each, together], 2)))
        return torch.sigmoid(self.out(each))[..., 0]


def pooled(features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(N, T, C) mean of (N, C, H, W) features under (N, T, H, W) weights."""
    flat = weights.flatten(2)
    total = torch.matmul(flat, features.flatten(2).transpose(1, 2))
    return total / flat.sum(2, keepdim=True).clamp(min=0.1)


def shape(soft: torch.Tensor, soft8: torch.Tensor) -> torch.Tensor:
    """(N, T, SHAPE): how decided the mask is, how sharp its outline, its size, and its outline for its size."""
    area = soft.sum((2, 3)).clamp(min=1)
    certain = (soft * (2 * soft - 1).abs()).sum((2, 3)) / area
    inner, outer = ((soft > level).to(soft.dtype).sum((2, 3)) for level in (0.73, 0.27))
    size = soft.mean((2, 3)).sqrt()
    outline = soft8.diff(dim=2).abs().sum((2, 3)) + soft8.diff(dim=3).abs().sum((2, 3))
    rough = outline / (4 * soft8.sum((2, 3)).clamp(min=1).sqrt())
    return torch.stack([certain, inner / outer.clamp(min=1), size, rough.clamp(max=4)], 2)


def fit(soft: torch.Tensor, soft8: torch.Tensor, prompts: PromptBatch) -> torch.Tensor:
    """(N, T, FIT): the mask at its worst positive and worst negative click, its share in the box, the box's in it."""
    cells = soft.shape[-1]
    side = cells * 4
    places = (prompts.points / 4).long().clamp(0, cells - 1)
    index = (places[..., 1] * cells + places[..., 0])[:, None].expand(-1, soft.shape[1], -1)
    value = soft.flatten(2).gather(2, index)
    edge = torch.ones_like(value[..., :0]).sum(2, keepdim=True)  # (N, T, 1) zeros, for objects without clicks
    labels = prompts.labels[:, None]
    hit = torch.cat([edge + 1, value.masked_fill(labels != 1, 1)], 2).amin(2)
    miss = torch.cat([edge, value.masked_fill(labels != 0, 0)], 2).amax(2)
    if prompts.boxes is None:
        return torch.stack([hit, miss, torch.zeros_like(hit), torch.zeros_like(hit)], 2)
    centres = (torch.arange(cells // 2, device=soft.device, dtype=torch.float32) + 0.5) * (
        side / (cells // 2)
    )
    across, down = (
        ((centres > prompts.boxes[:, axis, None]) & (centres < prompts.boxes[:, axis + 2, None])).to(
            soft.dtype
        )
        for axis in (0, 1)
    )
    inside = torch.matmul(torch.matmul(down[:, None, None], soft8), across[:, None, :, None])[..., 0, 0]
    area = (across.sum(1) * down.sum(1))[:, None].clamp(min=1)
    return torch.stack([hit, miss, inside / soft8.sum((2, 3)).clamp(min=1), inside / area], 2)


def overlaps(soft: torch.Tensor) -> torch.Tensor:
    """(N, T, T) intersection over union of every pair of masks."""
    flat = soft.flatten(2)
    shared = torch.matmul(flat, flat.transpose(1, 2))
    area = flat.sum(2)
    return shared / (area[:, :, None] + area[:, None, :] - shared).clamp(min=1)


def given(prompts: PromptBatch) -> torch.Tensor:
    """(N, GIVEN) number of positive and of negative clicks (in fours), whether there is a box, and a mask."""
    positive, negative = ((prompts.labels == label).sum(1) / 4 for label in (1, 0))
    absent = torch.zeros_like(positive)
    box = absent if prompts.boxes is None else (prompts.boxes[:, 2] > prompts.boxes[:, 0]).to(absent.dtype)
    mask = absent if prompts.masks is None else (prompts.masks.abs().amax((1, 2)) > 0).to(absent.dtype)
    return torch.stack([positive, negative, box, mask], 1)
