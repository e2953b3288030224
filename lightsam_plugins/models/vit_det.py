"""ViTDet, the image encoder of Segment Anything.

Papers: Segment Anything (https://arxiv.org/abs/2304.02643), section 3 and appendix A; ViTDet
(https://arxiv.org/abs/2203.16527): a plain vision transformer that attends inside windows in most blocks and
to the whole image in a few; MViTv2 (https://arxiv.org/abs/2112.01526): the logit of a query and a key also has
the product of the query with an embedding of their distance in rows, and with one of that in columns.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from lightsam_plugins.models.layers import gelu, sam_neck
from lightsam_plugins.models.vit_layers import Block, PatchEmbed

CPU_LOGITS = 2**19  # logits made at once: 2 MB, which stay in the cache until they are used
ACCELERATOR_LOGITS = 2**26


class WindowAttention(nn.Module):
    """Self-attention inside square windows, (B, H, W, C) to the same, without residual.

    Maps that are no multiple of the window are padded with zeros after the layer norm, and the padding is
    attended to like any token: the weights were trained that way.

    Args:
        channels: Width of the tokens.
        heads: Attention heads.
        window: Side of the window in tokens; the side of the map for attention to the whole image.
    """

    distances: torch.Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * window - 1, channels // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * window - 1, channels // heads))
        place = torch.arange(window)
        # The position embedding of a query (first axis) and a key (second) is this row of the table.
        self.register_buffer("distances", place[:, None] - place + window - 1, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, height, width, channels = x.shape
        side = self.window
        rows, columns = -(-height // side), -(-width // side)
        qkv = self.qkv(x)
        if (rows * side, columns * side) != (height, width):
            # Of a token of zeros nothing but the biases is left: padding here saves projecting it.
            padded = self.qkv.bias.expand(batch, rows * side, columns * side, -1).clone()
            padded[:, :height, :width] = qkv
            qkv = padded
        # The channels are ordered by query, key and value, then by head. Each head of a window is a square.
        qkv = qkv.view(batch, rows, side, columns, side, 3, self.heads, -1).permute(5, 0, 1, 3, 6, 2, 4, 7)
        x = self._attend(*qkv.reshape(3, -1, side, side, channels // self.heads))
        x = x.view(batch, rows, columns, self.heads, side, side, -1).permute(0, 1, 4, 2, 5, 3, 6)
        return self.proj(x.reshape(batch, rows * side, columns * side, channels)[:, :height, :width])

    def _attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attention inside each of N squares, (N, S, S, D) queries, keys and values -> (N, S * S, D).

        Logits are made and used up a few at a time. All those of a whole image would be 0.8 GB or more, and
        writing and reading them would cost a CPU more than the products.
        """
        by_row = (q @ self.rel_pos_h[self.distances].mT).flatten(1, 2)
        by_column = (q.transpose(1, 2) @ self.rel_pos_w[self.distances].mT).transpose(1, 2).flatten(1, 2)
        q, k, v = (part.flatten(1, 2) for part in (q, k, v))

        tokens = q.shape[1]
        limit = CPU_LOGITS if q.device.type == "cpu" else ACCELERATOR_LOGITS
        squares = max(1, limit // tokens**2)
        queries = max(1, limit // (squares * tokens))
        found = []
        parts = (part.split(squares) for part in (q, by_row, by_column, k, v))
        for q, by_row, by_column, k, v in zip(*parts, strict=True):
            asking = (q.split(queries, 1), by_row.split(queries, 1), by_column.split(queries, 1))
            found.append(torch.cat([_attend(*some, k, v) for some in zip(*asking, strict=True)], dim=1))
        return torch.cat(found)


def _attend(
    q: torch.Tensor, by_row: torch.Tensor, by_column: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """Attention of T queries to a square of keys.

    Args:
        q: (N, T, D) queries.
        by_row: (N, T, S) bias of the keys of each row.
        by_column: (N, T, S) bias of the keys of each column.
        k: (N, S * S, D) keys.
        v: (N, S * S, D) values.

    Returns:
        (N, T, D).
    """
    logits = (by_row[..., :, None] + by_column[..., None, :]).flatten(2)
    logits.baddbmm_(q, k.mT, alpha=q.shape[-1] ** -0.5)
    weights = logits.softmax(-1) if torch.is_grad_enabled() else torch.softmax(logits, -1, out=logits)
    return weights @ v


class FeedForward(nn.Module):
    """A perceptron four times as wide, (..., C) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, 4 * channels)
        self.lin2 = nn.Linear(4 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lin2(gelu(self.lin1(x)))


class ViTDet(nn.Module):
    """The encoder: (B, 3, S, S) normalised images -> (B, out_channels, S / patch, S / patch).

    Args:
        channels: Width of the tokens.
        depth: Blocks.
        heads: Attention heads.
        whole: Blocks, counted from 0, that attend to the whole image.
        window: Side of the windows of the others, in tokens.
        out_channels: Channels of the embedding.
        side: Side of the images in pixels.
        patch: Side of a patch in pixels.
    """

    def __init__(
        self,
        channels: int,
        depth: int,
        heads: int,
        whole: Collection[int],
        *,
        window: int = 14,
        out_channels: int = 256,
        side: int = 1024,
        patch: int = 16,
    ) -> None:
        super().__init__()
        grid = side // patch
        self.patch_embed = PatchEmbed(channels, patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, channels))
        windows = (grid if i in whole else window for i in range(depth))
        self.blocks = nn.Sequential(
            *(
                Block(channels, WindowAttention(channels, heads, one), FeedForward(channels))
                for one in windows
            )
        )
        self.neck = sam_neck(channels, out_channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.patch_embed(images) + self.pos_embed)
        return self.neck(x.permute(0, 3, 1, 2))
