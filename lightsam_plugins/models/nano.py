"""`nano`: the promptable segmenter that ships inside the wheel, in the same split as SAM (image once, prompts cheap)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from lightsam_plugins.models.nano_clean import clean
from lightsam_plugins.models.nano_decoder import TOKENS, NanoDecoder
from lightsam_plugins.models.nano_encoder import ConvUnit, NanoEncoder
from lightsam_plugins.types import LOW_RES, Features, PromptBatch


class Nano(nn.Module):
    """Encoder and decoder of `nano`; see `docs/nano.md`."""

    unused_keys: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.encoder = NanoEncoder()
        self.decoder = NanoDecoder()

    def fold(self) -> Nano:
        """Merge every batch norm into its convolution, as the shipped weights are; for inference only."""
        for module in self.modules():
            if isinstance(module, ConvUnit):
                module.fold()
        return self

    def encode(self, images: torch.Tensor) -> Features:
        """Encode (B, 3, S, S) normalised images to the maps the decoder adds up."""
        return self.encoder(images)  # type: ignore[no-any-return]

    def decode(
        self, features: Features, prompts: PromptBatch, *, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode N prompts of one image to (N, K, 256, 256) logits and (N, K) predicted IoU."""
        tokens = slice(0, TOKENS if multimask else 1)
        logits, quality = self.decoder(features, prompts, tokens)
        logits = functional.interpolate(logits, size=(LOW_RES, LOW_RES), mode="bilinear", align_corners=False)
        logits = clean(logits, prompts, features["s8"].shape[-1] * 8)
        if multimask:
            order = quality.argsort(1, descending=True)
            quality = quality.gather(1, order)
            logits = logits.gather(1, order[:, :, None, None].expand_as(logits))
        return logits, quality


def build() -> Nano:
    """The network as it ships: norms folded, without weights."""
    return Nano().fold()
