"""Segment Anything itself, in its three sizes: the yardstick of the family.

Paper: https://arxiv.org/abs/2304.02643
Official code: https://github.com/facebookresearch/segment-anything (Apache-2.0)
"""

from __future__ import annotations

from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.models.vit_det import ViTDet


def build_b() -> SamNetwork:
    """ViT-B, without weights."""
    return SamNetwork(ViTDet(768, depth=12, heads=12, whole=(2, 5, 8, 11))).eval()


def build_l() -> SamNetwork:
    """ViT-L, without weights."""
    return SamNetwork(ViTDet(1024, depth=24, heads=16, whole=(5, 11, 17, 23))).eval()


def build_h() -> SamNetwork:
    """ViT-H, without weights."""
    return SamNetwork(h_encoder()).eval()


def h_encoder() -> ViTDet:
    """The encoder of ViT-H, without weights."""
    return ViTDet(1280, depth=32, heads=16, whole=(7, 15, 23, 31))
