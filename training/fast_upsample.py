"""Bilinear upsampling with a quick backward pass: torch's own for the CPU took a tenth of a training step."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from lightsam_plugins.models import nano_decoder, nano_encoder

plain = nano_encoder.upsample


@lru_cache
def weights(cells: int) -> torch.Tensor:
    """(2 * cells, cells): what each upsampled cell takes of each cell, along one axis."""
    return plain(torch.eye(cells)[:, None, None].expand(-1, 1, 2, -1))[:, 0, 0].T.contiguous()


class Upsample(torch.autograd.Function):
    """The network's `upsample`; backward as two matrix products."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Double the height and the width of (..., H, W)."""
        return plain(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """The transposed interpolation."""
        rows, columns = (weights(side // 2) for side in gradient.shape[-2:])
        return torch.matmul(rows.T, torch.matmul(gradient, columns))


def install() -> None:
    """Make the networks of this process use it."""
    for module in (nano_encoder, nano_decoder):
        vars(module)["upsample"] = Upsample.apply
