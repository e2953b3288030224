"""The plain vision transformer, EfficientSAM's image encoder.

Papers: An Image is Worth 16x16 Words (https://arxiv.org/abs/2010.11929), Masked Autoencoders
(https://arxiv.org/abs/2111.06377), EfficientSAM (https://arxiv.org/abs/2312.00863). Every patch attends to every
other; SAM's neck follows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.models.bicubic import upsample
from lightsam_plugins.models.layers import gelu, sam_neck
from lightsam_plugins.models.vit_layers import Block, PatchEmbed


class SelfAttention(nn.Module):
    """Multi-head attention of tokens to each other, (B, T, C) to the same, without residual."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """A perceptron four times as wide with GELU, (..., C) to the same, without residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(gelu(self.fc1(x)))


class PlainViT(nn.Module):
    """The encoder: (B, 3, S, S) normalised images -> (B, out_channels, S / patch, S / patch).

    Args:
        channels: Width of the tokens.
        depth: Blocks.
        head_channels: Width of an attention head.
        side: S, in pixels.
        pretrained_side: Side of the images that the position embedding was learned on, in pixels.
        patch: Side of a patch in pixels.
        out_channels: Channels of the embedding.
    """

    def __init__(
        self,
        channels: int,
        depth: int = 12,
        *,
        head_channels: int = 64,
        side: int = 1024,
        pretrained_side: int = 224,
        patch: int = 16,
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        self.learned, self.grid = pretrained_side // patch, side // patch
        self.patch_embed = PatchEmbed(channels, patch)
        # One for the class token first, which the segmenter has no use for.
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + self.learned**2, channels))
        heads = channels // head_channels
        self.blocks = nn.Sequential(
            *(Block(channels, SelfAttention(channels, heads), FeedForward(channels)) for _ in range(depth))
        )
        self.neck = sam_neck(channels, out_channels)
        self._kept: tuple[Any, torch.Tensor, torch.Tensor] | None = None

    def positions(self) -> torch.Tensor:
        """The position embedding at the resolution of the patches, by bicubic interpolation: (1, S, S, C).

        Computed once, and again where the weights are others: a kept one must not be that of weights loaded before.
        """
        weights = self.pos_embed
        if torch.compiler.is_compiling():
            return self._interpolated()  # a graph is written down, in which no memory has an address
        if weights.is_inference() or (weights.requires_grad and torch.is_grad_enabled()):
            return self._interpolated()  # no changes can be seen, or gradients have to go through
        state = (weights.data_ptr(), weights._version, weights.dtype, weights.device)
        if self._kept is None or self._kept[0] != state:
            # The weights are kept as well, so that no others can come to lie at their address.
            self._kept = state, weights.detach(), self._interpolated()
        return self._kept[2]

    def _interpolated(self) -> torch.Tensor:
        learned = self.pos_embed[:, 1:].unflatten(1, (self.learned, -1))
        return upsample(learned.permute(0, 3, 1, 2), self.grid).permute(0, 2, 3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(images) + self.positions()
        x = self.blocks(x.flatten(1, 2)).view(x.shape)
        return self.neck(x.permute(0, 3, 1, 2))
