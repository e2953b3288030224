"""`segment-anything`, the official SAM code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from segment_anything import SamPredictor, sam_model_registry

from benchmarks.interleave import Case
from benchmarks.peers.sam_like import encoding, one_box
from benchmarks.seeded import fill, load

PACKAGES = ["segment-anything"]


def cases(folder: Path) -> Iterator[Case]:
    """Encoding by ViT-B, and one box; checkpoints are written to `folder`."""
    sam = fill(sam_model_registry["vit_b"]())
    ours, predictor = load("sam-vit-b", sam, folder), SamPredictor(sam)
    yield encoding(predictor, ours, None, lambda: predictor.features)
    yield one_box(sam, ours, None)
