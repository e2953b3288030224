"""Building blocks shared by the architectures, laid out for channels-last data."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F


def gelu(x: torch.Tensor, approximate: Literal["none", "tanh"] = "none") -> torch.Tensor:
    """GELU, exact (erf) or by tanh, written over `x` where no gradient is asked for.

    Fresh memory for a wide activation costs a CPU more than the function itself.
    """
    function = F.gelu if torch.is_grad_enabled() else torch.ops.aten.gelu_
    return function(x, approximate=approximate)


class GELU(nn.Module):
    """`gelu` as a module."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return gelu(x)


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, H, W); the result is channels-last.

    Args:
        channels: C.
        eps: Epsilon; SAM's by default, which is not that of `torch.nn.LayerNorm`.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def scale_and_shift(bn: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """The factor and the summand of each channel that `bn` comes to by its running statistics."""
    mean, variance = bn.get_buffer("running_mean"), bn.get_buffer("running_var")
    scale = bn.weight * torch.rsqrt(variance + bn.eps)
    return scale, bn.bias - mean * scale


def folded(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the one convolution that is `conv` (without bias), then `bn` by its running statistics."""
    scale, shift = scale_and_shift(bn)
    return conv.weight * scale[:, None, None, None], shift


def conv_bn(x: torch.Tensor, conv: nn.Conv2d, bn: nn.BatchNorm2d) -> torch.Tensor:
    """A convolution without bias, then batch normalisation by its running statistics.

    The two are folded into one convolution at each call: that saves a pass over the activations, and cannot outlive
    its weights as a kept fold could. It costs 0.4 ms of MobileSAM's encoder's 1.1 s, 3 ms of FastSAM-s, 37 ms of
    the 2.7 s of EfficientViT-SAM-XL0 (one thread).
    """
    return F.conv2d(x, *folded(conv, bn), conv.stride, conv.padding, groups=conv.groups)


class ConvBN(nn.Module):
    """Convolution without bias, then batch normalisation: (B, in, H, W) -> (B, out, H / stride, W / stride).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel: Side of the kernel; the padding keeps the size at stride 1.
        stride: Stride.
        groups: Groups of the convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.c = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of the one convolution that does both."""
        return folded(self.c, self.bn)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return conv_bn(x, self.c, self.bn)


class MLP(nn.Module):
    """Linear layers with ReLU between them, (..., sizes[0]) -> (..., sizes[-1]).

    Args:
        sizes: Width before the first layer, then after each.
    """

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


def sam_neck(channels: int, out_channels: int = 256) -> nn.Sequential:
    """The end of SAM's image encoders, (B, channels, H, W) -> (B, out_channels, H, W).

    Args:
        channels: Channels in.
        out_channels: Channels of the embedding.
    """
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    )
