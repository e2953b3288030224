"""Whose weights a checkpoint holds, by the names and shapes of its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lightsam_plugins.registry import MODELS, build_network
from lightsam_plugins.weights.fitting import differences

if TYPE_CHECKING:
    from collections.abc import Mapping


def recognise(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the models that these tensors fit exactly: none, one, or several of one architecture.

    Each network is built without memory for its weights, so that this takes a moment for models of any size.
    """
    found = []
    for name, spec in MODELS.items():
        with torch.device("meta"):
            network = build_network(spec)
        if not differences(network, tensors):
            found.append(name)
    return found
