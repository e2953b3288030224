"""RepViT, a convolutional encoder that is laid out like a vision transformer.

Paper: RepViT (https://arxiv.org/abs/2307.09283); `RepViT` is as changed by EdgeSAM (https://arxiv.org/abs/2312.06660):
the maps of the last two stages are added up, and SAM's neck follows. Activations stay channels-last throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.models.bicubic import upsample
from lightsam_plugins.models.layers import GELU, ConvBN, sam_neck


class DepthwiseBranches(nn.Module):
    """A depthwise 3x3 and a depthwise 1x1 convolution and the identity, added up: (B, C, H, W) to the same.

    At each call they are folded into one 3x3 convolution, which is what the paper trains them for.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBN(channels, channels, 3, groups=channels)
        self.conv1 = ConvBN(channels, channels, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.conv.folded()
        centre, more = self.conv1.folded()
        weight = weight + F.pad(centre + 1, (1, 1, 1, 1))
        return F.conv2d(x, weight, bias + more, padding=1, groups=x.shape[1])


class SqueezeExcite(nn.Module):
    """Channels scaled by what their means say, (B, C, H, W) to the same.

    Args:
        channels: C.
        inner: Width between the two layers.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, inner, 1)
        self.fc2 = nn.Conv2d(inner, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))).sigmoid()


class Residual(nn.Module):
    """x + m(x)."""

    def __init__(self, m: nn.Module) -> None:
        super().__init__()
        self.m = m

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.m(x)


class Block(nn.Module):
    """Mixes cells, then channels: (B, in, H, W) -> (B, out, H / stride, W / stride).

    Args:
        in_channels: Channels in.
        out_channels: Channels out; another number only in the first block of a stage.
        stride: Stride of the first block of a stage; 1 in all others.
        excite: The cells' mixture is scaled by squeeze and excitation.
        branches: Makes what mixes the cells of a block that keeps its channels, from their number.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        excite: bool = False,
        branches: Callable[[int], nn.Module] = DepthwiseBranches,
    ) -> None:
        super().__init__()
        quarter = max(8, (in_channels // 4 + 4) // 8 * 8)  # the nearest multiple of 8
        scaling = SqueezeExcite(in_channels, quarter) if excite else nn.Identity()
        if in_channels == out_channels:
            self.token_mixer = nn.Sequential(branches(in_channels), scaling)
        else:
            spatial = ConvBN(in_channels, in_channels, 3, stride=stride, groups=in_channels)
            self.token_mixer = nn.Sequential(spatial, scaling, ConvBN(in_channels, out_channels))
        wide = 2 * out_channels
        self.channel_mixer = Residual(
            nn.Sequential(ConvBN(out_channels, wide), GELU(), ConvBN(wide, out_channels))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.channel_mixer(self.token_mixer(x))


def stages(
    widths: Sequence[int],
    depths: Sequence[int],
    *,
    last_stride: int = 2,
    branches: Callable[[int], nn.Module] = DepthwiseBranches,
) -> nn.ModuleList:
    """The stem and the blocks of all stages, one after the other: (B, 3, S, S) to (B, widths[-1], H, H).

    Args:
        widths: Channels of the stages.
        depths: Blocks of each stage, without the one that leads to it.
        last_stride: Stride of the block that leads to the last stage.
        branches: As in `Block`.

    Returns:
        As many modules as there are blocks, and one; H is S / 32, or S / 16 where `last_stride` is 1.
    """
    half, width = widths[0] // 2, widths[0]
    stem = nn.Sequential(ConvBN(3, half, 3, stride=2), GELU(), ConvBN(half, width, 3, stride=2))
    layers = nn.ModuleList([stem])
    for channels, depth in zip(widths, depths, strict=True):
        if channels != width:
            layers.append(Block(width, channels, stride=last_stride if channels == widths[-1] else 2))
        # Every other block is scaled, but not the last of a stage.
        excited = (i % 2 == 0 and i < depth - 1 for i in range(depth))
        layers.extend(Block(channels, channels, excite=excite, branches=branches) for excite in excited)
        width = channels
    return layers


class Upsampled(nn.Module):
    """1x1 convolution, then twice the size by bicubic interpolation: (B, in, H, H) -> (B, out, 2 H, 2 H)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.op_list = nn.ModuleList([nn.Conv2d(in_channels, out_channels, 1, bias=False)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return upsample(self.op_list[0](x), 2 * x.shape[-1])


class RepViT(nn.Module):
    """The encoder: (B, 3, S, S) normalised images -> (B, out_channels, S / 16, S / 16).

    Args:
        widths: Channels of the four stages; the defaults are RepViT-M1.
        depths: Blocks of each stage, without the one that leads to it.
        out_channels: Channels of the embedding.
    """

    def __init__(
        self,
        widths: Sequence[int] = (48, 96, 192, 384),
        depths: Sequence[int] = (3, 3, 15, 2),
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        self.features = stages(widths, depths)
        self.last_stage = len(self.features) - depths[-1] - 1
        self.fuse_stage2 = nn.Conv2d(widths[2], out_channels, 1, bias=False)
        self.fuse_stage3 = Upsampled(widths[3], out_channels)
        self.neck = sam_neck(out_channels, out_channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.contiguous(memory_format=torch.channels_last)
        for layer in self.features[: self.last_stage]:
            x = layer(x)
        third = x
        for layer in self.features[self.last_stage :]:
            x = layer(x)
        return self.neck(self.fuse_stage2(third) + self.fuse_stage3(x))
