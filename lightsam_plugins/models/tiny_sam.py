"""TinySAM: MobileSAM's network, distilled anew.

Paper: https://arxiv.org/abs/2312.13789
Official code: https://github.com/xinghaochen/TinySAM (Apache-2.0)
"""

from __future__ import annotations

import torch

from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.models.tiny_vit import TinyViT
from lightsam_plugins.types import Features, PromptBatch


class TinySam(SamNetwork):
    """`SamNetwork` that never answers with mask token 0, which the official decoder leaves out."""

    def decode(
        self, features: Features, prompts: PromptBatch, *, multimask: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `SamNetwork.decode`, but the single mask is the best of the three candidates."""
        logits, iou = super().decode(features, prompts, multimask=True)
        return (logits, iou) if multimask else (logits[:, :1], iou[:, :1])


def build() -> TinySam:
    """The network without weights. The checkpoint also holds TinyViT's classifier, which is not used."""
    unused = ("image_encoder.norm_head.", "image_encoder.head.")
    return TinySam(TinyViT(), unused_keys=unused).eval()
