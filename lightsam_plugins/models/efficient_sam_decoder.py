"""EfficientSAM's mask decoder: SAM's, with GELU, another normalisation and names of its own.

Paper: EfficientSAM (https://arxiv.org/abs/2312.00863).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from lightsam_plugins.models.layers import GELU
from lightsam_plugins.models.sam_mask_decoder import MASK_TOKENS, MaskDecoderBase, SplitCells
from lightsam_plugins.models.sam_transformer import TwoWayBlock, TwoWayTransformer

EPS = 1e-5


class GeluMLP(nn.Module):
    """Linear layers with GELU between them, (..., sizes[0]) -> (..., sizes[-1]).

    Args:
        sizes: Width before the first layer, then after each.
    """

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), GELU()) for before, after in pairwise(sizes[:-1])
        )
        self.fc = nn.Linear(sizes[-2], sizes[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.fc(x)


class EfficientSamBlock(TwoWayBlock):
    """A block in which every residual is kept, as are the prompts that are added to the tokens."""

    def __init__(self, channels: int, eps: float, *, first: bool) -> None:
        super().__init__(channels, eps, first=first, mlp=GeluMLP(channels, 8 * channels, channels))

    def among_tokens(
        self, tokens: torch.Tensor, prompts: torch.Tensor, ignored: torch.Tensor | None
    ) -> torch.Tensor:
        if not self.first:
            tokens = tokens + prompts
        return tokens + self.self_attn(tokens, tokens, ignored)


class NormPoints(nn.GroupNorm):
    """Normalisation over all points and channels of an object, (N, M, C) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels, EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # As a channels-last map, for which torch has a kernel that is many times faster.
        return super().forward(x[:, :, None].permute(0, 3, 1, 2)).permute(0, 2, 3, 1).flatten(1, 2)


class EfficientSamMaskDecoder(MaskDecoderBase):
    """The mask decoder; it takes and gives what `MaskDecoder` does. Its dense prompt is zero.

    Args:
        channels: Width of the tokens.
    """

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(channels, EPS, EfficientSamBlock)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, channels)
        self.final_output_upscaling_layers = nn.Sequential(
            nn.Sequential(SplitCells(channels, channels // 4), NormPoints(channels // 4), GELU()),
            nn.Sequential(SplitCells(channels // 4, channels // 8), nn.Identity(), GELU()),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            GeluMLP(channels, channels, channels, channels // 8) for _ in range(MASK_TOKENS)
        )
        self.iou_prediction_head = GeluMLP(channels, channels, channels, MASK_TOKENS)

    def upscale(self, image: torch.Tensor) -> torch.Tensor:
        points: torch.Tensor = self.final_output_upscaling_layers(image)
        return points
