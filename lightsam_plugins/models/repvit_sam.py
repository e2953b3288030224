"""RepViT-SAM: SAM's decoder behind RepViT-M2.3, distilled from ViT-H.

Paper: https://arxiv.org/abs/2312.05760
Official code: https://github.com/THU-MIG/RepViT, folder sam (Apache-2.0)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.models.layers import ConvBN, sam_neck, scale_and_shift
from lightsam_plugins.models.rep_vit import stages
from lightsam_plugins.models.sam_network import SamNetwork


class NormedBranches(nn.Module):
    """Two depthwise convolutions, 3x3 and 1x1, and the identity, added up and normalised: (B, C, H, W) to the same.

    Unlike those of EdgeSAM, the 1x1 convolution has a bias in place of a norm, and a norm follows the sum. At each
    call all of it is folded into one 3x3 convolution.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBN(channels, channels, 3, groups=channels)
        self.conv1 = nn.Conv2d(channels, channels, 1, groups=channels)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.conv.folded()
        scale, shift = scale_and_shift(self.bn)
        weight = (weight + F.pad(self.conv1.weight + 1, (1, 1, 1, 1))) * scale[:, None, None, None]
        bias = (bias + self.conv1.get_parameter("bias")) * scale + shift
        return F.conv2d(x, weight, bias, padding=1, groups=x.shape[1])


class ImageEncoder(nn.Module):
    """The encoder: (B, 3, S, S) normalised images -> (B, out_channels, S / 16, S / 16).

    The last stage keeps the size of the one before, so that its cells are those SAM's decoder takes.

    Args:
        widths: Channels of the four stages; the defaults are RepViT-M2.3.
        depths: Blocks of each stage, without the one that leads to it.
        out_channels: Channels of the embedding.
    """

    def __init__(
        self,
        widths: Sequence[int] = (80, 160, 320, 640),
        depths: Sequence[int] = (7, 7, 35, 2),
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        self.features = stages(widths, depths, last_stride=1, branches=NormedBranches)
        self.neck = sam_neck(widths[-1], out_channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.contiguous(memory_format=torch.channels_last)
        for layer in self.features:
            x = layer(x)
        return self.neck(x)


def build() -> SamNetwork:
    """The network without weights."""
    return SamNetwork(ImageEncoder()).eval()
