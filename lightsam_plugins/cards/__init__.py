"""The models, as data: one file a family, one entry a model."""

from __future__ import annotations

from lightsam_plugins.cards import mobile_sam, nano, sam_vit
from lightsam_plugins.model_spec import ModelSpec

CARDS: tuple[ModelSpec, ...] = (*mobile_sam.CARDS, *nano.CARDS, *sam_vit.CARDS)
