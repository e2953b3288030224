"""MobileSAM: SAM's decoder behind a TinyViT encoder.

Paper: https://arxiv.org/abs/2306.14289
Official code: https://github.com/ChaoningZhang/MobileSAM (Apache-2.0)
"""

from __future__ import annotations

from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.models.tiny_vit import TinyViT


def build() -> SamNetwork:
    """The network without weights. The checkpoint also holds TinyViT's classifier, which is not used."""
    unused = ("image_encoder.norm_head.", "image_encoder.head.")
    return SamNetwork(TinyViT(), unused_keys=unused).eval()
