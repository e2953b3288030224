"""Weights and pictures that both sides get: no official weights are needed to compare speed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import save_file

import lightsam_plugins as ls
from tests.golden.golden_recipe import parameter

SEED = "golden"


def fill(module: torch.nn.Module) -> torch.nn.Module:
    """Give `module` the weights of the golden files, by the names and shapes of its own state dict."""
    state = module.state_dict()
    module.load_state_dict({name: parameter(SEED, name, tuple(old.shape)) for name, old in state.items()})
    return module.eval().requires_grad_(False)


def load(
    name: str, official: torch.nn.Module, folder: Path, prefix: str = "", **options: str
) -> ls.Segmenter:
    """Our model with the weights of `official`, by way of a checkpoint; `prefix` is taken off their names.

    `options` are those of `lightsam_plugins.load`.
    """
    path = folder / f"{name}.safetensors"
    tensors = official.state_dict().items()
    save_file({key.removeprefix(prefix): tensor.contiguous().clone() for key, tensor in tensors}, path)
    return ls.load(
        name, device="cpu", weights=path, engine=options.get("engine", "torch"), dtype=options.get("dtype")
    )


def photo(width: int, height: int, name: str = "coffee") -> npt.NDArray[np.uint8]:
    """A photo that ships with the package, (height, width, 3) RGB, in another size."""
    with Image.open(Path(ls.__file__).parent / "assets" / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))


def boxes(count: int, width: int, height: int) -> npt.NDArray[np.float32]:
    """(count, 4) boxes ``xyxy`` in pixels, 5 to 30 % of the sides."""
    random = np.random.default_rng(0)
    size = random.uniform(0.05, 0.3, (count, 2))
    corner = random.uniform(0, 1 - size)
    pixels = np.concatenate([corner, corner + size], 1) * np.tile([width, height], 2)
    return np.asarray(pixels, np.float32)


def ellipses(count: int, side: int = 256) -> npt.NDArray[np.float32]:
    """(count, side, side) logits of one ellipse each, in boxes of 5 to 30 % of the side."""
    y, x = np.mgrid[:side, :side]
    masks = [
        1 - ((x - (x0 + x1) / 2) / (x1 - x0) * 2) ** 2 - ((y - (y0 + y1) / 2) / (y1 - y0) * 2) ** 2
        for x0, y0, x1, y1 in boxes(count, side, side * 2 // 3)
    ]
    return np.asarray(np.stack(masks).clip(-20, 20), np.float32)
