"""TinyViT, MobileSAM's image encoder.

Paper: TinyViT (https://arxiv.org/abs/2207.10666), as changed by MobileSAM (https://arxiv.org/abs/2306.14289):
the last stage keeps the resolution, and SAM's neck follows it. Activations stay channels-last throughout;
(B, C, H, W) for convolutions and (B, H, W, C) for window attention are two views of the same memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.models.layers import GELU, ConvBN, gelu, sam_neck
from lightsam_plugins.models.padding import without_padding
from lightsam_plugins.models.strips import in_strips


class MBConv(nn.Module):
    """Inverted residual, (B, C, H, W) to the same: widen, depthwise 3x3, narrow, add; GELU after each."""

    def __init__(self, channels: int, expand: int = 4) -> None:
        super().__init__()
        self.wide = wide = channels * expand
        self.conv1 = ConvBN(channels, wide)
        self.conv2 = ConvBN(wide, wide, 3, groups=wide)
        self.conv3 = ConvBN(wide, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return in_strips(self._whole, x, self.wide, reach=1)

    def _whole(self, x: torch.Tensor) -> torch.Tensor:
        y = gelu(self.conv1(x))
        y = gelu(self.conv2(y))
        return gelu(x + self.conv3(y))


class PatchMerging(nn.Module):
    """Passage to the next stage, (B, C, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(channels, out_channels)
        self.conv2 = ConvBN(out_channels, out_channels, 3, stride=stride, groups=out_channels)
        self.conv3 = ConvBN(out_channels, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = gelu(self.conv1(x))
        return self.conv3(gelu(self.conv2(y)))


class WindowAttention(nn.Module):
    """Self-attention inside square windows, with a learned bias for each head and distance.

    Maps that are no multiple of the window are padded with zeros BEFORE the layer norm, and the padding is
    attended to like any token: the weights were trained that way. (B, H, W, C) to the same, without residual.

    Args:
        channels: Width of the tokens.
        heads: Attention heads.
        window: Side of the window in tokens.
    """

    distances: torch.Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        dy, dx = ((v.flatten()[:, None] - v.flatten()).abs() for v in (y, x))
        self.register_buffer("distances", dy * window + dx, persistent=False)  # columns of the biases

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, height, width, channels = x.shape
        side = self.window
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        x = x.view(batch, rows, side, columns, side, channels).transpose(2, 3)
        x = x.reshape(batch * rows * columns, side * side, channels)

        # The channels are ordered by head, and inside a head by query, key, value.
        qkv = self.qkv(self.norm(x)).unflatten(-1, (self.heads, -1))
        # Gathered at every call, at no measurable cost: biases kept from before a load would be stale.
        bias = self.attention_biases[:, self.distances][None]
        q, k, v = (part.transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)

        x = x.transpose(1, 2).reshape(batch, rows, columns, side, side, channels)
        x = x.transpose(2, 3).reshape(batch, rows * side, columns * side, channels)
        return self.proj(x[:, :height, :width])


class FeedForward(nn.Module):
    """Layer norm and a perceptron four times as wide, (..., C) to the same, without residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(gelu(self.fc1(self.norm(x))))


class Block(nn.Module):
    """Window attention, depthwise 3x3 convolution, perceptron: (B, C, H, W) to the same.

    In between the tokens are rows, (B, H * W, C): in torch these are the same bytes as (B, H, W, C), but OpenVINO
    copies to and from the latter, which made MobileSAM's encoder take 1.2 times as long.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.attn = WindowAttention(channels, heads, window)
        self.local_conv = ConvBN(channels, channels, 3, groups=channels)
        self.mlp = FeedForward(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        x = x + self.attn(x.unflatten(1, size)).flatten(1, 2)
        x = self.local_conv(x.transpose(1, 2).unflatten(2, size)).flatten(2).transpose(1, 2)
        x = x + self.mlp(x)
        return x.transpose(1, 2).unflatten(2, size)


class Stage(nn.Module):
    """Blocks of one width, then the passage to the next stage where there is one."""

    def __init__(self, blocks: Sequence[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbed(nn.Module):
    """Two 3x3 convolutions of stride 2, (B, 3, S, S) -> (B, C, S / 4, S / 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.wide = half // 4  # at the resolution of the images
        self.seq = nn.Sequential(ConvBN(3, half, 3, stride=2), GELU(), ConvBN(half, channels, 3, stride=2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return in_strips(self.seq, x, self.wide, reach=4, stride=4)


class TinyViT(nn.Module):
    """The encoder: (B, 3, S, S) normalised images -> (B, out_channels, S / 16, S / 16).

    Args:
        widths: Channels of the four stages; the first is convolutional.
        depths: Blocks of each stage.
        heads: Attention heads of the last three stages.
        windows: Sides of the attention windows of the last three stages, in tokens.
        out_channels: Channels of the embedding.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (4, 5, 10),
        windows: Sequence[int] = (7, 14, 7),
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(widths[0])
        passages = [PatchMerging(widths[i], widths[i + 1], stride) for i, stride in enumerate((2, 2, 1))]
        self.layers = nn.Sequential(Stage([MBConv(widths[0]) for _ in range(depths[0])], passages[0]))
        for i in (1, 2, 3):
            blocks = [Block(widths[i], heads[i - 1], windows[i - 1]) for _ in range(depths[i])]
            self.layers.append(Stage(blocks, passages[i] if i < 3 else None))
        self.neck = sam_neck(widths[-1], out_channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.contiguous(memory_format=torch.channels_last)
        x = without_padding(self._convolutions, x, reach=16, stride=8)
        return self.neck(self.layers[1:](x))

    def _convolutions(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers[0](self.patch_embed(images))
