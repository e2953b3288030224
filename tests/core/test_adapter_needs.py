"""What adapters need of the core: clicks of different numbers, sizes and windows."""

from __future__ import annotations

import numpy as np
import pytest

import lightsam_plugins as ls
from lightsam_plugins.errors import InputError
from lightsam_plugins.mask_exports import window
from lightsam_plugins.prompt_arrays import pad_clicks
from lightsam_plugins.types import LOW_RES, Embedding, Frame


def test_clicks_are_padded() -> None:
    """Objects of 2, 0 and 1 clicks make (3, 2) rows, the missing ones with label -1."""
    points = [np.array([[1, 2], [3, 4]]), np.zeros((0, 2)), np.array([[5, 6]])]

    xy, labels = pad_clicks(points, [np.array([1, 0]), np.zeros(0), np.array([1])])

    assert labels.tolist() == [[1, 0], [-1, -1], [1, -1]]
    assert xy.tolist() == [[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[5, 6], [0, 0]]]


def test_a_window_of_a_crop() -> None:
    """A box cuts what overlaps it out of a mask, from any side, and is at least a pixel large."""
    crop = (10, 20, np.arange(12).reshape(3, 4) > 0)

    assert window(crop, (9, 19, 12, 22)).tolist() == [[False] * 3, [False, False, True], [False, True, True]]
    assert window(crop, (12.4, 20.6, 15.4, 23.4)).tolist() == [[True, True, False], [True, True, False]]
    assert window(crop, (50, 50, 50.2, 50.2)).tolist() == [[False]]


def test_candidates_by_size() -> None:
    """Of three candidates an object the smallest, the middle and the largest; a fourth is an error."""
    areas = np.array([30, 10, 20, 5, 25, 15])
    logits = np.full((6, LOW_RES, LOW_RES), -1, np.float32)
    for plane, area in zip(logits, areas, strict=True):
        plane[0, :area] = 1
    masks = ls.Masks(logits, areas / 100, Frame(256, 256, 256), candidates=3)

    chosen = [(masks.sized(rank).scores * 100).round().tolist() for rank in (0, 1, -1)]

    assert chosen == [[10, 5], [20, 15], [30, 25]]
    assert masks.sized(0).candidates == 1
    with pytest.raises(InputError, match="rank: expected one of 3 candidates, from 0, got 3"):
        masks.sized(3)


def test_a_vector_is_the_mean_over_the_image() -> None:
    """All maps are pooled where the image lies, in the order of their names; padding and other tensors are not."""
    import torch

    wide = torch.zeros(1, 2, 4, 4)
    wide[0, 0, :2], wide[0, 1, 2:] = 3, 9  # the lower half is padding
    features = {"b": wide, "a": torch.full((1, 1, 8, 8), 5.0), "proposals": torch.ones(1, 9, 9)}
    features["detector_image"] = torch.ones(1, 3, 8, 8, dtype=torch.uint8)

    vector = Embedding(features, Frame(50, 100, 1024), "x").vector()

    assert vector.dtype == np.float32
    assert vector.tolist() == [5, 3, 0]
