"""`nano`'s image side: a small convolutional pyramid whose outputs are already what the decoder adds up.

Everything that depends on the image alone is computed here, once: the decoder's image-side projections at
strides 4, 8, 16 and 32, the keys its similarity maps are made of, and the stride-2 guide for crisp edges.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTHS = (16, 32, 64, 128, 160)  # channels at strides 2, 4, 8, 16, 32
PYRAMID = (32, 64, 80)  # channels of the top-down path at strides 4, 8, 16
GUIDE, KEYS, GROUPS = 8, 24, 3  # channels of the guide; of the keys, in GROUPS normalised groups
PROJECTIONS = (16, 32, 48, 80)  # image-side terms of the decoder at strides 4, 8, 16, 32


class ConvUnit(nn.Module):
    """3x3 convolution, batch norm, ReLU (optional). `fold` merges the norm into the convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.act = act

    def fold(self) -> None:
        """Replace convolution and norm by one convolution with bias, equal in eval mode; idempotent."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
            self.norm = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return functional.relu(x, inplace=True) if self.act else x


class Residual(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels)
        self.second = ConvUnit(channels, channels, act=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.second(self.first(x)))


class Attention(nn.Module):
    """Global self-attention over the coarsest map (144 cells at 384 px), then an MLP; pre-norm residuals."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        x = x + self.position(x)
        tokens = x.flatten(2).transpose(1, 2)
        qkv = self.qkv(self.norm1(tokens)).view(batch, -1, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-2, -1) * (channels // self.heads) ** -0.5).softmax(-1)
        tokens = tokens + self.proj((weights @ value).transpose(1, 2).reshape(batch, -1, channels))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens.transpose(1, 2).reshape(batch, channels, height, width)


def upsample(x: torch.Tensor, factor: int = 2) -> torch.Tensor:
    """Bilinear upsampling by an integer factor."""
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class NanoEncoder(nn.Module):
    """(B, 3, S, S) normalised images to the named maps of the embedding; S a multiple of 32.

    Args:
        widths: Channels at strides 2, 4, 8, 16 and 32.
        pyramid: Channels of the top-down path at strides 4, 8 and 16.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS, pyramid: Sequence[int] = PYRAMID) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = widths
        p4, p8, p16 = pyramid
        self.stem = ConvUnit(3, w2, 2)
        self.stage4 = nn.Sequential(ConvUnit(w2, w4, 2), Residual(w4))
        self.stage8 = nn.Sequential(ConvUnit(w4, w8, 2), Residual(w8), Residual(w8))
        self.stage16 = nn.Sequential(ConvUnit(w8, w16, 2), Residual(w16), Residual(w16), Residual(w16))
        self.stage32 = nn.Sequential(ConvUnit(w16, w32, 2), Residual(w32), Residual(w32), Attention(w32))
        self.down = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in ((w32, p16), (p16, p8), (p8, p4), (p4, w2)))
        self.lateral = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in ((w16, p16), (w8, p8), (w4, p4)))
        self.smooth = nn.ModuleList(ConvUnit(channels, channels) for channels in (p16, p8, p4))
        self.guide = ConvUnit(w2, GUIDE, act=False)
        self.keys = nn.Conv2d(p4, KEYS, 1)
        sizes = zip((p4, p8, p16, w32), PROJECTIONS, strict=True)
        self.project = nn.ModuleList(
            nn.Conv2d(i, o, 3 if o == PROJECTIONS[0] else 1, padding="same") for i, o in sizes
        )

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        x2 = self.stem(images)
        x4 = self.stage4(x2)
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        x32 = self.stage32(x16)
        f16 = self.smooth[0](self.lateral[0](x16) + upsample(self.down[0](x32)))
        f8 = self.smooth[1](self.lateral[1](x8) + upsample(self.down[1](f16)))
        f4 = self.smooth[2](self.lateral[2](x4) + upsample(self.down[2](f8)))
        keys = self.keys(f4).unflatten(1, (GROUPS, KEYS // GROUPS))
        features = {
            "guide": self.guide(x2 + upsample(self.down[3](f4))).contiguous(),  # read channel by channel
            "keys": functional.normalize(keys, dim=2).flatten(1, 2),
        }
        for name, layer, value in zip(
            ("s4", "s8", "s16", "s32"), self.project, (f4, f8, f16, x32), strict=True
        ):
            features[name] = layer(value)
        return features
