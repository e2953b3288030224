"""Hypothesis strategies for what the core takes: sizes, frames, logits, crops, prompts."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import torch
from hypothesis import strategies as st
from torch.nn import functional

from lightsam_plugins.types import LOW_RES, BoolArray, Fit, FloatArray, Frame

SIDES = (384, 512, 1024)
FITS = get_args(Fit)

sides = st.integers(1, 20_000)
sizes = st.tuples(sides, sides)  # (height, width)
seeds = st.integers(0, 2**32 - 1)


def frames(longest: int = 20_000, fits: tuple[str, ...] = FITS) -> st.SearchStrategy[Frame]:
    """Frames of images of up to `longest` pixels a side; thin ones are as likely as others."""
    side = st.one_of(st.integers(1, longest), st.integers(1, min(8, longest)))
    # A letterbox is made of steps of 32 pixels, which must be whole cells.
    kinds = [(inner, fit) for fit in fits for inner in SIDES if fit != "letterbox" or inner % LOW_RES == 0]
    return st.builds(lambda h, w, kind: Frame(h, w, *kind), side, side, st.sampled_from(kinds))


def coordinates(frame: Frame) -> st.SearchStrategy[tuple[float, float]]:
    """Points (x, y) of the image of a frame, borders included."""
    return st.tuples(st.floats(0, frame.width), st.floats(0, frame.height))


def smooth_logits(seed: int, detail: int = 16, count: int = 1, offset: float = 3.0) -> FloatArray:
    """(count, 256, 256) blobs: noise on `detail` cells a side, enlarged; more `offset` leaves less mask."""
    noise = np.random.default_rng(seed).standard_normal((count, 1, detail, detail)).astype(np.float32)
    large = functional.interpolate(torch.from_numpy(noise), (LOW_RES, LOW_RES), mode="bicubic")
    return (large[:, 0].numpy() * 8 - offset).astype(np.float32)


@st.composite
def logits(draw: Any, count: int = 1) -> FloatArray:
    """(count, 256, 256) float32, from a few large blobs to single cells, from nearly empty to nearly full."""
    detail = draw(st.sampled_from([3, 8, 32, LOW_RES]))
    return smooth_logits(draw(seeds), detail, count, draw(st.floats(-12, 20)))


@st.composite
def binary_masks(draw: Any, longest: int = 40) -> BoolArray:
    """(h, w) bool of any texture, empty and full ones included."""
    shape = draw(st.integers(1, longest)), draw(st.integers(1, longest))
    noise = np.random.default_rng(draw(seeds)).random((shape[0] // 3 + 1, shape[1] // 3 + 1))
    zoom = draw(st.sampled_from([1, 3]))
    return (np.kron(noise, np.ones((zoom, zoom)))[: shape[0], : shape[1]] < draw(st.floats(0, 1))).copy()
