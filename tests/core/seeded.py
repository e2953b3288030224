"""Any registered model at its real size, with weights from a seed."""

import numpy as np
import torch

from lightsam_plugins.registry import build_network, model_card
from lightsam_plugins.segmenter import Segmenter


def seeded_network(name: str) -> torch.nn.Module:
    """The network of a model; no weight is left at zero or one, so that no branch is without effect."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(model_card(name))
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight) * 0.02)
    return network


def seeded_segmenter(name: str) -> Segmenter:
    """A segmenter around that network."""
    return Segmenter(seeded_network(name), model_card(name))


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth image of coloured waves, (height, width, 3) uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [
        sum(np.sin(2 * np.pi * (fx * x + fy * y) + phase) for fx, fy, phase in random.uniform(-6, 6, (5, 3)))
        for _ in range(3)
    ]
    return (np.stack(waves, -1) * 25 + 128).clip(0, 255).astype(np.uint8)
