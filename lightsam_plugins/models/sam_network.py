"""An image encoder in front of SAM's prompt encoder and mask decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from lightsam_plugins.errors import InputError
from lightsam_plugins.models.sam_mask_decoder import MASK_TOKENS, MaskDecoder, MaskDecoderBase
from lightsam_plugins.models.sam_prompt_encoder import EncodedPrompts, PromptEncoder, PromptEncoderBase
from lightsam_plugins.types import Features, PromptBatch

OBJECTS = 2  # that a CPU decodes at once


class SamNetwork(nn.Module):
    """A SAM-style network; its state dict has the names of the official checkpoints.

    Nothing derived from the weights is kept between calls, so loading other weights takes effect at once. For
    inference: batch normalisation uses its running statistics in either mode.

    Args:
        image_encoder: (B, 3, S, S) normalised images -> (B, 256, 64, 64).
        unused_keys: Prefixes of tensors that official checkpoints hold and inference does not use.
        eps: Epsilon of the decoder's layer norms.
        prompt_encoder: In place of SAM's.
        mask_decoder: In place of SAM's.
    """

    def __init__(
        self,
        image_encoder: nn.Module,
        *,
        unused_keys: tuple[str, ...] = (),
        eps: float = 1e-5,
        prompt_encoder: PromptEncoderBase | None = None,
        mask_decoder: MaskDecoderBase | None = None,
    ) -> None:
        super().__init__()
        self.unused_keys = unused_keys
        self.image_encoder = image_encoder
        self.prompt_encoder: PromptEncoderBase = PromptEncoder() if prompt_encoder is None else prompt_encoder
        self.mask_decoder: MaskDecoderBase = MaskDecoder(eps=eps) if mask_decoder is None else mask_decoder

    def encode(self, images: torch.Tensor) -> Features:
        """Encode (B, 3, S, S) normalised images to ``image_embedding`` (B, 256, 64, 64)."""
        return {"image_embedding": self.image_encoder(images)}

    def decode(
        self, features: Features, prompts: PromptBatch, *, multimask: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode N prompts of one image.

        Args:
            features: What `encode` gave, with batch size 1.
            prompts: Prompts in pixels of the 1024 frame.
            multimask: Answer with the three candidates, best first, instead of the single mask.

        Returns:
            Logits (N, K, 256, 256) over the whole frame and predicted IoU (N, K); K is 1 or 3.

        Raises:
            InputError: The features are not those of one image.
        """
        if not multimask:
            return self._decode(features, prompts, (0,))
        logits, iou = self._decode(features, prompts, range(1, MASK_TOKENS))
        iou, order = iou.sort(dim=1, descending=True, stable=True)
        return logits.take_along_dim(order[..., None, None], dim=1), iou

    def decode_all(self, features: Features, prompts: PromptBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """All four mask tokens in their own order: logits (N, 4, 256, 256) and predicted IoU (N, 4)."""
        return self._decode(features, prompts, range(MASK_TOKENS))

    def decode_above(
        self, features: Features, prompts: PromptBatch, threshold: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidates of N prompts that are rated above a threshold, see `Rater`.

        Drawing is 40 % of a decode, and a prompt without such a candidate is spared it. With seeded weights, whose
        ratings do not depend on each other, it is one click in six where a third of the candidates pass: 0.90 of the
        time.
        """
        logits, scores = [], []
        for embedding, position, some in self._parts(features, prompts):
            tokens, image = self.mask_decoder.look(embedding, position, some)
            rated, order = self.mask_decoder.rate(tokens)[:, 1:].sort(dim=1, descending=True, stable=True)
            above = rated.float() > threshold
            drawn = above.any(dim=1).nonzero()[:, 0]
            if len(drawn) < len(image):
                tokens, image, order, above = (value[drawn] for value in (tokens, image, order, above))
            three = self.mask_decoder.draw(tokens, image, range(1, MASK_TOKENS))
            logits.append(three.take_along_dim(order[..., None, None], dim=1)[above])
            scores.append(rated)
        return torch.cat(logits), torch.cat(scores)

    def _decode(
        self, features: Features, prompts: PromptBatch, wanted: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        parts = [self.mask_decoder(*part, wanted) for part in self._parts(features, prompts)]
        if len(parts) == 1:
            return parts[0]
        logits, iou = (torch.cat(outputs) for outputs in zip(*parts, strict=True))
        return logits, iou

    def _parts(
        self, features: Features, prompts: PromptBatch
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, EncodedPrompts]]:
        """What the decoder takes, a few objects at a time: the embedding, the position map and encoded prompts."""
        embedding = features["image_embedding"]
        if embedding.ndim != 4 or len(embedding) != 1:
            raise InputError(
                "cannot decode these features",
                expected="an image_embedding of shape (1, 256, 64, 64)",
                got=f"shape {tuple(embedding.shape)}",
                hint="Decode the images of a batch one by one.",
            )
        # As encoders leave it. One that was read from a file is not: the answer would be slower and rounded otherwise.
        embedding = embedding.contiguous(memory_format=torch.channels_last)
        # Few objects at a time, while what they take is less than the allocator hands back to the system: fresh memory
        # costs more than the arithmetic. Of 16 boxes each took 0.84 of the CPU time that it took in one go.
        position, encoded = self.prompt_encoder.position_map(), self.prompt_encoder(prompts)
        size = OBJECTS if embedding.device.type == "cpu" else max(1, len(prompts))
        for some in encoded.split(size):
            yield embedding, position, some
