"""`nano`: the promptable segmenter inside the wheel, split as SAM is (image once, prompts cheap)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from lightsam_plugins.models.nano_clean import clean
from lightsam_plugins.models.nano_decoder import TOKENS, NanoDecoder, guided
from lightsam_plugins.models.nano_encoder import ConvUnit, NanoEncoder
from lightsam_plugins.types import LOW_RES, Features, PromptBatch

# Taken off the predicted IoU of each mask before the best is chosen: masks 1 and 2 are right less often than they
# believe. Set on the validation part of the training data.
OVERCONFIDENCE = (0.0, 0.06, 0.06)

# The focal loss leaves logits flatter than SAM's. Scaled by this, stability scores (IoU of the masks at logits of +1
# and -1) have the meaning they have for SAM; masks are what they were.
SHARPNESS = 4.0


class Nano(nn.Module):
    """Encoder and decoder of `nano`; see `docs/nano.md`."""

    unused_keys: tuple[str, ...] = ()
    # In bfloat16 it would choose another of the three masks of a click now and then: a mean IoU of 0.984 with float32
    # on held-out photos, with the encoder alone in bfloat16 0.997.
    exact_modules = ("decoder",)

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
        return self.encoder(images)

    def decode(
        self, features: Features, prompts: PromptBatch, *, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode N prompts of one image to (N, K, 256, 256) logits and (N, K) predicted IoU.

        The single answer is the best of the three by predicted IoU, and only that one is brought to full size.
        """
        features = _exact(features)
        weights, quality, order = self._rated(features, prompts)
        quality, order = (value[:, : TOKENS if multimask else 1] for value in (quality, order))
        chosen = weights.gather(1, order[:, :, None, None, None].expand(-1, -1, *weights.shape[2:]))
        return self._draw(chosen, features, prompts), quality

    def decode_above(
        self, features: Features, prompts: PromptBatch, threshold: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidates of N prompts that are rated above a threshold, see `Rater`.

        To bring masks to full size and to tidy them is 40 % of a decode, and few are kept: everything mode takes 0.49,
        0.50, 0.56 and 0.63 of the time it takes without this, on the photos of the package, for the same masks.
        """
        features = _exact(features)
        weights, quality, order = self._rated(features, prompts)
        rows, places = (quality > threshold).nonzero(as_tuple=True)
        chosen = weights[rows, order[rows, places]][:, None]
        return self._draw(chosen, features, prompts[rows])[:, 0], quality

    def _rated(
        self, features: Features, prompts: PromptBatch
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Coefficients of all masks, and their predicted IoU (N, 3), best first, with the places of those."""
        asked = prompts if prompts.masks is None else replace(prompts, masks=prompts.masks / SHARPNESS)
        weights, quality = self.decoder.propose(features, asked)
        quality = (quality - quality.new_tensor(OVERCONFIDENCE)).clamp(min=0)
        quality, order = quality.sort(1, descending=True)
        return weights, quality, order

    def _draw(self, chosen: torch.Tensor, features: Features, prompts: PromptBatch) -> torch.Tensor:
        """Logits (N, K, 256, 256), tidied, of the coefficients of K masks a prompt."""
        logits = guided(chosen, features["guide"])
        logits = functional.interpolate(logits, size=(LOW_RES, LOW_RES), mode="bilinear", align_corners=False)
        return clean(logits * SHARPNESS, prompts, features["s8"].shape[-1] * 8)


def _exact(features: Features) -> Features:
    """The features as the decoder computes with them."""
    return {name: value.float() for name, value in features.items()}


def build() -> Nano:
    """The network as it ships: norms folded, in the memory format that is fastest here, without weights."""
    return Nano().fold().to(memory_format=torch.channels_last)
