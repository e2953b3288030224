"""An outline drawn by hand becomes a mask prompt over the input frame."""

import numpy as np
import pytest

import lightsam_plugins as ls
from lightsam_plugins.errors import PromptError
from lightsam_plugins.outlines import outline_logits
from lightsam_plugins.types import Frame


def test_cells_inside_are_positive_and_those_outside_negative() -> None:
    """In a padded frame the cells of the outline, and no others, are above zero; its border cells lie between."""
    logits = outline_logits([[64, 32], [192, 32], [192, 96], [64, 96]], Frame(128, 256, 1024))

    expected = np.zeros((256, 256), bool)
    expected[32:96, 64:192] = True
    assert logits.dtype == np.float32
    assert ((logits > 0) == expected).mean() > 0.999
    assert logits.max() == -logits.min() == 6


def test_nano_follows_an_outline() -> None:
    """Around one coin, the outline alone gives that coin."""
    model = ls.load("nano", device="cpu")
    embedding = model.embed(f"{ls.__path__[0]}/assets/coins.jpg")
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([348 + 36 * np.cos(angles), 187 + 36 * np.sin(angles)], 1)
    box = [*ring.min(0), *ring.max(0)]

    masks = model.segment(embedding, boxes=[box], mask_input=outline_logits(ring, embedding.frame)[None])
    plain = model.segment(embedding, boxes=[box])

    both = masks.dense()[0] & plain.dense()[0]
    assert both.sum() / (masks.dense()[0] | plain.dense()[0]).sum() > 0.9
    assert 2800 < masks.areas[0] < 3600


@pytest.mark.parametrize("ring", [[[1, 2], [3, 4]], [1, 2, 3], [[0, 0], [9, 0], [9, np.nan]]])
def test_other_things_are_no_outline(ring: list[object]) -> None:
    """Fewer than three corners, other shapes and NaN are refused."""
    with pytest.raises(
        PromptError, match=r"not an outline: expected \(K, 2\) finite numbers, K >= 3, got shape"
    ):
        outline_logits(ring, Frame(10, 10, 1024))
