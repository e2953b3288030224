"""The models by name; resolving an entry imports that one architecture only."""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING

from lightsam_plugins.cards import CARDS
from lightsam_plugins.errors import UnknownModel, did_you_mean
from lightsam_plugins.model_spec import SAM_MEAN, SAM_PROMPTS, SAM_STD, ModelSpec, Prompt, WeightFile

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

__all__ = [
    "MODELS",
    "SAM_MEAN",
    "SAM_PROMPTS",
    "SAM_STD",
    "ModelSpec",
    "Prompt",
    "WeightFile",
    "build_network",
    "list_models",
    "model_card",
]

WEIGHTS = {".pt", ".pth", ".safetensors", ".ckpt", ".bin", ".onnx"}  # endings of files of tensors

MODELS: dict[str, ModelSpec] = {card.name: card for card in CARDS}


def list_models() -> list[str]:
    """Names of all models, sorted."""
    return sorted(MODELS)


def model_card(name: str) -> ModelSpec:
    """Everything known of a model: licences, source, hash, size, prompts, paper.

    Raises:
        UnknownModel: No model of that name; the message lists the names and the nearest one.
    """
    try:
        return MODELS[name]
    except (KeyError, TypeError):
        raise UnknownModel(
            f"unknown model {name!r}",
            expected=f"one of {list_models()}",
            hint=weights_hint(str(name))
            or did_you_mean(str(name).lower(), MODELS)
            or "lightsam models lists them.",
        ) from None


def weights_hint(name: str) -> str | None:
    """What to do with a file in the place of a model's name; None where it is no file."""
    if PurePath(name).suffix.lower() not in WEIGHTS:
        return None
    return (
        f"A checkpoint goes into weights=, beside the name of its model: load('mobilesam', weights={name!r})."
    )


def build_network(spec: ModelSpec) -> torch.nn.Module:
    """Import the architecture of `spec` and build it, without weights."""
    module, function = spec.builder.split(":")
    builder: Callable[[], torch.nn.Module] = getattr(import_module(module), function)
    return builder()
