"""`nano`'s prompt side: clicks, boxes and masks drawn as maps, and the similarity of every cell to what they mark."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lightsam_plugins.models.nano_encoder import GROUPS
from lightsam_plugins.types import PromptBatch

COARSE_MAPS, FINE_MAPS, SIMILARITIES = 20, 7, 4 * GROUPS


@dataclass(frozen=True)
class Grid:
    """Cell centres of a map of the input frame, in input-frame pixels."""

    side: int
    stride: int
    device: torch.device

    @property
    def centres(self) -> torch.Tensor:
        """(side / stride,) float32."""
        cells = torch.arange(self.side // self.stride, device=self.device, dtype=torch.float32)
        return (cells + 0.5) * self.stride


def click_maps(prompts: PromptBatch, grid: Grid, label: int, widths: tuple[float, ...]) -> list[torch.Tensor]:
    """(N, H, W) Gaussian of the distance to the nearest click of a label, one map a width in pixels.

    A Gaussian is a product of two profiles, so nothing but the product is computed at full size; the nearest click
    is the largest product.
    """
    wanted = (prompts.labels == label)[..., None]
    dx, dy = (
        (prompts.points[..., axis, None] - grid.centres) ** 2 for axis in (0, 1)
    )  # (N, P, W), (N, P, H)
    maps = []
    for width in widths:
        across, down = (torch.exp(squared / (-2 * width**2)) * wanted for squared in (dx, dy))
        if prompts.points.shape[1] > 1:
            maps.append((down[..., :, None] * across[..., None, :]).amax(1))
        else:
            maps.append(torch.matmul(down.transpose(1, 2), across))
    return maps


@dataclass(frozen=True)
class BoxProfiles:
    """One-dimensional profiles of N boxes along one axis, zero where an object has no box.

    Args:
        edges: (N, 2, C) distance in pixels to the low and the high edge, positive inside.
        relative: (N, C) ``|u|``: 0 at the middle, 1 at the edges, clipped at 2.
        present: (N, 1) whether there is a box.
    """

    edges: torch.Tensor
    relative: torch.Tensor
    present: torch.Tensor

    @classmethod
    def along(cls, prompts: PromptBatch, grid: Grid, axis: int) -> BoxProfiles:
        """Profiles along x (axis 0) or y (axis 1)."""
        centres = grid.centres
        if prompts.boxes is None:
            empty = prompts.points.new_zeros((len(prompts), 2, len(centres)))
            return cls(empty, empty[:, 0], empty[:, 0, :1])
        low, high = prompts.boxes[:, axis, None], prompts.boxes[:, axis + 2, None]
        present = (prompts.boxes[:, 2:3] > prompts.boxes[:, :1]).to(
            centres.dtype
        )  # an empty box stands for none
        edges = torch.stack([centres - low, high - centres], 1) * present[:, None]
        relative = ((2 * centres - low - high) / (high - low).clamp(min=1)).abs().clamp(max=2)
        return cls(edges, relative * present, present)


def box_maps(across: BoxProfiles, down: BoxProfiles, reach: float) -> torch.Tensor:
    """(N, 4, H, W) tanh of the distance to each edge over `reach` pixels: left, right, top, bottom."""
    cells = across.relative.shape[1]
    columns = torch.tanh(across.edges / reach)[:, :, None, :].expand(-1, -1, cells, -1)
    rows = torch.tanh(down.edges / reach)[:, :, :, None].expand(-1, -1, -1, cells)
    return torch.cat([columns, rows], 1)


def mask_map(prompts: PromptBatch, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 1, H, W) earlier mask in -1..1 and (N, 1, 1, 1) whether there is one (an all-zero mask stands for none)."""
    cells = grid.side // grid.stride
    if prompts.masks is None:
        empty = prompts.points.new_zeros((len(prompts), 1, cells, cells))
        return empty, empty[:, :, :1, :1]
    masks = prompts.masks[:, None]
    present = (masks.abs().amax((2, 3), keepdim=True) > 0).to(masks.dtype)
    shrink = triangle_filter(masks.shape[-1], cells, masks.device)
    return torch.matmul(torch.matmul(shrink, torch.tanh(masks * 0.5)), shrink.T), present


def triangle_filter(source: int, target: int, device: torch.device) -> torch.Tensor:
    """(target, source) weights of antialiased bilinear shrinking, which MPS has no operator for."""
    scale = source / target
    centres = (torch.arange(target, device=device, dtype=torch.float32) + 0.5) * scale
    cells = torch.arange(source, device=device, dtype=torch.float32) + 0.5
    weights = (1 - (cells - centres[:, None]).abs() / max(scale, 1.0)).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)


def similarity(keys: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Likeness of every cell to what each weight map marks: the mean key under it, group by group.

    Args:
        keys: (B, C, H, W), normalised in GROUPS groups of channels.
        weights: (N, R, H, W), N / B of them an image, in order.

    Returns:
        (N, R * GROUPS, H, W); zero where the weights are all zero.
    """
    images, channels, height, width = keys.shape
    count, references = weights.shape[:2]
    flat = weights.view(images, -1, height * width)  # of one image all references at once
    cells = keys.view(images, channels, -1)
    mean = torch.matmul(flat, cells.transpose(1, 2)) / flat.sum(2, keepdim=True).clamp(min=1e-4)
    mean = mean.unflatten(2, (GROUPS, -1)).transpose(1, 2)  # (B, GROUPS, N / B * R, C / GROUPS)
    likeness = torch.matmul(mean, cells.unflatten(1, (GROUPS, -1)))
    return likeness.transpose(1, 2).reshape(count, references * GROUPS, height, width)


def fine_maps(prompts: PromptBatch, keys: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps at stride 4: (N, FINE_MAPS, H, W) of the prompts and (N, SIMILARITIES, H, W) of the image to them.

    Cells are compared with four references: what positive clicks touch, the core of the box or the earlier mask,
    what negative clicks touch, and the ring around the box or the outside of the earlier mask.
    """
    grid = Grid(side, 4, keys.device)
    positive, negative = (click_maps(prompts, grid, label, (4.0,))[0] for label in (1, 0))
    across, down = (BoxProfiles.along(prompts, grid, axis) for axis in (0, 1))
    mask, _ = mask_map(prompts, grid)

    def window(limit: float) -> torch.Tensor:
        row, column = ((profile.relative < limit) * profile.present for profile in (across, down))
        return column[:, :, None] * row[:, None, :]

    inside = window(1)
    peak = [torch.exp(-2.5 * profile.relative**2) for profile in (across, down)]
    core = peak[1][:, :, None] * peak[0][:, None, :] * inside + mask[:, 0].clamp(min=0)
    ring = window(1.5) - inside + (-mask[:, 0]).clamp(min=0)
    marked = torch.stack([positive, core, negative, ring], 1)
    drawn = torch.cat([positive[:, None], negative[:, None], box_maps(across, down, 6.0), mask], 1)
    return drawn, similarity(keys, marked)


def coarse_maps(prompts: PromptBatch, side: int, device: torch.device) -> torch.Tensor:
    """(N, COARSE_MAPS, H, W) at stride 8: clicks at three widths, the box, the earlier mask, and what is present."""
    grid = Grid(side, 8, device)
    cells = side // 8
    across, down = (BoxProfiles.along(prompts, grid, axis) for axis in (0, 1))
    clicks = []
    for label in (1, 0):
        given = (prompts.labels == label).any(1).to(torch.float32)[:, None, None].expand(-1, cells, cells)
        clicks += [*click_maps(prompts, grid, label, (6.0, 20.0, side / 6)), given]
    edges = box_maps(across, down, 16.0)
    relative = torch.stack(
        [across.relative[:, None].expand(-1, cells, -1), down.relative[..., None].expand(-1, -1, cells)], 1
    )
    mask, has_mask = mask_map(prompts, grid)
    has_box = across.present[..., None, None]
    if prompts.boxes is None:
        size = edges.new_zeros((len(prompts), 2, 1, 1))
    else:
        extent = (prompts.boxes[:, 2:] - prompts.boxes[:, :2]).clamp(min=1) / side
        size = extent.log()[:, :, None, None] * 0.5 * has_box
    constants = torch.cat([size, has_box, has_mask], 1).expand(-1, -1, cells, cells)
    return torch.cat(
        [torch.stack(clicks, 1), edges, edges.amin(1, keepdim=True), relative, mask, constants], 1
    )
