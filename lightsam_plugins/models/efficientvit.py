"""EfficientViT-L: convolutions at high resolution, ReLU linear attention at low resolution.

Papers: EfficientViT (https://arxiv.org/abs/2205.14756) and EfficientViT-SAM (https://arxiv.org/abs/2402.05008),
which adds the XL variants. Activations stay channels-last throughout. All batch norms have an epsilon of 1e-6
and GELU is the tanh approximation: the SAM variants were trained and published that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from lightsam_plugins.models.layers import conv_bn, gelu

EPS = 1e-6
HEAD_DIM = 32
EXPAND_DOWN = 4  # how much wider the block between two stages is than the blocks of the stage after it

Kind = Literal["res", "fused", "inverted", "attention"]


class Conv(nn.Module):
    """Convolution, then batch normalisation and GELU where asked: (B, in, H, W) -> (B, out, H / s, W / s).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel: Side of the kernel; the padding keeps the size at stride 1.
        stride: Stride.
        groups: Groups of the convolution.
        bias: Whether the convolution has a bias of its own.
        norm: Whether batch normalisation follows.
        act: Whether GELU follows.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        act: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias
        )
        self.norm = nn.BatchNorm2d(out_channels, EPS) if norm else None
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x) if self.norm is None else conv_bn(x, self.conv, self.norm)
        return gelu(x, "tanh") if self.act else x


class ResBlock(nn.Module):
    """Two 3x3 convolutions, (B, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv(channels, channels, 3, act=True)
        self.conv2 = Conv(channels, channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.conv1(x))


class FusedMBConv(nn.Module):
    """3x3 convolution to `wide` channels, then narrow: (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, wide: int, stride: int = 1) -> None:
        super().__init__()
        self.spatial_conv = Conv(in_channels, wide, 3, stride=stride, act=True)
        self.point_conv = Conv(wide, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.point_conv(self.spatial_conv(x))


class MBConv(nn.Module):
    """Widen, depthwise 3x3, narrow: (B, in, H, W) -> (B, out, H / stride, W / stride).

    Only the last convolution is normalised; the others have biases.
    """

    def __init__(self, in_channels: int, out_channels: int, wide: int, stride: int = 1) -> None:
        super().__init__()
        self.inverted_conv = Conv(in_channels, wide, bias=True, norm=False, act=True)
        self.depth_conv = Conv(wide, wide, 3, stride=stride, groups=wide, bias=True, norm=False, act=True)
        self.point_conv = Conv(wide, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.point_conv(self.depth_conv(self.inverted_conv(x)))


def linear_attention(qkv: torch.Tensor) -> torch.Tensor:
    """ReLU linear attention, in float32: (B, N, heads, 3 * D) queries, keys, values -> (B, N, heads, D).

    With relu for q and k, the weights are q k^T over their sum. They are never formed: (q k^T) v = q (k^T v),
    and k^T v is D x D a head. A column of ones beside v makes the sums of the same product.
    """
    q, k, v = qkv.float().transpose(1, 2).chunk(3, dim=-1)
    ones = v.new_ones(()).expand(*v.shape[:-1], 1)
    context = k.relu().mT @ torch.cat([v, ones], dim=-1)
    seen = q.relu() @ context
    # A query that is zero everywhere sees nothing, 0 / 1e-15; float16 could hold neither this nor the sums.
    return (seen[..., :-1] / (seen[..., -1:] + 1e-15)).transpose(1, 2)


class LiteMLA(nn.Module):
    """Linear attention at two scales, (B, C, H, W) to the same.

    Half of the heads read queries, keys and values at each cell, half their aggregates over a neighbourhood.

    Args:
        channels: C, a multiple of 32.
        scale: Side of the neighbourhood.
    """

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        wide, groups = 3 * channels, 3 * channels // HEAD_DIM
        self.qkv = Conv(channels, wide, norm=False)
        aggregate = nn.Sequential(
            nn.Conv2d(wide, wide, scale, padding=scale // 2, groups=wide, bias=False),
            nn.Conv2d(wide, wide, 1, groups=groups, bias=False),
        )
        self.aggreg = nn.ModuleList([aggregate])
        self.proj = Conv(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[2:]
        qkv = self.qkv(x)
        qkv = torch.cat([qkv, self.aggreg[0](qkv)], dim=1).permute(0, 2, 3, 1).flatten(1, 2)
        seen = linear_attention(qkv.unflatten(-1, (-1, 3 * HEAD_DIM))).to(x.dtype)
        return self.proj(seen.flatten(2).unflatten(1, (height, width)).permute(0, 3, 1, 2))


class Residual(nn.Module):
    """A block added to its input."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x) + x


class Passage(nn.Module):
    """A block that changes the resolution, under the name that residual blocks have in checkpoints."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x)


class AttentionBlock(nn.Module):
    """Linear attention, then a convolutional block, each added to its input."""

    def __init__(self, channels: int, wide: int, scale: int) -> None:
        super().__init__()
        self.context_module = Residual(LiteMLA(channels, scale))
        self.local_module = Residual(MBConv(channels, channels, wide))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.local_module(self.context_module(x))


class Operations(nn.Module):
    """Modules one after the other, under the name `op_list`."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.op_list = nn.Sequential(*modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.op_list(x)


class EfficientViT(nn.Module):
    """The backbone: (B, 3, S, S) normalised images -> the maps of all stages, stage i of side S / 2 ** (i + 1).

    Args:
        kinds: Kind of the blocks of each stage.
        widths: Channels of each stage.
        depths: Blocks of each stage, beside the first, which halves the resolution.
        expands: How much wider a block is inside than outside, in each stage.
        scale: Side of the neighbourhood that attention aggregates over.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        widths: Sequence[int],
        depths: Sequence[int],
        expands: Sequence[int],
        scale: int,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stages = nn.ModuleList()
        before = 3
        for kind, channels, depth, expand in zip(kinds, widths, depths, expands, strict=True):
            first = _passage(kind, before, channels, before * expand * EXPAND_DOWN)
            blocks = [_block(kind, channels, channels * expand, scale) for _ in range(depth)]
            self.stages.append(Operations([first, *blocks]))
            before = channels

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = [images.contiguous(memory_format=torch.channels_last)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


def _passage(kind: Kind, in_channels: int, out_channels: int, wide: int) -> nn.Module:
    match kind:
        case "res":
            return Conv(in_channels, out_channels, 3, stride=2, act=True)
        case "fused":
            return Passage(FusedMBConv(in_channels, out_channels, wide, stride=2))
        case "inverted" | "attention":
            return Passage(MBConv(in_channels, out_channels, wide, stride=2))


def _block(kind: Kind, channels: int, wide: int, scale: int) -> nn.Module:
    match kind:
        case "res":
            return Residual(ResBlock(channels))
        case "fused":
            return Residual(FusedMBConv(channels, channels, wide))
        case "inverted":
            return Residual(MBConv(channels, channels, wide))
        case "attention":
            return AttentionBlock(channels, wide, scale)
