"""Random views of pool samples, as tensors: turn, flip, zoom, colour, grey, blur, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from lightsam_plugins.registry import SAM_MEAN, SAM_STD


@dataclass
class Batch:
    """B training views.

    Args:
        images: (B, 3, S, S) float32, normalised.
        labels: (B, S / 2, S / 2) int64.
        complete: (B,) bool.
    """

    images: torch.Tensor
    labels: torch.Tensor
    complete: torch.Tensor


class Pool:
    """Batches of random views of the samples under a folder made by `training.pool`.

    Args:
        folder: Of the pool.
        seed: Of the order and of the views.
        photos: Share of views of photos, which come more or less often for it; None takes each sample as often.
    """

    def __init__(self, folder: Path, seed: int, photos: float | None = None) -> None:
        self.images = np.load(folder / "images.npy", mmap_mode="r")
        self.labels = np.load(folder / "labels.npy", mmap_mode="r")
        self.complete = np.load(folder / "complete.npy")
        self.rng = np.random.default_rng(seed)
        self.photos = photos
        self.order, self.next = self.shuffled(), 0

    def shuffled(self) -> np.ndarray:
        """All samples in random order; with a share of photos as many draws, of which that share are photos."""
        count = len(self.images)
        if self.photos is None:
            return self.rng.permutation(count)
        weights = np.where(
            self.complete, (1 - self.photos) / self.complete.sum(), self.photos / (~self.complete).sum()
        )
        return self.rng.choice(count, count, p=weights)

    def indices(self, count: int) -> np.ndarray:
        """The next `count` samples of an endless shuffled walk."""
        if self.next + count > len(self.order):
            self.order, self.next = self.shuffled(), 0
        self.next += count
        return np.sort(self.order[self.next - count : self.next])

    def batch(self, count: int, side: int) -> Batch:
        """`count` random views at `side` pixels."""
        index = self.indices(count)
        images = torch.from_numpy(self.images[index]).permute(0, 3, 1, 2).float()
        labels = torch.from_numpy(self.labels[index])[:, None].float()
        if side * 2 < images.shape[-1]:
            images = functional.avg_pool2d(images, 2)
        matrices = torch.stack([self._view(upright=not whole) for whole in self.complete[index]])
        grid = functional.affine_grid(matrices, [count, 3, side, side], align_corners=False)
        images = functional.grid_sample(images - 116, grid, padding_mode="zeros", align_corners=False) + 116
        half = functional.affine_grid(matrices, [count, 1, side // 2, side // 2], align_corners=False)
        labels = functional.grid_sample(
            labels, half, mode="nearest", padding_mode="zeros", align_corners=False
        )
        return Batch(self._colour(images), labels[:, 0].long(), torch.from_numpy(self.complete[index]))

    def _view(self, *, upright: bool) -> torch.Tensor:
        """(2, 3) affine map: quarter turns, flips, a little rotation and shear, zoom in or out, shift.

        Photos mostly stay upright, as they will be seen: people stand, tables carry.
        """
        rng = self.rng
        quarters = 0 if upright and rng.random() < 0.9 else rng.integers(4)
        turn = quarters * math.pi / 2 + (rng.normal(0, 0.15) if rng.random() < 0.4 else 0)
        zoom = math.exp(rng.uniform(math.log(0.5), math.log(1.15))) if rng.random() < 0.6 else 1.0
        aspect = math.exp(rng.normal(0, 0.12))
        linear = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        linear = linear @ np.diag([zoom * aspect * rng.choice([-1, 1]), zoom / aspect])
        room = max(0.0, 1 - zoom)
        shift = rng.uniform(-room, room, 2)
        return torch.tensor(np.hstack([linear, shift[:, None]]), dtype=torch.float32)

    def _colour(self, images: torch.Tensor) -> torch.Tensor:
        count = len(images)
        rng = self.rng
        gain = torch.tensor(
            rng.normal(1, 0.18, (count, 1, 1, 1)) + rng.normal(0, 0.07, (count, 3, 1, 1))
        ).float()
        offset = torch.tensor(
            rng.normal(0, 14, (count, 1, 1, 1)) + rng.normal(0, 7, (count, 3, 1, 1))
        ).float()
        images = (images - 116) * gain + 116 + offset
        grey = torch.from_numpy(rng.random(count) < 0.18)[:, None, None, None]
        images = torch.where(grey, images.mean(1, keepdim=True), images)
        invert = torch.from_numpy(rng.random(count) < 0.10)[:, None, None, None]
        images = torch.where(invert, 255 - images, images)
        if rng.random() < 0.15:
            images = functional.avg_pool2d(images, 3, 1, 1)
        images = images + torch.randn_like(images) * float(rng.choice([0, 0, 3, 8]))
        mean, std = (torch.tensor(values)[None, :, None, None] for values in (SAM_MEAN, SAM_STD))
        return (images.clamp(0, 255) - mean) / std
