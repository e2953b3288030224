"""SAM's two-way transformer, between a few prompt tokens and the 4096 cells of an image.

Paper: Segment Anything (https://arxiv.org/abs/2304.02643), appendix A. The results are those of the published
formulation; the order of the products is not. Projecting 4096 cells costs much more than projecting a few
tokens, so products with a projection matrix are done on the token side where that is less work:

    (q Wq) ((x Wk) ^ T)  =  ((q Wq) Wk ^ T) x ^ T        softmax(..) (x Wv)  =  (softmax(..) x) Wv

The image is never copied for an object: while it is the same for all, its batch size is 1, and the tokens of
all objects are the rows of one product.

Shapes: N objects, T tokens, P cells, C channels, h heads; the batch size B of the image is 1 or N.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

FEW_ROWS = 20  # queries up to which a CPU is faster without projecting an image's keys and values


def _rows(x: torch.Tensor, batch: int) -> torch.Tensor:
    """(N, R, C) -> (batch, N / batch * R, C): the rows of all objects that share an image."""
    return x.reshape(batch, x.shape[0] // max(1, batch) * x.shape[1], x.shape[2])


class Attention(nn.Module):
    """Multi-head attention.

    Args:
        channels: Width of what comes in and goes out.
        inner: Width of all heads together.
        heads: Attention heads.
    """

    def __init__(self, channels: int, inner: int, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (inner // heads) ** -0.5
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, inner) -> (N, T, h, inner / h)."""
        return x.unflatten(-1, (self.heads, -1))

    def attend(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attention as published: (N, T, C) queries, (N, S, C) keys and values -> (N, T, C)."""
        q, k, v = self.q_proj(queries), self.k_proj(keys), self.v_proj(values)
        q, k, v = (self.split(part).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(y.transpose(1, 2).flatten(2))


class SelfAttention(Attention):
    """Attention of tokens to each other."""

    def forward(self, x: torch.Tensor, values: torch.Tensor, ignored: torch.Tensor | None) -> torch.Tensor:
        """Attend from and to `x` (N, T, C), collecting `values` (N, T, C), without the `ignored` (N, T)."""
        return self.attend(x, x, values, None if ignored is None else ~ignored[:, None, None])


class TokenToImageAttention(Attention):
    """Attention of tokens to image cells."""

    def forward(self, tokens: torch.Tensor, located: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """What the tokens see.

        Args:
            tokens: (N, T, C) queries.
            located: (B, P, C) keys: the image with its position map.
            image: (B, P, C) values.

        Returns:
            (N, T, C), without the residual.
        """
        rows = _rows(tokens, image.shape[0])
        attend = self.attend if rows.shape[1] > FEW_ROWS else self._attend_by_tokens
        return attend(rows, located, image).view(tokens.shape)

    def _attend_by_tokens(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """`attend` without projecting keys and values."""
        q = self.split(self.q_proj(queries) * self.scale)
        # The bias of the keys adds the same to all logits of a query: the softmax removes it.
        q = torch.einsum("nthd,hdc->nhtc", q, self.k_proj.weight.unflatten(0, (self.heads, -1))).flatten(1, 2)
        seen = ((q @ keys.mT).softmax(-1) @ values).unflatten(1, (self.heads, queries.shape[1]))
        seen = torch.einsum("nhtc,hdc->nthd", seen, self.v_proj.weight.unflatten(0, (self.heads, -1)))
        return self.out_proj(seen.flatten(2) + self.v_proj.bias)


class ImageToTokenAttention(Attention):
    """Attention of image cells to tokens, added to the image."""

    def forward(
        self,
        image: torch.Tensor,
        located: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        ignored: torch.Tensor | None,
    ) -> torch.Tensor:
        """The image with what its cells see.

        Args:
            image: (B, P, C).
            located: (B, P, C) queries: the image with its position map.
            keys: (N, T, C).
            values: (N, T, C).
            ignored: (N, T) bool, tokens that are not attended to, or None.

        Returns:
            (N, P, C), with the residual.
        """
        count, length, _ = keys.shape
        keys = self.split(self.k_proj(keys) * self.scale)
        offset = (keys * self.split(self.q_proj.bias)).sum(-1).transpose(1, 2)[..., None]
        if ignored is not None:
            offset = offset.masked_fill(ignored[:, None, :, None], float("-inf"))
        keys = torch.einsum("nthd,hdc->nhtc", keys, self.q_proj.weight.unflatten(0, (self.heads, -1)))
        rows = _rows(keys.flatten(1, 2), image.shape[0])
        logits = (rows @ located.mT).view(count, self.heads, length, image.shape[1])
        weights = logits.add_(offset).softmax(dim=2).flatten(1, 2)

        out = self.out_proj.weight.unflatten(1, (self.heads, -1))
        values = torch.einsum("nthd,chd->nhtc", self.split(self.v_proj(values)), out)
        # The weights of a head sum to 1: a share of the bias in each of its values adds up to the bias.
        values = (values + self.out_proj.bias / self.heads).flatten(1, 2)
        return torch.baddbmm(image.expand(count, -1, -1), weights.mT, values)


class Perceptron(nn.Module):
    """Two linear layers with ReLU between them, (..., C) to the same."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, hidden)
        self.lin2 = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayBlock(nn.Module):
    """Tokens to tokens, tokens to image, perceptron, image to tokens.

    Args:
        channels: Width of the tokens.
        eps: Epsilon of the layer norms.
        first: The tokens that come in are the prompts themselves.
        mlp: In place of SAM's perceptron, (..., C) to the same.
    """

    def __init__(self, channels: int, eps: float, *, first: bool, mlp: nn.Module | None = None) -> None:
        super().__init__()
        self.first = first
        self.self_attn = SelfAttention(channels, channels)
        self.norm1 = nn.LayerNorm(channels, eps)
        self.cross_attn_token_to_image = TokenToImageAttention(channels, channels // 2)
        self.norm2 = nn.LayerNorm(channels, eps)
        self.mlp = Perceptron(channels, 8 * channels) if mlp is None else mlp
        self.norm3 = nn.LayerNorm(channels, eps)
        self.norm4 = nn.LayerNorm(channels, eps)
        self.cross_attn_image_to_token = ImageToTokenAttention(channels, channels // 2)

    def forward(
        self,
        tokens: torch.Tensor,
        prompts: torch.Tensor,
        image: torch.Tensor,
        position: torch.Tensor,
        ignored: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Update tokens (N, T, C) and image (B, P, C) -> (N, T, C), (N, P, C)."""
        tokens = self.norm1(self.among_tokens(tokens, prompts, ignored))
        located = image + position
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + prompts, located, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.cross_attn_image_to_token(image, located, tokens + prompts, tokens, ignored)
        return tokens, self.norm4(image)

    def among_tokens(
        self, tokens: torch.Tensor, prompts: torch.Tensor, ignored: torch.Tensor | None
    ) -> torch.Tensor:
        """The tokens (N, T, C) after they have seen each other, not normalised yet."""
        if self.first:  # the tokens still are the prompts: not added to themselves, nor to the answer
            return self.self_attn(tokens, tokens, ignored)
        return tokens + self.self_attn(tokens + prompts, tokens, ignored)


class TwoWayTransformer(nn.Module):
    """Two blocks, then a last look of the tokens at the image.

    Args:
        channels: Width of the tokens.
        eps: Epsilon of the layer norms.
        block: Makes a block from `channels`, `eps` and whether it is the `first`.
    """

    def __init__(self, channels: int, eps: float, block: Callable[..., TwoWayBlock] = TwoWayBlock) -> None:
        super().__init__()
        self.layers = nn.ModuleList(block(channels, eps, first=i == 0) for i in range(2))
        self.final_attn_token_to_image = TokenToImageAttention(channels, channels // 2)
        self.norm_final_attn = nn.LayerNorm(channels, eps)

    def forward(
        self, prompts: torch.Tensor, image: torch.Tensor, position: torch.Tensor, ignored: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Let prompts and image exchange what they know.

        Args:
            prompts: (N, T, C) tokens.
            image: (B, P, C) cells, B = 1 where it is the same for all objects.
            position: (1, P, C) position map.
            ignored: (N, T) bool, tokens that are not attended to, or None.

        Returns:
            The tokens (N, T, C) and the image as each object sees it (N, P, C).
        """
        tokens = prompts
        for layer in self.layers:
            tokens, image = layer(tokens, prompts, image, position, ignored)
        seen = self.final_attn_token_to_image(tokens + prompts, image + position, image)
        return self.norm_final_attn(tokens + seen), image
