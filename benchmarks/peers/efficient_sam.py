"""EfficientSAM's encoders beside the formulation of the paper.

There is no package of the official code, so the other side is what its paper describes and its checkpoints are made
for, written plainly: attention with the matrix of all 4096 x 4096 weights a head, torch's own GELU, the position
embedding interpolated at each call, contiguous maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from benchmarks.interleave import Case
from benchmarks.seeded import fill
from lightsam_plugins.models.plain_vit import PlainViT
from lightsam_plugins.registry import build_network, model_card

PACKAGES: list[str] = []
EPS = 1e-6


def attention(x: torch.Tensor, layer: Any) -> torch.Tensor:
    """Softmax of queries and keys, times values, as written in papers."""
    count, length, channels = x.shape
    heads = layer.heads
    q, k, v = layer.qkv(x).reshape(count, length, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
    weights = ((q @ k.transpose(-2, -1)) * (channels // heads) ** -0.5).softmax(-1)
    seen: torch.Tensor = layer.proj((weights @ v).transpose(1, 2).reshape(count, length, channels))
    return seen


def norm_map(x: torch.Tensor, layer: Any) -> torch.Tensor:
    """Layer normalisation over the channels of a map, by its mean and variance."""
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    x = (x - mean) / torch.sqrt(variance + EPS)
    scaled: torch.Tensor = layer.weight[:, None, None] * x + layer.bias[:, None, None]
    return scaled


def plain(network: Any, images: torch.Tensor) -> torch.Tensor:
    """The encoder with the weights of ours."""
    x = network.patch_embed.proj(images)
    learned = network.pos_embed[:, 1:].unflatten(1, (network.learned, -1)).permute(0, 3, 1, 2)
    x = x + F.interpolate(learned, x.shape[-2:], mode="bicubic", align_corners=False)
    shape = x.shape
    x = x.flatten(2).transpose(1, 2)
    for block in network.blocks:
        x = x + attention(
            F.layer_norm(x, x.shape[-1:], block.norm1.weight, block.norm1.bias, EPS), block.attn
        )
        thought = block.mlp.fc1(F.layer_norm(x, x.shape[-1:], block.norm2.weight, block.norm2.bias, EPS))
        x = x + block.mlp.fc2(F.gelu(thought))
    x = x.transpose(1, 2).reshape(shape)
    first, norm1, second, norm2 = network.neck
    return norm_map(second(norm_map(first(x), norm1)), norm2)


def cases(folder: Path) -> Iterator[Case]:
    """Both sizes, from a normalised image of 1024 x 1024 to the embedding; nothing is written to `folder`."""
    for name in ("efficientsam-ti", "efficientsam-s"):
        network = fill(build_network(model_card(name)))
        encoder = network.get_submodule("image_encoder")
        assert isinstance(encoder, PlainViT)
        yield case(name, encoder)


@torch.inference_mode()
def case(name: str, encoder: PlainViT) -> Case:
    """One size."""
    images = torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))

    @torch.inference_mode()
    def theirs() -> torch.Tensor:
        return plain(encoder, images)

    @torch.inference_mode()
    def ours() -> torch.Tensor:
        answer: torch.Tensor = encoder(images)
        return answer

    def same() -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
        return theirs().numpy(), ours().numpy()

    return Case(f"encode, {name}", 2, theirs, ours, same, 1e-4)
