"""Masks of pixels as prompts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lightsam_plugins as ls
from lightsam_plugins.mask_prompts import LEVEL, mask_logits, rough_logits


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
    logits = mask_logits([crop], frame)
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
    logits = mask_logits([(x, y, np.ones((height, width), bool))], frame)[0]
    cells = 2.56

    middle = logits[int((y + height / 2) * cells), int((x + width / 2) * cells)]
    assert middle > 0
    assert (logits[int(np.ceil((y + height) * cells)) + 4 :] == -LEVEL).all()
    assert (logits[:, : max(0, int(x * cells) - 4)] == -LEVEL).all()


def test_a_mask_without_pixels_is_negative_everywhere() -> None:
    """The empty crop, and one of False, are -LEVEL in each cell."""
    logits = mask_logits(
        [(0, 0, np.zeros((0, 0), bool)), (3, 3, np.zeros((5, 5), bool))], ls.Frame(40, 40, 1024)
    )

    assert logits.shape == (2, 256, 256)
    assert (logits == -LEVEL).all()


def test_dense_masks_tensors_and_logits_are_taken() -> None:
    """Masks of the image's size in any type give the same logits; float logits pass as they are."""
    frame = ls.Frame(40, 60, 1024)
    dense = np.zeros((2, 40, 60), bool)
    dense[0, 5:20, 10:30] = True
    expected = mask_logits([(10, 5, np.ones((15, 20), bool)), (0, 0, np.zeros((0, 0), bool))], frame)

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
