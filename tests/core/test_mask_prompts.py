"""Masks of pixels as prompts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lightsam_plugins as ls
from lightsam_plugins.mask_prompts import LEVEL, crop_logits, mask_logits, rough_logits

COINS = Path(ls.__file__).parent / "assets" / "coins.jpg"


def ellipse(height: int, width: int) -> np.ndarray:
    """A (height, width) bool image of an ellipse that touches its border."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.hypot(2 * x / width - 1, 2 * y / height - 1) < 1


@pytest.mark.parametrize("fit", ["pad", "stretch", "letterbox"])
@pytest.mark.parametrize("size", [(480, 640), (2000, 900), (60, 90)])
def test_a_mask_comes_back_from_its_logits(size: tuple[int, int], fit: str) -> None:
    """Logits made of an ellipse give the ellipse again, but for a cell at its outline, in every kind of frame."""
    frame = ls.Frame(*size, 1024, fit)
    mask = ellipse(size[0] // 2, size[1] // 3)
    crop = (size[1] // 4, size[0] // 5, mask)
    logits = crop_logits([crop], frame)
    again = ls.Masks(logits, [1.0], frame)
    whole = ls.Masks(logits, [1.0], frame, crops=[crop]).dense()[0]

    assert logits.min() == -LEVEL
    assert logits.max() <= LEVEL
    difference = (again.dense()[0] ^ whole).sum()
    outline = np.pi * sum(mask.shape) / 2
    assert difference < outline * max(1.0, 4 / min(frame.scale)) / 3


@given(
    st.integers(1, 50), st.integers(1, 50), st.integers(0, 50), st.integers(0, 50), st.sampled_from([16, 384])
)
def test_any_rectangle_in_the_image_has_logits(width: int, height: int, x: int, y: int, side: int) -> None:
    """Whatever part of the image a mask covers, the cells it covers are positive and those far from it are not."""
    frame = ls.Frame(100, 100, side)
    logits = crop_logits([(x, y, np.ones((height, width), bool))], frame)[0]
    cells = 2.56

    middle = logits[int((y + height / 2) * cells), int((x + width / 2) * cells)]
    assert middle > 0
    assert (logits[int(np.ceil((y + height) * cells)) + 4 :] == -LEVEL).all()
    assert (logits[:, : max(0, int(x * cells) - 4)] == -LEVEL).all()


def test_a_mask_without_pixels_is_negative_everywhere() -> None:
    """The empty crop, and one of False, are -LEVEL in each cell."""
    logits = crop_logits(
        [(0, 0, np.zeros((0, 0), bool)), (3, 3, np.zeros((5, 5), bool))], ls.Frame(40, 40, 1024)
    )

    assert logits.shape == (2, 256, 256)
    assert (logits == -LEVEL).all()


def test_dense_masks_tensors_and_logits_are_taken() -> None:
    """Masks of the image's size in any type give the same logits; float logits pass as they are."""
    frame = ls.Frame(40, 60, 1024)
    dense = np.zeros((2, 40, 60), bool)
    dense[0, 5:20, 10:30] = True
    expected = crop_logits([(10, 5, np.ones((15, 20), bool)), (0, 0, np.zeros((0, 0), bool))], frame)

    np.testing.assert_array_equal(rough_logits(dense, frame), expected)
    np.testing.assert_array_equal(rough_logits(torch.from_numpy(dense.astype(np.uint8)), frame), expected)
    np.testing.assert_array_equal(rough_logits(dense[0].tolist(), frame), expected[:1])
    np.testing.assert_array_equal(rough_logits(expected, frame), expected)


def test_masks_of_another_size_are_refused() -> None:
    """A mask of a resized image is an error that names both sizes."""
    with pytest.raises(
        ls.PromptError, match=r"masks do not fit the image: expected \(N, 40, 60\) bool.*got \(1, 20, 30\)"
    ):
        rough_logits(np.zeros((1, 20, 30), bool), ls.Frame(40, 60, 1024))


@pytest.mark.parametrize("fit", ["pad", "stretch", "letterbox"])
def test_a_mask_becomes_logits_where_it_lies(fit: str) -> None:
    """Cells inside are +8, outside -8, and a cell half covered is 0, in every frame."""
    frame = ls.Frame(512, 1024, 1024, fit)  # type: ignore[arg-type]

    logits = mask_logits(np.ones((3, 5)), (128, 64, 514, 256), frame)

    x0, y0, x1, y1 = frame.to_input((128, 64, 514, 256)) / 4
    inside = np.s_[int(y0) : int(y1), int(x0) : int(x1)]
    assert logits.shape == (256, 256)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits[inside], LEVEL, atol=1e-4)
    np.testing.assert_allclose(logits[inside[0], int(x1)], 0, atol=1e-3)
    outside = np.ones((256, 256), bool)
    outside[int(y0) : int(y1), int(x0) : int(x1) + 1] = False
    assert (logits[outside] == -LEVEL).all()


def test_a_mask_across_the_border_is_cut() -> None:
    """What lies outside the frame is left out, and the rest stays in its place."""
    mask = np.zeros((100, 100), bool)
    mask[50:, 50:] = True

    logits = mask_logits(mask, (-200, -200, 200, 200), ls.Frame(1024, 1024, 1024))

    assert (logits[:50, :50] == LEVEL).all()
    assert (logits > -LEVEL).sum() == 2500


@pytest.mark.parametrize(
    ("mask", "box"),
    [(np.ones((2, 2, 1)), (0, 0, 1, 1)), (np.ones((0, 2)), (0, 0, 1, 1)), (np.ones((2, 2)), (1, 0, 1, 1))],
)
def test_no_mask_is_told(mask: np.ndarray, box: tuple[int, ...]) -> None:
    """A wrong shape, no pixels and an empty box are errors that name them."""
    with pytest.raises(
        ls.PromptError, match=r"a mask cannot be a prompt: expected \(h, w\), not empty, and its box"
    ):
        mask_logits(mask, box, ls.Frame(8, 8, 1024))


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
