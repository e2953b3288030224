"""FastSAM: a detector that proposes all objects of an image, among which prompts choose.

Paper: https://arxiv.org/abs/2306.12156
Official code: https://github.com/CASIA-IVA-Lab/FastSAM (AGPL-3.0; nothing of it is used here)
"""

from __future__ import annotations

import torch

from lightsam_plugins.models.proposal_choice import choose
from lightsam_plugins.models.proposal_masks import mask_logits
from lightsam_plugins.models.yolo_proposals import proposals
from lightsam_plugins.models.yolo_seg import YOLOV8X, YoloSeg
from lightsam_plugins.types import Features, PromptBatch


class FastSam(YoloSeg):
    """`YoloSeg` as a promptable network: what is decoded are its own proposals, 300 an image at most.

    `proposal_choice` has the rule by which prompts choose. A prompt that fits none of the proposals gets an empty
    mask with the score 0: one mask a prompt, always.
    """

    prompt_chunk = 64  # choosing is cheap, whatever the device
    exact_features = ("proposals",)  # they hold coordinates

    def encode(self, images: torch.Tensor) -> Features:
        """Find the objects of (B, 3, H, W) images: all that prompts need, in the two tensors of an embedding."""
        return self.finish(self.maps(images))

    def maps(self, images: torch.Tensor) -> Features:
        """What the network itself gives: predictions of all cells, and prototypes."""
        predictions, prototypes = self(images)
        return {"predictions": predictions, "prototypes": prototypes}

    def finish(self, maps: Features) -> Features:
        """The objects among the predictions."""
        return {
            "proposals": proposals(maps["predictions"]),
            "prototypes": maps["prototypes"].contiguous(),
        }

    def decode(
        self, features: Features, prompts: PromptBatch, *, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Choose 1 or 3 proposals for each of N prompts, best first.

        Returns:
            Logits (N, K, 256, 256), scores (N, K) and the boxes (N, K, 4) where the masks end, as `propose` has
            them.
        """
        found, prototypes = _found(features)
        scores, rows = choose(found, prototypes, prompts, 3 if multimask else 1)
        # One row more, for the prompts that nothing fits: its box is empty.
        chosen = torch.cat([found, found.new_zeros((1, found.shape[1]))])[rows.flatten()]
        logits = mask_logits(chosen, prototypes)
        return logits.unflatten(0, rows.shape), scores, chosen[:, :4].unflatten(0, rows.shape)

    def propose(self, features: Features) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """All proposals of one image, most confident first.

        Returns:
            Logits (1, P, 256, 256) over the input frame, confidences (1, P), and the boxes (1, P, 4) in pixels of
            the input where the masks end.
        """
        found, prototypes = _found(features)
        return mask_logits(found, prototypes)[None], found[None, :, 4], found[None, :, :4]


def _found(features: Features) -> tuple[torch.Tensor, torch.Tensor]:
    """The proposals (P, 37) of one image without padding, and its prototypes (32, h, w), both float32."""
    found, prototypes = (features[name][0].float() for name in ("proposals", "prototypes"))
    return found[found[:, 4] > 0], prototypes


def build_s() -> FastSam:
    """FastSAM-s, on YOLOv8s-seg, without weights."""
    return FastSam((32, 64, 128, 256, 512), (1, 2, 2, 1, 1), 128).eval()


def build_x() -> FastSam:
    """FastSAM-x, on YOLOv8x-seg, without weights."""
    return FastSam(*YOLOV8X).eval()
