"""SAM's mask decoder: prompt tokens and an image embedding to masks and their predicted quality.

Paper: Segment Anything (https://arxiv.org/abs/2304.02643), section 3 and appendix A. Token 0 is the
single-mask answer, tokens 1 to 3 are the candidates for an ambiguous prompt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isqrt

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.models.layers import GELU, MLP
from lightsam_plugins.models.sam_prompt_encoder import EncodedPrompts
from lightsam_plugins.models.sam_transformer import TwoWayTransformer

MASK_TOKENS = 4


class SplitCells(nn.Module):
    """Transposed convolution of kernel 2 and stride 2 on cells, (N, M, in) -> (N, M * 4, out).

    With such a kernel it is one matrix product that gives every cell 2 x 2 points. They stay with their cell
    until the logits are put in place: those are far smaller than the features.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_channels, out_channels, 2, 2) * in_channels**-0.5)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight.permute(2, 3, 1, 0).flatten(0, 2)
        return F.linear(x, weight, self.bias.repeat(4)).view(x.shape[0], 4 * x.shape[1], len(self.bias))


def unfold(logits: torch.Tensor) -> torch.Tensor:
    """Put the 4 x 4 points of every cell in their place: (N, K, S * S * 16) -> (N, K, 4 S, 4 S)."""
    side = isqrt(logits.shape[2]) // 4
    cells = logits.view(*logits.shape[:2], side, side, 2, 2, 2, 2)  # y, x, then (dy, dx) of either step
    return cells.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(*logits.shape[:2], 4 * side, 4 * side)


class MaskDecoderBase(nn.Module, ABC):
    """What mask decoders share. In three steps, since a mask is rated before it is drawn, and many are not worth it.

    A subclass makes the layers, and `upscale` of those.
    """

    transformer: TwoWayTransformer
    iou_token: nn.Embedding
    mask_tokens: nn.Embedding
    output_hypernetworks_mlps: nn.ModuleList
    iou_prediction_head: nn.Module

    def forward(
        self, embedding: torch.Tensor, position: torch.Tensor, prompts: EncodedPrompts, wanted: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode N objects of one image.

        Args:
            embedding: (1, C, S, S) image embedding.
            position: (1, S * S, C) position map.
            prompts: The encoded prompts.
            wanted: Mask tokens (0 to 3) to answer for; the others cost nothing.

        Returns:
            Logits (N, K, 4 S, 4 S) and predicted IoU (N, K), K = len(wanted), in the order of `wanted`.
        """
        tokens, image = self.look(embedding, position, prompts)
        return self.draw(tokens, image, wanted), self.rate(tokens)[:, list(wanted)]

    def look(
        self, embedding: torch.Tensor, position: torch.Tensor, prompts: EncodedPrompts
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (N, T, C) and the image (N, S * S, C) after they have seen each other."""
        image = embedding.permute(0, 2, 3, 1).flatten(1, 2) + prompts.dense
        output = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([output.expand(prompts.tokens.shape[0], -1, -1), prompts.tokens], dim=1)
        ignored = prompts.ignored
        if ignored is not None:
            ignored = torch.cat([ignored.new_zeros(len(ignored), len(output)), ignored], dim=1)
        seen: tuple[torch.Tensor, torch.Tensor] = self.transformer(tokens, image, position, ignored)
        return seen

    def rate(self, tokens: torch.Tensor) -> torch.Tensor:
        """Predicted IoU (N, 4) of the masks of all tokens, drawn or not."""
        rated: torch.Tensor = self.iou_prediction_head(tokens[:, 0])
        return rated

    def draw(self, tokens: torch.Tensor, image: torch.Tensor, wanted: Sequence[int]) -> torch.Tensor:
        """Logits (N, K, 4 S, 4 S) of the `wanted` tokens."""
        filters = torch.stack([self.output_hypernetworks_mlps[i](tokens[:, 1 + i]) for i in wanted], dim=1)
        return unfold(filters @ self.upscale(image).mT)

    @abstractmethod
    def upscale(self, image: torch.Tensor) -> torch.Tensor:
        """Cells (N, S * S, C) to points, (N, S * S * 16, C / 8)."""


class MaskDecoder(MaskDecoderBase):
    """SAM's mask decoder.

    Args:
        channels: Width of the tokens.
        eps: Epsilon of the transformer's layer norms (SAM 1e-5, EfficientViT-SAM 1e-6).
    """

    def __init__(self, channels: int = 256, eps: float = 1e-5) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(channels, eps)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, channels)
        self.output_upscaling = nn.Sequential(
            SplitCells(channels, channels // 4),
            nn.LayerNorm(channels // 4, 1e-6),
            GELU(),
            SplitCells(channels // 4, channels // 8),
            GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(channels, channels, channels, channels // 8) for _ in range(MASK_TOKENS)
        )
        self.iou_prediction_head = MLP(channels, channels, channels, MASK_TOKENS)

    def upscale(self, image: torch.Tensor) -> torch.Tensor:
        points: torch.Tensor = self.output_upscaling(image)
        return points
