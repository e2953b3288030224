"""Building blocks of YOLOv8: convolutions with SiLU, and the two blocks made of them.

Published as a description of the architecture (https://docs.ultralytics.com/models/yolov8); the blocks go back to
CSPNet (https://arxiv.org/abs/1911.11929), ELAN (https://arxiv.org/abs/2211.04800) and spatial pyramid pooling
(https://arxiv.org/abs/1406.4729).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.models.layers import conv_bn

BATCH_NORM_EPS = 1e-3  # YOLO's, which is not torch's 1e-5


def silu(x: torch.Tensor) -> torch.Tensor:
    """SiLU, written over `x` where no gradient is asked for."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


class Conv(nn.Module):
    """Convolution, batch normalisation, SiLU: (B, in, H, W) -> (B, out, H / stride, W / stride).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel: Side of the kernel; the padding keeps the size at stride 1.
        stride: Stride.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return silu(conv_bn(x, self.conv, self.bn))


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, (B, C, H, W) to the same; `shortcut` adds the input."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = Conv(channels, channels, 3)
        self.cv2 = Conv(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.cv2(self.cv1(x))
        return y + x if self.shortcut else y


class C2f(nn.Module):
    """Bottlenecks in a row, all of whose outputs are joined: (B, in, H, W) -> (B, out, H, W).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        depth: Bottlenecks.
        shortcut: Whether each adds its input.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int, *, shortcut: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.cv1 = Conv(in_channels, 2 * half)
        self.cv2 = Conv((2 + depth) * half, out_channels)
        self.m = nn.ModuleList(Bottleneck(half, shortcut=shortcut) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = list(self.cv1(x).chunk(2, 1))
        for block in self.m:
            parts.append(block(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


class SPPF(nn.Module):
    """Spatial pyramid pooling as three 5x5 poolings in a row: (B, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = Conv(channels, channels // 2)
        self.cv2 = Conv(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.cv1(x)]
        for _ in range(3):
            parts.append(F.max_pool2d(parts[-1], 5, 1, 2))
        return self.cv2(torch.cat(parts, 1))
