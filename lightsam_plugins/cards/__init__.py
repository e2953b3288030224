"""The models, as data: one file a family, one entry a model."""

from __future__ import annotations

from lightsam_plugins.cards import (
    edge_sam,
    efficient_sam,
    efficientvit_sam,
    fastsam,
    mobile_sam,
    mobile_sam_v2,
    nano,
    repvit_sam,
    sam_vit,
    tiny_sam,
)
from lightsam_plugins.model_spec import ModelSpec

CARDS: tuple[ModelSpec, ...] = (
    *edge_sam.CARDS,
    *efficient_sam.CARDS,
    *efficientvit_sam.CARDS,
    *fastsam.CARDS,
    *mobile_sam.CARDS,
    *mobile_sam_v2.CARDS,
    *nano.CARDS,
    *repvit_sam.CARDS,
    *sam_vit.CARDS,
    *tiny_sam.CARDS,
)
