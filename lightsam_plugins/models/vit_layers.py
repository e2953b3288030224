"""What vision transformers have in common: patches become tokens, and blocks attend and think."""

from __future__ import annotations

import torch
from torch import nn

EPS = 1e-6  # of all layer norms


class PatchEmbed(nn.Module):
    """Linear projection of square patches, (B, 3, H, W) -> (B, H / patch, W / patch, C)."""

    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch, patch)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # Channels-last, or the tokens would have their channels 4096 numbers apart in every block.
        return self.proj(images.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)


class Block(nn.Module):
    """Attention and perceptron, each on normalised tokens and added to them: (..., C) to the same.

    Args:
        channels: C.
        attn: Attention without residual.
        mlp: Perceptron without residual.
    """

    def __init__(self, channels: int, attn: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, EPS)
        self.attn = attn
        self.norm2 = nn.LayerNorm(channels, EPS)
        self.mlp = mlp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))
