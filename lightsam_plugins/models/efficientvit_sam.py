"""EfficientViT-SAM: SAM's decoder behind an EfficientViT-L or -XL encoder.

Paper: https://arxiv.org/abs/2402.05008
Official code: https://github.com/mit-han-lab/efficientvit (Apache-2.0)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lightsam_plugins.models.bicubic import upsample
from lightsam_plugins.models.efficientvit import (
    EPS,
    Conv,
    EfficientViT,
    FusedMBConv,
    Operations,
    Residual,
)
from lightsam_plugins.models.layers import LayerNorm2d
from lightsam_plugins.models.sam_network import SamNetwork

GRID = 64  # side of the embedding, in cells


class Resized(Operations):
    """A map convolved, then resized to the grid of the embedding."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return upsample(super().forward(x), GRID)


class Neck(nn.Module):
    """The last three stages made one map: (B, widths[i], h, w) each -> (B, out_channels, 64, 64).

    Args:
        widths: Channels of the stages, those of the last stage first.
        depth: Fused blocks.
        expand: How much wider these are inside.
        out_channels: Channels of the embedding.
    """

    def __init__(self, widths: Sequence[int], depth: int, expand: int, out_channels: int) -> None:
        super().__init__()
        channels, wide = out_channels, out_channels * expand
        self.input_ops = nn.ModuleList(Resized([Conv(width, channels)]) for width in widths)
        self.middle = Operations([Residual(FusedMBConv(channels, channels, wide)) for _ in range(depth)])
        self.output_ops = nn.ModuleList([Operations([Conv(channels, channels, bias=True, norm=False)])])

    def forward(self, stages: Sequence[torch.Tensor]) -> torch.Tensor:
        coarse, middle, fine = (resized(x) for resized, x in zip(self.input_ops, stages, strict=True))
        return self.output_ops[0](self.middle(coarse + middle + fine))


class ImageEncoder(nn.Module):
    """Backbone, neck and layer norm: (B, 3, S, S) normalised images -> (B, out_channels, 64, 64).

    Args:
        backbone: The backbone.
        neck_depth: Fused blocks of the neck.
        neck_expand: How much wider these are inside.
        out_channels: Channels of the embedding.
    """

    def __init__(
        self, backbone: EfficientViT, *, neck_depth: int, neck_expand: int, out_channels: int = 256
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = Neck(backbone.widths[:-4:-1], neck_depth, neck_expand, out_channels)
        self.norm = LayerNorm2d(out_channels, EPS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.neck(self.backbone(images)[:-4:-1]))


def _large_encoder(*, depths: Sequence[int], neck_depth: int) -> ImageEncoder:
    """An encoder of five stages, for images of 512 pixels."""
    backbone = EfficientViT(
        kinds=("res", "fused", "fused", "inverted", "attention"),
        widths=(32, 64, 128, 256, 512),
        depths=depths,
        expands=(1, 4, 4, 4, 6),
        scale=5,
    )
    return ImageEncoder(backbone, neck_depth=neck_depth, neck_expand=1)


def l2_encoder() -> ImageEncoder:
    """The encoder of L2 without weights."""
    return _large_encoder(depths=(1, 2, 2, 8, 8), neck_depth=12)


def _large(encoder: ImageEncoder) -> SamNetwork:
    return SamNetwork(encoder, eps=EPS).eval()


def _extra_large(*, depths: Sequence[int], neck_depth: int) -> SamNetwork:
    """Six stages, for images of 1024 pixels."""
    backbone = EfficientViT(
        kinds=("res", "fused", "fused", "fused", "attention", "attention"),
        widths=(32, 64, 128, 256, 512, 1024),
        depths=depths,
        expands=(1, 4, 4, 4, 4, 6),
        scale=3,
    )
    return SamNetwork(ImageEncoder(backbone, neck_depth=neck_depth, neck_expand=4), eps=EPS).eval()


def build_l0() -> SamNetwork:
    """L0 without weights."""
    return _large(_large_encoder(depths=(1, 1, 1, 4, 4), neck_depth=4))


def build_l1() -> SamNetwork:
    """L1 without weights."""
    return _large(_large_encoder(depths=(1, 1, 1, 6, 6), neck_depth=8))


def build_l2() -> SamNetwork:
    """L2 without weights."""
    return _large(l2_encoder())


def build_xl0() -> SamNetwork:
    """XL0 without weights."""
    return _extra_large(depths=(0, 1, 1, 2, 3, 3), neck_depth=6)


def build_xl1() -> SamNetwork:
    """XL1 without weights."""
    return _extra_large(depths=(1, 2, 2, 4, 6, 6), neck_depth=12)
