"""What the masks, their predicted quality and the image features are trained for."""

from __future__ import annotations

import torch
from torch.nn import functional


def mask_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(N, T) dice plus cross entropy, the latter per object area so that small objects count as much as large ones.

    Args:
        logits: (N, T, H, W).
        targets: (N, H, W) 0/1.
    """
    wanted = targets[:, None].expand_as(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    soft = torch.sigmoid(logits)
    focal = entropy * (0.25 + (soft - wanted).abs())
    area = targets.sum((1, 2))[:, None]
    cells = targets[0].numel()
    dice = 1 - (2 * (soft * wanted).sum((2, 3)) + 1) / (soft.sum((2, 3)) + area + 1)
    return dice + 1.5 * focal.sum((2, 3)) / (area + 0.03 * cells)


def iou(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(N, T) intersection over union of the thresholded masks."""
    answer = logits > 0
    wanted = (targets > 0.5)[:, None]
    union = (answer | wanted).sum((2, 3)).clamp(min=1)
    return (answer & wanted).sum((2, 3)) / union


def total_loss(
    logits: torch.Tensor, rated: torch.Tensor, targets: torch.Tensor, answers: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token 0 always answers; of the other two the better one does, so that they part ways on ambiguous clicks.

    Args:
        logits: (N, T, H, W).
        rated: (N, T) predicted IoU.
        targets: (N, H, W) 0/1.
        answers: (N, T, H, W) the logits as they are handed on, tidied; predicted IoU is about these.

    Returns:
        The loss, and (N, T) true IoU.
    """
    present = (targets.amax((1, 2)) > 0).float()
    each = mask_loss(logits, targets)
    best_other = each[:, 1:].amin(1) + 0.05 * each[:, 1:].mean(1)
    true = iou(answers, targets)
    loss = each[:, 0] + 0.5 * best_other + rating_loss(rated, true)
    return (loss * present).sum() / present.sum().clamp(min=1), true


def soft_iou(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(N,) intersection over union of (N, H, W) logits as probabilities, which has a gradient."""
    soft = torch.sigmoid(logits)
    both = (soft * targets).sum((1, 2))
    return (both + 1) / (soft.sum((1, 2)) + targets.sum((1, 2)) - both + 1)


def rating_loss(rated: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """(N,) how far (N, T) predictions are off, and what is lost by choosing with them."""
    choice = torch.softmax(rated / 0.05, 1)
    return 0.5 * (rated - true).abs().mean(1) + 0.5 * (true.amax(1) - (choice * true).sum(1))


def edge_loss(keys: torch.Tensor, labels: torch.Tensor, complete: torch.Tensor) -> torch.Tensor:
    """Neighbouring cells have equal keys inside an object and different ones across its outline.

    Args:
        keys: (B, C, H, W) normalised in groups, at stride 4.
        labels: (B, H, W) int64 at stride 4.
        complete: (B,) whether all objects are labelled; the others are left out.
    """
    losses = []
    for shift, axis in ((1, 2), (1, 3), (3, 2), (3, 3)):
        groups = 3
        likeness = (keys * keys.roll(-shift, axis)).sum(1) / groups
        same = labels == labels.roll(-shift, axis - 1)
        valid = complete[:, None, None].expand_as(same).clone()
        valid.narrow(axis - 1, valid.shape[axis - 1] - shift, shift).fill_(False)
        apart = valid & ~same
        alike = valid & same & (labels > 0)
        if apart.any():
            losses.append(functional.relu(likeness[apart] - 0.1).mean())
        if alike.any():
            losses.append(0.5 * (1 - likeness[alike]).mean())
    return torch.stack(losses).mean() if losses else keys.sum() * 0
