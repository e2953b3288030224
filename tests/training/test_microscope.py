"""Other modalities keep the specimen, nuclei stay apart from their cytoplasm, and a mix is read as it is written."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch

from training.losses import soft_iou
from training.microscope import cytoplasm, other_microscope
from training.pool import shares


def disc() -> tuple[np.ndarray, np.ndarray]:
    """A reddish disc of radius 20 on a dark 96 x 96 ground, and its label map."""
    y, x = np.mgrid[0:96, 0:96]
    labels = (np.hypot(y - 48, x - 48) < 20).astype(np.int32)
    return np.where(labels[..., None] > 0, (200, 90, 120), (40, 45, 50)).astype(np.uint8), labels


@pytest.mark.parametrize("seed", range(12))
def test_the_specimen_is_still_there(seed: int) -> None:
    """Whatever the microscope, brightness changes across the rim of the disc by more than the noise."""
    image, labels = disc()

    seen = other_microscope(image, np.random.default_rng(seed)).astype(float).mean(2)

    y, x = np.mgrid[0:96, 0:96]
    radius = np.hypot(y - 48, x - 48)
    inner, outer = seen[(radius > 14) & (radius < 18)].mean(), seen[(radius > 22) & (radius < 26)].mean()
    assert abs(inner - outer) > np.abs(np.diff(seen[:8], axis=1)).mean()
    assert seen.shape == labels.shape


def test_microscopes_differ_in_polarity() -> None:
    """Among fifty microscopes the disc is brighter than its ground in some and darker in others."""
    image, labels = disc()
    signs = set()
    for seed in range(50):
        seen = other_microscope(image, np.random.default_rng(seed)).astype(float).mean(2)
        signs.add(bool(seen[labels > 0].mean() > seen[labels == 0].mean()))

    assert signs == {True, False}


def test_cytoplasm_lies_around_the_nucleus() -> None:
    """The picture changes near the labelled body and stays as it was far away from it."""
    _, labels = disc()
    ground = np.full((96, 96, 3), 100, np.float32)

    drawn = cytoplasm(ground, labels, np.random.default_rng(3), radius=20)

    y, x = np.mgrid[0:96, 0:96]
    far = np.hypot(y - 48, x - 48) > 65
    assert np.abs(drawn - ground)[69, 48].max() > 1
    assert np.abs(drawn - ground)[far].max() < 1


def test_a_mix_is_read_from_the_command_line() -> None:
    """Kinds and shares are taken as written; an unknown kind is named with those there are."""
    assert shares("nuclei=0.4,packed=0.6") == {"nuclei": 0.4, "packed": 0.6}
    with pytest.raises(
        argparse.ArgumentTypeError, match="no such kind of sample: cats; there are photo, collage"
    ):
        shares("cats=1")


def test_soft_overlap_follows_the_mask() -> None:
    """The soft IoU is near one for the mask itself, lower for one shifted, and its gradient points to the mask."""
    target = torch.zeros(1, 16, 16)
    target[0, 4:12, 4:12] = 1
    logits = ((target.roll(2, 2) - 0.5) * 20).requires_grad_()

    shifted = soft_iou(logits, target)
    shifted.sum().backward()

    assert soft_iou((target - 0.5) * 40, target).item() == pytest.approx(1, abs=1e-3)
    assert shifted.item() == pytest.approx(48 / 80, abs=0.02)
    assert logits.grad is not None
    assert logits.grad[0, 8, 4] > 0 > logits.grad[0, 8, 13]
