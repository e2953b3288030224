"""EdgeSAM: SAM's decoder, distilled together with a RepViT encoder.

Paper: https://arxiv.org/abs/2312.06660
Official code: https://github.com/chongzhou96/EdgeSAM (NTU S-Lab License 1.0)
"""

from __future__ import annotations

import torch

from lightsam_plugins.models.rep_vit import RepViT
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.types import Features, PromptBatch


class EdgeSam(SamNetwork):
    """`SamNetwork` whose scores are the stability of its masks.

    The token of the predicted IoU was not distilled: the authors say to select by stability instead.
    """

    def decode(
        self, features: Features, prompts: PromptBatch, *, multimask: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `SamNetwork.decode`, with the stability in place of the predicted IoU."""
        logits, _ = super().decode(features, prompts, multimask=multimask)
        scores, order = stability(logits).sort(dim=1, descending=True, stable=True)
        return logits.take_along_dim(order[..., None, None], dim=1), scores

    def decode_above(
        self, features: Features, prompts: PromptBatch, threshold: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `SamNetwork.decode_above`, but all masks have to be drawn: of others the stability is not known."""
        logits, scores = self.decode(features, prompts, multimask=True)
        return logits[scores.float() > threshold], scores


def stability(logits: torch.Tensor, offset: float = 1.0) -> torch.Tensor:
    """IoU of each mask cut at +offset with itself cut at -offset, (N, K, H, W) -> (N, K); 0 where it is empty."""
    inner, outer = ((logits > cut).sum((2, 3)) for cut in (offset, -offset))
    return (inner / outer.clamp(min=1)).to(logits.dtype)


def build() -> EdgeSam:
    """The network without weights."""
    return EdgeSam(RepViT()).eval()
