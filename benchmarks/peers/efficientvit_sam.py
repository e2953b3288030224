"""`efficientsam`, a packaging of the official EfficientViT-SAM code."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from efficientsam.models.efficientvit.sam import EfficientViTSamPredictor
from efficientsam.sam_model_zoo import create_efficientvit_sam_model

from benchmarks.interleave import Case
from benchmarks.peers.sam_like import encoding, one_box
from benchmarks.seeded import fill, load

PACKAGES = ["efficientsam"]


def cases(folder: Path) -> Iterator[Case]:
    """Encoding by L0 and XL0, and one box; checkpoints are written to `folder`."""
    for name in ("efficientvit-sam-l0", "efficientvit-sam-xl0"):
        sam = fill(create_efficientvit_sam_model(name, pretrained=False))
        ours, predictor = load(name, sam, folder), EfficientViTSamPredictor(sam)
        yield encoding(predictor, ours, 1.2, partial(getattr, predictor, "features"))
        if name.endswith("-l0"):
            yield one_box(sam, ours, None)
