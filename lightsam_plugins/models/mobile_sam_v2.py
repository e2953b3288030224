"""MobileSAMv2: a detector finds the objects, and a decoder tuned for their boxes segments them in one batch.

Paper: https://arxiv.org/abs/2312.09579
Official code: https://github.com/ChaoningZhang/MobileSAM, folder MobileSAMv2 (Apache-2.0; of the detector's code,
which is in it and is AGPL-3.0, nothing is used here)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.models.efficientvit_sam import l2_encoder
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.models.sam_vit import h_encoder
from lightsam_plugins.models.tiny_vit import TinyViT
from lightsam_plugins.models.yolo_proposals import proposals
from lightsam_plugins.models.yolo_seg import YOLOV8X, YoloSeg
from lightsam_plugins.types import Features


class MobileSamV2(SamNetwork):
    """SAM's network and the object-aware detector, which prompts do without.

    Args:
        image_encoder: As in `SamNetwork`; what the network is called by.
        detector: Of FastSAM's architecture, the masks of which are not used.
        encoder_side: The encoder's own side in pixels, where it is not that of the input.
    """

    # Part of the weights -> what is in its names -> what takes the place of all up to there; the first that fits.
    # The encoder's official files differ: a whole model of which the rest is not used, or the encoder alone.
    parts: Mapping[str, Mapping[str, str]] = {
        "encoder": {"image_encoder.": "image_encoder.", "": "image_encoder."},
        "decoder": {"PromtEncoder.": "prompt_encoder.", "MaskDecoder.": "mask_decoder."},  # sic
        "detector": {"": "detector."},
    }

    def __init__(
        self, image_encoder: nn.Module, detector: YoloSeg, *, encoder_side: int | None = None
    ) -> None:
        unused = ("norm_head.", "head.", "prompt_encoder.", "mask_decoder.")
        super().__init__(image_encoder, unused_keys=tuple(f"image_encoder.{name}" for name in unused))
        self.detector, self.encoder_side = detector, encoder_side

    def encode(self, images: torch.Tensor) -> Features:
        """Encode as `SamNetwork.encode` does. A smaller encoder gets the padded square resized, not the image."""
        if self.encoder_side is not None:
            side = (self.encoder_side, self.encoder_side)
            images = F.interpolate(images, side, mode="bilinear", align_corners=False)
        return super().encode(images)

    def detect(self, images: torch.Tensor) -> torch.Tensor:
        """Find objects in (B, 3, H, W) letterboxes of RGB in 0..1, H and W multiples of 32.

        Confidence above 0.4, IoU of boxes up to 0.9, at most 300: the official settings.

        Returns:
            (B, 300, 5) float32: boxes ``xyxy`` in pixels of the letterbox, confidence; unneeded rows are zero.
        """
        return proposals(self.detector.boxes(images))


def build() -> MobileSamV2:
    """With MobileSAM's encoder, TinyViT, without weights."""
    return MobileSamV2(TinyViT(), YoloSeg(*YOLOV8X)).eval()


def build_efficientvit_l2() -> MobileSamV2:
    """With EfficientViT-SAM-L2's encoder, without weights."""
    return MobileSamV2(l2_encoder(), YoloSeg(*YOLOV8X), encoder_side=512).eval()


def build_vit_h() -> MobileSamV2:
    """With SAM's ViT-H encoder, without weights."""
    return MobileSamV2(h_encoder(), YoloSeg(*YOLOV8X)).eval()
