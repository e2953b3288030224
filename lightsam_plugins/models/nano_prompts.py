"""`nano`'s prompt side: clicks, boxes and masks drawn as maps, and the similarity of every cell to what they mark."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from lightsam_plugins.models.nano_encoder import GROUPS
from lightsam_plugins.types import PromptBatch

COARSE_MAPS, FINE_MAPS, SIMILARITIES = 20, 7, 4 * GROUPS
FAR = 1e4  # pixels; the distance to a click that is not there


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


def click_distance(prompts: PromptBatch, grid: Grid, label: int) -> torch.Tensor:
    """(N, H, W) squared distance in pixels to the nearest click of a label; FAR squared where there is none."""
    centres = grid.centres
    dx = (prompts.points[..., 0, None] - centres) ** 2  # (N, P, W)
    dy = (prompts.points[..., 1, None] - centres) ** 2
    squared = dy[..., :, None] + dx[..., None, :]
    absent = (prompts.labels != label)[..., None, None]
    squared = squared.masked_fill(absent, FAR**2)
    if squared.shape[1] == 0:
        return squared.new_full((len(prompts), len(centres), len(centres)), FAR**2)
    return squared.amin(1)


def box_maps(prompts: PromptBatch, grid: Grid, reach: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Signed distances to the four edges, and the coordinates relative to the box.

    Returns:
        (N, 4, H, W) tanh of the distance to each edge over `reach` pixels, positive inside; (N, 2, H, W) ``|u|``,
        ``|v|``, 1 at the edges, clipped at 2; (N, 1, 1, 1) whether there is a box.
    """
    centres = grid.centres
    count, cells = len(prompts), len(centres)
    if prompts.boxes is None:
        empty = prompts.points.new_zeros((count, 4, cells, cells))
        return empty, empty[:, :2], empty[:, :1, :1, :1]
    x0, y0, x1, y1 = (edge[:, None] for edge in prompts.boxes.unbind(1))
    present = (x1 > x0).to(centres.dtype)[..., None, None]  # (N, 1, 1, 1); an empty box stands for none
    columns = torch.stack([centres - x0, x1 - centres], 1)[:, :, None, :].expand(-1, -1, cells, -1)
    rows = torch.stack([centres - y0, y1 - centres], 1)[:, :, :, None].expand(-1, -1, -1, cells)
    edges = torch.tanh(torch.cat([columns, rows], 1) / reach)
    u = ((2 * centres - x0 - x1) / (x1 - x0).clamp(min=1)).abs().clamp(max=2)[:, None, None, :]
    v = ((2 * centres - y0 - y1) / (y1 - y0).clamp(min=1)).abs().clamp(max=2)[:, None, :, None]
    relative = torch.cat([u.expand(-1, 1, cells, -1), v.expand(-1, 1, -1, cells)], 1)
    return edges * present, relative * present, present


def mask_map(prompts: PromptBatch, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 1, H, W) earlier mask in -1..1 and (N, 1, 1, 1) whether there is one (an all-zero mask stands for none)."""
    cells = grid.side // grid.stride
    if prompts.masks is None:
        empty = prompts.points.new_zeros((len(prompts), 1, cells, cells))
        return empty, empty[:, :, :1, :1]
    masks = prompts.masks[:, None]
    present = (masks.abs().amax((2, 3), keepdim=True) > 0).to(masks.dtype)
    soft = torch.tanh(masks * 0.5)
    return functional.interpolate(soft, size=(cells, cells), mode="bilinear", antialias=True), present


def weighted_keys(keys: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(N, 1, C) mean key under (N, H, W) weights; zero where the weights are."""
    flat = weights.flatten(1)
    mean = torch.matmul(flat[:, None], keys.flatten(2).transpose(1, 2))
    return mean / flat.sum(1)[:, None, None].clamp(min=1e-4)


def similarity(keys: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(N, GROUPS, H, W) cosine-like similarity of every cell to the mean key under the weights."""
    count, height, width = weights.shape
    mean = weighted_keys(keys, weights).view(count, GROUPS, -1)
    grouped = keys.unflatten(1, (GROUPS, -1)).flatten(3)
    return torch.matmul(mean[:, :, None], grouped).view(count, GROUPS, height, width)


def fine_maps(prompts: PromptBatch, keys: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps at stride 4: (N, FINE_MAPS, H, W) of the prompts and (N, SIMILARITIES, H, W) of the image to them.

    Cells are compared with four references: what positive clicks touch, the core of the box or the earlier mask,
    what negative clicks touch, and the ring around the box or the outside of the earlier mask.
    """
    grid = Grid(side, 4, keys.device)
    near = [torch.exp(click_distance(prompts, grid, label) / (-2 * 4.0**2)) for label in (1, 0)]
    edges, relative, has_box = box_maps(prompts, grid, 6.0)
    mask, _ = mask_map(prompts, grid)
    u, v = relative[:, 0], relative[:, 1]
    inside = ((u < 1) & (v < 1)).to(u.dtype) * has_box[:, 0]
    core = torch.exp(-2.5 * (u**2 + v**2)) * inside + mask[:, 0].clamp(min=0)
    ring = ((u < 1.5) & (v < 1.5)).to(u.dtype) * has_box[:, 0] * (1 - inside) + (-mask[:, 0]).clamp(min=0)
    similar = [similarity(keys, weights) for weights in (near[0], core, near[1], ring)]
    drawn = torch.cat([near[0][:, None], near[1][:, None], edges, mask], 1)
    return drawn, torch.cat(similar, 1)


def coarse_maps(prompts: PromptBatch, side: int, device: torch.device) -> torch.Tensor:
    """(N, COARSE_MAPS, H, W) at stride 8: clicks at three widths, the box, the earlier mask, and what is present."""
    grid = Grid(side, 8, device)
    cells = side // 8
    maps = []
    for label in (1, 0):
        squared = click_distance(prompts, grid, label)
        maps += [torch.exp(squared / (-2 * width**2)) for width in (6.0, 20.0, side / 6)]
        maps.append((squared.amin((1, 2), keepdim=True) < FAR).to(squared.dtype).expand_as(squared))
    edges, relative, has_box = box_maps(prompts, grid, 16.0)
    mask, has_mask = mask_map(prompts, grid)
    if prompts.boxes is None:
        size = edges.new_zeros((len(prompts), 2, 1, 1))
    else:
        extent = (prompts.boxes[:, 2:] - prompts.boxes[:, :2]).clamp(min=1) / side
        size = extent.log()[:, :, None, None] * 0.5 * has_box
    constants = torch.cat([size, has_box, has_mask], 1).expand(-1, -1, cells, cells)
    inside = edges.amin(1, keepdim=True)
    return torch.cat([torch.stack(maps, 1), edges, inside, relative, mask, constants], 1)
