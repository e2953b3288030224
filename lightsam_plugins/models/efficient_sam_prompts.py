"""EfficientSAM's prompt encoder: clicks and box corners in a fixed number of slots.

Paper: EfficientSAM (https://arxiv.org/abs/2312.00863).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.errors import InputError
from lightsam_plugins.models.sam_prompt_encoder import (
    BOTTOM_RIGHT,
    TOP_LEFT,
    EncodedPrompts,
    PromptEncoderBase,
)
from lightsam_plugins.types import PromptBatch

SLOTS = 6  # points an object is described by
EMPTY = -1  # label and both coordinates of a slot without a point


class EfficientSamPromptEncoder(PromptEncoderBase):
    """The prompt encoder; its arguments are those of `PromptEncoderBase`.

    An object always has `SLOTS` tokens. The decoder attends to empty ones too, and unlike SAM's padding they
    have a position, that of the coordinates (-1, -1): the weights were trained that way.
    """

    def __init__(self, channels: int = 256, side: int = 1024, grid: int = 64) -> None:
        super().__init__(channels, side, grid)
        self.invalid_points = nn.Embedding(1, channels)
        self.point_embeddings = nn.Embedding(1, channels)
        self.bbox_top_left_embeddings = nn.Embedding(1, channels)
        self.bbox_bottom_right_embeddings = nn.Embedding(1, channels)

    def forward(self, prompts: PromptBatch) -> EncodedPrompts:
        """Encode the prompts of N objects, in pixels of the prompt frame; `dense` is zero.

        Raises:
            InputError: An object has more points than slots.
        """
        points, labels = fill_slots(prompts)
        kinds = torch.cat(
            [
                self.invalid_points.weight,
                torch.zeros_like(self.point_embeddings.weight),  # a negative click is a position and no more
                self.point_embeddings.weight,
                self.bbox_top_left_embeddings.weight,
                self.bbox_bottom_right_embeddings.weight,
            ]
        )
        tokens = self.encode_positions(points) + kinds[labels + 1]
        return EncodedPrompts(tokens, None, tokens.new_zeros(1, 1, tokens.shape[-1]))


def fill_slots(prompts: PromptBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners of boxes as points, clicks after them; padding is what an empty slot is, or is left out.

    Returns:
        Points (N, SLOTS, 2) and labels (N, SLOTS): 0 and 1 clicks, 2 and 3 corners, -1 empty.

    Raises:
        InputError: An object has more points than slots.
    """
    points, labels = prompts.points, prompts.labels
    if prompts.boxes is not None:
        corners = labels.new_tensor([TOP_LEFT, BOTTOM_RIGHT]).expand(len(labels), -1)
        points = torch.cat([prompts.boxes.view(-1, 2, 2), points], dim=1)
        labels = torch.cat([corners, labels], dim=1)
    if labels.shape[1] > SLOTS:  # the points first, so that only padding is cut off
        order = (labels < 0).int().argsort(dim=1, stable=True)
        points, labels = points.take_along_dim(order[..., None], dim=1), labels.take_along_dim(order, dim=1)
        if bool((labels[:, SLOTS:] >= 0).any()):
            raise InputError(
                "too many points for an object",
                expected=f"at most {SLOTS}, a box counting as two",
                got=f"{int((labels >= 0).sum(dim=1).max())}",
                hint="Leave some points out.",
            )
        points, labels = points[:, :SLOTS], labels[:, :SLOTS]
    points = points.masked_fill((labels < 0)[..., None], EMPTY)
    missing = SLOTS - labels.shape[1]
    return F.pad(points, (0, 0, 0, missing), value=EMPTY), F.pad(labels, (0, missing), value=EMPTY)
