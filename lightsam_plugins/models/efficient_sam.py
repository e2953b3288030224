"""EfficientSAM: a plain vision transformer and a decoder of its own.

Paper: https://arxiv.org/abs/2312.00863
Official code: https://github.com/yformer/EfficientSAM (Apache-2.0)
"""

from __future__ import annotations

from lightsam_plugins.models.efficient_sam_decoder import EfficientSamMaskDecoder
from lightsam_plugins.models.efficient_sam_prompts import EfficientSamPromptEncoder
from lightsam_plugins.models.plain_vit import PlainViT
from lightsam_plugins.models.sam_network import SamNetwork


def build_ti(depth: int = 12) -> SamNetwork:
    """EfficientSAM-Ti without weights; tests take fewer blocks."""
    return _build(192, depth)


def build_s(depth: int = 12) -> SamNetwork:
    """EfficientSAM-S without weights; tests take fewer blocks."""
    return _build(384, depth)


def _build(channels: int, depth: int) -> SamNetwork:
    return SamNetwork(
        PlainViT(channels, depth),
        prompt_encoder=EfficientSamPromptEncoder(),
        mask_decoder=EfficientSamMaskDecoder(),
    ).eval()
