"""What adapters need of the core: masks of pixels as prompts, clicks of different numbers, sizes and windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lightsam_plugins as ls
from lightsam_plugins.errors import InputError, PromptError
from lightsam_plugins.mask_exports import window
from lightsam_plugins.mask_prompts import mask_logits
from lightsam_plugins.prompt_arrays import pad_clicks
from lightsam_plugins.types import LOW_RES, Embedding, Frame

COINS = Path(ls.__file__).parent / "assets" / "coins.jpg"


@pytest.mark.parametrize("fit", ["pad", "stretch", "letterbox"])
def test_a_mask_becomes_logits_where_it_lies(fit: str) -> None:
    """Cells inside are +10, outside -10, and a cell half covered is 0, in every frame."""
    frame = Frame(512, 1024, 1024, fit)  # type: ignore[arg-type]

    logits = mask_logits(np.ones((3, 5)), (128, 64, 514, 256), frame)

    x0, y0, x1, y1 = frame.to_input((128, 64, 514, 256)) / 4
    inside = np.s_[int(y0) : int(y1), int(x0) : int(x1)]
    assert logits.shape == (LOW_RES, LOW_RES)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits[inside], 10, atol=1e-4)
    np.testing.assert_allclose(logits[inside[0], int(x1)], 0, atol=1e-3)
    outside = np.ones((LOW_RES, LOW_RES), bool)
    outside[int(y0) : int(y1), int(x0) : int(x1) + 1] = False
    assert (logits[outside] == -10).all()


def test_a_mask_across_the_border_is_cut() -> None:
    """What lies outside the frame is left out, and the rest stays in its place."""
    mask = np.zeros((100, 100), bool)
    mask[50:, 50:] = True

    logits = mask_logits(mask, (-200, -200, 200, 200), Frame(1024, 1024, 1024))

    assert (logits[:50, :50] == 10).all()
    assert (logits > -10).sum() == 2500


@pytest.mark.parametrize(
    ("mask", "box"),
    [(np.ones((2, 2, 1)), (0, 0, 1, 1)), (np.ones((0, 2)), (0, 0, 1, 1)), (np.ones((2, 2)), (1, 0, 1, 1))],
)
def test_no_mask_is_told(mask: np.ndarray, box: tuple[int, ...]) -> None:
    """A wrong shape, no pixels and an empty box are errors that name them."""
    with pytest.raises(
        PromptError, match=r"a mask cannot be a prompt: expected \(h, w\), not empty, and its box"
    ):
        mask_logits(mask, box, Frame(8, 8, 1024))


def test_nano_understands_it() -> None:
    """The mask of a coin, given as pixels, leads to the mask of that coin."""
    model = ls.load("nano", device="cpu")
    embedding = model.embed(COINS)
    (x, y, mask), dense = (
        (found := model.segment(embedding, boxes=[315, 155, 382, 219])).crops()[0],
        found.dense(),
    )
    box = (x, y, x + mask.shape[1], y + mask.shape[0])

    again = model.segment(embedding, mask_input=mask_logits(mask, box, embedding.frame)).dense()

    assert (dense & again).sum() / (dense | again).sum() > 0.95


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
