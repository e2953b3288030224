"""Torch's bicubic resize of feature maps, without its operator."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from lightsam_plugins.interpolation import cubic_taps
from lightsam_plugins.types import FloatArray


def upsample(x: torch.Tensor, side: int) -> torch.Tensor:
    """Resize (B, C, H, W) to (B, C, side, side), channels-last.

    The numbers are those of ``interpolate(mode="bicubic")``, as two small matrix products: MPS lacks that
    operator in torch 2.4, and a CPU is faster this way.
    """
    height, width = x.shape[2:]
    rows, columns = (torch.from_numpy(_matrix(n, side)).to(x.device, x.dtype) for n in (height, width))
    cells = x.permute(0, 2, 3, 1)
    tall = (rows @ cells.flatten(2)).unflatten(2, (width, -1))
    return (columns @ tall).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _matrix(inputs: int, outputs: int) -> FloatArray:
    """The resize along one axis, (outputs, inputs)."""
    taps = cubic_taps(inputs, outputs)
    matrix = np.zeros((outputs, inputs), np.float32)
    for index, weight in zip(taps.index, taps.weight, strict=True):
        matrix[np.arange(outputs), index] += weight  # near the border an input serves as more than one sample
    return matrix
