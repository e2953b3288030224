"""The masks of YOLO's proposals, on the low-resolution cells of the input frame."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lightsam_plugins.types import LOW_RES

CELL = 4  # pixels of the input a cell
OUTSIDE = -32.0  # the logit of cells that no pixel of a mask depends on
MARGIN = 4  # cells around a box that its last pixels may be interpolated from, in images of 50 pixels or more


def mask_logits(found: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """Masks of proposals: their coefficients times the prototypes, where their boxes are.

    Args:
        found: (P, 37) rows of `yolo_proposals.proposals`; a row of zeros has an empty mask.
        prototypes: (32, h, w), at the top left of the 256 x 256 cells.

    Returns:
        (P, 256, 256) logits: what the network says in the cells of the box and `MARGIN` cells around it, which its
        pixels are interpolated from; `OUTSIDE` in all others.
    """
    height, width = prototypes.shape[1:]
    logits = found.new_full((len(found), LOW_RES, LOW_RES), OUTSIDE)
    values = (found[:, 5:] @ prototypes.flatten(1)).unflatten(1, (height, width))
    logits[:, :height, :width] = values.masked_fill_(~near(found, height, width), OUTSIDE)
    return logits


def near(found: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The cells whose logits a mask keeps: (P, height, width) bool."""
    rows, columns = (_near(found, cells, axis) for cells, axis in ((height, 1), (width, 0)))
    return rows[:, :, None] & columns[:, None]


def _near(found: torch.Tensor, cells: int, axis: int) -> torch.Tensor:
    centres = torch.arange(cells, device=found.device) + 0.5
    low, high = (found[:, side, None] / CELL for side in (axis, axis + 2))
    return (centres > low - MARGIN) & (centres < high + MARGIN) & (low < high)


def shares(boxes: torch.Tensor, cells: int, axis: int) -> torch.Tensor:
    """How much of each cell along an axis (0 is x) lies inside of boxes.

    Args:
        boxes: (N, 4 or more), the first four ``xyxy`` in pixels of the input.
        cells: Number of cells along the axis.
        axis: 0 for x, 1 for y.

    Returns:
        (N, cells) in 0..1.
    """
    starts = torch.arange(cells, device=boxes.device)
    low, high = (boxes[:, side, None] / CELL for side in (axis, axis + 2))
    return ((starts + 1).minimum(high) - starts.maximum(low)).clamp(0, 1)


def at_points(found: torch.Tensor, prototypes: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Which points lie in the masks of proposals.

    Args:
        found: (P, 37) proposals.
        prototypes: (32, h, w).
        points: (N, K, 2) ``(x, y)`` in pixels of the input.

    Returns:
        (N, P, K) bool.
    """
    height, width = prototypes.shape[1:]
    places = points / (points.new_tensor((width, height)) * CELL) * 2 - 1
    sampled = F.grid_sample(prototypes[None], places[None], padding_mode="border", align_corners=False)[0]
    logits = torch.einsum("pc,cnk->npk", found[:, 5:], sampled)
    low, high = found[:, None, :2], found[:, None, 2:4]
    places = points[:, None]
    return (logits > 0) & (places >= low).all(-1) & (places <= high).all(-1)
