"""Frames, coordinates and what the encoder gets to see."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peak_memory import peak_growth
from PIL import Image
from strategies import SIDES, coordinates, frames, seeds
from torch.nn import functional

from lightsam_plugins import pixel_values
from lightsam_plugins.plain_resize import resize_plain
from lightsam_plugins.registry import SAM_MEAN, SAM_STD
from lightsam_plugins.transforms import frame_for, preprocess, resize
from lightsam_plugins.types import Frame

SIZES = [(1, 1), (1, 2000), (2000, 1), (37, 53), (300, 1500), (1024, 1024), (683, 1024), (1100, 900)]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A (height, width, 3) uint8 image."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(st.data(), frames())
def test_points_return(data: st.DataObject, frame: Frame) -> None:
    """A point mapped to the input frame and back is where it was, within 0.5 pixels, for any size."""
    point = np.array(data.draw(coordinates(frame)))

    returned = frame.to_image(frame.to_input(point))

    assert np.abs(returned - point).max() < 0.01  # 0.5 is asked for; float32 gives this


@given(st.data(), frames())
def test_points_stay_in_content(data: st.DataObject, frame: Frame) -> None:
    """A point of the image lies inside the image content of the input frame, and corners map to corners."""
    (height, width), (left, top) = frame.resized, frame.offset
    x, y = frame.to_input(data.draw(coordinates(frame)))

    assert left <= x <= left + width + 1e-3
    assert top <= y <= top + height + 1e-3
    corners = [left, top, left + width, top + height]
    assert frame.to_input([0, 0, frame.width, frame.height]) == pytest.approx(corners)


@given(frames(fits=("pad", "letterbox")))
def test_content_fills_the_frame(frame: Frame) -> None:
    """The longest side fills the frame, the other keeps its ratio within half a pixel and is at least one."""
    height, width = frame.resized
    scale = frame.side / max(frame.height, frame.width)

    assert max(height, width) == frame.side
    assert abs(height - frame.height * scale) <= max(0.5 + 1e-6, 1 - frame.height * scale)
    assert abs(width - frame.width * scale) <= max(0.5 + 1e-6, 1 - frame.width * scale)
    assert min(height, width) >= 1


@given(frames(fits=("stretch",)))
def test_stretch_fills_both_sides(frame: Frame) -> None:
    """A stretched image has no padding."""
    assert frame.resized == (frame.side, frame.side)


@given(frames(fits=("letterbox",)))
def test_a_letterbox_is_as_small_as_it_can_be(frame: Frame) -> None:
    """Sides are multiples of 32 with less than 32 pixels of padding, as much on either side but for one pixel."""
    (rows, columns), (height, width), (left, top) = frame.canvas, frame.resized, frame.offset

    assert rows % 32 == columns % 32 == 0
    assert max(rows, columns) == frame.side
    assert 0 <= rows - height < 32
    assert 0 <= columns - width < 32
    assert rows - height - 2 * top in (0, 1)
    assert columns - width - 2 * left in (0, 1)


def test_frame_for() -> None:
    """The frame of an image carries its size, (height, width)."""
    assert frame_for(noise(5, 9), side=384, fit="pad") == Frame(height=5, width=9, side=384, fit="pad")


@settings(max_examples=50)
@given(seeds, st.integers(1, 60), st.integers(1, 60), st.integers(1, 90), st.integers(1, 90))
def test_resize_in_strips_is_pil(seed: int, h: int, w: int, new_h: int, new_w: int) -> None:
    """Resizing a strip of rows at a time gives PIL's antialiased result, x before y, to the last bit."""
    image = noise(h, w, seed)
    along_x = Image.fromarray(image).resize((new_w, h), Image.Resampling.BILINEAR)
    expected = np.asarray(along_x.resize((new_w, new_h), Image.Resampling.BILINEAR))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel_values, "STRIP", 97)
        assert np.array_equal(resize(image, new_h, new_w), expected)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_preprocess_is_sams(height: int, width: int, side: int) -> None:
    """The encoder's input is the official recipe's: PIL resize, normalise, pad right and bottom by zeros"""
    image = noise(height, width)
    scale = side / max(height, width)
    new_h, new_w = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
    small = np.array(Image.fromarray(image).resize((new_w, new_h), Image.Resampling.BILINEAR))
    pixels = torch.from_numpy(small).permute(2, 0, 1)
    mean, std = torch.tensor(SAM_MEAN).view(3, 1, 1), torch.tensor(SAM_STD).view(3, 1, 1)
    expected = functional.pad((pixels - mean) / std, (0, side - new_w, 0, side - new_h))

    frame = frame_for(image, side=1024, fit="pad")
    result = preprocess(image, frame, side=side, mean=SAM_MEAN, std=SAM_STD)

    assert result.dtype == torch.float32
    assert torch.equal(result, expected)


def test_preprocess_stretch() -> None:
    """A stretched image fills the whole square."""
    image = np.full((10, 30, 3), 200, np.uint8)

    result = preprocess(
        image, frame_for(image, side=64, fit="stretch"), side=64, mean=(0, 0, 0), std=(1, 1, 1)
    )

    assert result.shape == (3, 64, 64)
    assert (result == 200).all()


@settings(max_examples=50)
@given(seeds, st.integers(1, 60), st.integers(1, 60), st.integers(1, 90), st.integers(1, 90))
def test_plain_resize_is_opencvs(seed: int, h: int, w: int, new_h: int, new_w: int) -> None:
    """The resize of a letterbox is OpenCV's bilinear one to the last bit, enlarging and shrinking."""
    image = noise(h, w, seed)
    expected = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)

    assert np.array_equal(resize_plain(image, new_h, new_w), expected)


@pytest.mark.parametrize(("height", "width"), [*SIZES, (400, 600)])
def test_preprocess_letterbox(height: int, width: int) -> None:
    """A letterbox shows the image in its middle, in 0..1, and grey (114) around it."""
    image = noise(height, width)
    frame = frame_for(image, side=1024, fit="letterbox")
    (rows, columns), (left, top) = frame.resized, frame.offset

    result = preprocess(image, frame, side=1024, mean=(0, 0, 0), std=(255, 255, 255))

    assert result.shape == (3, *frame.canvas)
    inside = torch.zeros(frame.canvas, dtype=torch.bool)
    inside[top : top + rows, left : left + columns] = True
    content = torch.from_numpy(resize_plain(image, rows, columns)).permute(2, 0, 1) / 255
    torch.testing.assert_close(result[:, inside], content.flatten(1), rtol=0, atol=1e-7)
    assert torch.equal(result[:, ~inside], torch.full_like(result[:, ~inside], 114 / 255))


@pytest.mark.parametrize(("height", "width"), [(1, 20_000), (20_000, 1), (20_000, 3)])
def test_preprocess_thin(height: int, width: int) -> None:
    """The thinnest images keep at least one row and column of content."""
    image = np.full((height, width, 3), 7, np.uint8)

    result = preprocess(
        image, frame_for(image, side=1024, fit="pad"), side=1024, mean=(0, 0, 0), std=(1, 1, 1)
    )

    assert (result[:, : 1024 if height > 1 else 1, : 1024 if width > 3 else 1] == 7).all()
    assert int((result[0] != 0).sum()) == 1024


def test_preprocess_memory() -> None:
    """20,000 x 20,000 pixels (1.2 GB as bytes) are preprocessed in less than 200 MB beside the image."""
    growth = peak_growth(
        "import numpy as np, torch\n"
        "from lightsam_plugins.transforms import frame_for, preprocess\n"
        "row = np.arange(60_000, dtype=np.uint32).astype(np.uint8).reshape(1, 20_000, 3)\n"
        "image = np.broadcast_to(row, (20_000, 20_000, 3))",
        "frame = frame_for(image, side=1024, fit='pad')\n"
        "assert preprocess(image, frame, side=1024, mean=(1, 2, 3), std=(4, 5, 6)).shape == (3, 1024, 1024)",
    )

    assert growth < 200e6
