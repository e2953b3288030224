from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lightsam_plugins import render

GREY = np.full((100, 150, 3), 128, np.uint8)
SQUARE = (30, 20, np.ones((40, 50), bool))  # x 30..80, y 20..60


def changed(picture: Image.Image, plain: Image.Image) -> np.ndarray:
    """(H, W) bool: the pixels that differ."""
    return np.any(np.asarray(picture) != np.asarray(plain), axis=-1)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(100, 150, (960, 640)), (1000, 1200, (1200, 1000)), (3000, 4800, (2400, 1500)), (1, 1, (960, 960))],
)
def test_picture_has_a_legible_size(height, width, expected):
    """Small photos are enlarged to 960 pixels, huge ones reduced to 2400, others keep their size."""
    picture = render.draw(np.zeros((height, width, 3), np.uint8))

    assert picture.size == expected


def test_mask_is_painted_where_it_lies_and_nowhere_else():
    """The painted region is the mask's, enlarged by 6.4, plus an outline of a few pixels."""
    painted = changed(render.draw(GREY, [SQUARE]), render.draw(GREY))

    rows, columns = (np.flatnonzero(painted.any(axis=axis)) for axis in (1, 0))
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(found, [edge * 6.4 for edge in (30, 20, 80, 60)], atol=5)
    assert painted[130:380, 195:510].all()


def test_outline_is_in_the_colour_of_the_mask():
    """On the edge of a mask the picture has the pure colour; inside, the photo shines through."""
    pixels = np.asarray(render.draw(GREY, [SQUARE])).astype(int)

    edge = pixels[20 * 6 + 8 - 3 : 20 * 6 + 8 + 4, 350]
    assert np.abs(edge - render.PALETTE[0]).sum(axis=1).min() < 12
    np.testing.assert_allclose(pixels[250, 350], 128 * 0.62 + 0.38 * np.array(render.PALETTE[0]), atol=2)


def test_the_photo_is_not_changed():
    """Drawing works on a copy: the array that was passed stays as it was."""
    photo = GREY.copy()

    render.draw(photo, [SQUARE], captions=["0.9"], boxes=[[0, 0, 9, 9]], points=[[5, 5]], title="x")

    assert (photo == 128).all()


def test_a_small_mask_inside_a_large_one_stays_visible():
    """The order of the masks does not matter: the small one is painted last."""
    small = (50, 35, np.ones((6, 6), bool))

    first = render.draw(GREY, [small, SQUARE]).getpixel((340, 244))
    alone = render.draw(GREY, [SQUARE]).getpixel((340, 244))
    assert first != alone


def test_clicks_differ_without_colour():
    """A positive and a negative click differ in shape, so that a grey print can be read."""
    positive, negative = (
        np.asarray(render.draw(GREY, points=[[75, 50]], point_labels=[label]).convert("L")).astype(int)
        for label in (1, 0)
    )

    centre = np.s_[310:336, 470:496]
    assert (np.abs(positive[centre] - negative[centre]) > 100).sum() > 60
    assert (positive[centre] > 240).any()
    assert (negative[centre] > 240).any()


def test_padding_clicks_are_not_drawn():
    """A click with label -1 is padding and leaves no mark."""
    padded = render.draw(GREY, points=[[[75, 50]]], point_labels=[[-1]])

    assert not changed(padded, render.draw(GREY)).any()


def test_box_is_drawn_on_its_edges():
    """A prompt box is a dashed line, white and dark, on the four edges and nowhere inside."""
    marked = changed(render.draw(GREY, boxes=[[30, 20, 80, 60]]), render.draw(GREY))

    assert marked[128, 200:500].all()
    assert marked[140:370, 512].all()
    assert not marked[140:370, 205:500].any()


def test_captions_do_not_cover_each_other_or_a_click():
    """Of masks at one place each caption finds its own; with no place left it is dropped."""
    masks = [SQUARE] * 20
    canvas = render._Canvas(GREY)
    canvas.click(np.array([55.0, 19.0]), positive=True)

    for i, mask in enumerate(masks):
        canvas.caption(mask, f"0.{i:02}", render.PALETTE[0])

    assert 3 <= len(canvas.taken) < 20
    assert not any(render._overlap(a, b) for a, b in itertools.combinations(canvas.taken, 2))


def test_caption_is_white_on_dark():
    """Whatever the photo, a caption brings its own background and strong contrast."""
    white = np.full((100, 150, 3), 255, np.uint8)

    canvas = render._Canvas(white)
    canvas.caption(SQUARE, "0.93", render.PALETTE[0])

    left, top, right, bottom = (round(v) for v in canvas.taken[0])
    chip = np.asarray(canvas.picture.convert("L"))[top:bottom, left + 8 : right]
    assert (chip < 40).mean() > 0.5
    assert (chip > 230).sum() > 50


def test_title_shrinks_until_it_fits():
    """A long title is set smaller instead of running out of the picture."""
    short, long = (render.with_title(Image.new("RGB", (300, 300)), text) for text in ("a", "a" * 50))

    assert long.height < short.height
    assert not np.asarray(long)[: long.height - 300, -2:].max() > 30


def test_montage_fills_its_width():
    """Every row is scaled to the full width: two squares become high, a panorama low."""
    square, panorama = Image.new("RGB", (100, 100)), Image.new("RGB", (400, 100))

    sheet = render.montage([[square, square], [panorama]], width=210, gap=10)

    assert sheet.size == (210, 100 + 10 + 52)
    assert np.asarray(sheet)[:, :, 0][:100].any(axis=0).sum() == 10  # white only in the gap


def test_colours_stay_apart_for_the_colour_blind():
    """Seen with deuteranopia or protanopia (Machado 2009), any two colours of the palette differ clearly."""
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    protanopia = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])

    linear = (np.array(render.PALETTE) / 255) ** 2.2
    for matrix in (np.eye(3), deuteranopia, protanopia):
        seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.2) * 255
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 30


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.integers(0, 2**31),
)
def test_any_size_and_any_mask_is_drawn(height, width, seed):
    """No combination of photo size, crop and prompt at the border makes drawing fail."""
    random = np.random.default_rng(seed)
    x0, y0 = int(random.integers(0, width)), int(random.integers(0, height))
    mask = random.random((random.integers(0, height - y0) + 1, random.integers(0, width - x0) + 1)) > 0.3
    photo = random.integers(0, 256, (height, width, 3), dtype=np.uint8)

    picture = render.draw(
        photo,
        [(x0, y0, mask), (0, 0, np.zeros((0, 0), bool))],
        captions=["0.51", "empty"],
        boxes=[[0, 0, width, height]],
        points=[[0, 0], [width, height]],
        point_labels=[1, 0],
        title="a title",
    )

    assert max(picture.width, picture.height) >= 960


@pytest.mark.parametrize("shape", [(1, 20000), (20000, 1)])
def test_extreme_strips_are_drawn(shape):
    """A strip one pixel high or wide is drawn without failing and without growing out of bounds."""
    picture = render.draw(np.zeros((*shape, 3), np.uint8), [(0, 0, np.ones(shape, bool))], captions=["1.00"])

    assert max(picture.size) == 2400


def test_a_click_outside_is_drawn_at_the_border():
    """A click that a model takes to be at the border is seen there."""
    photo = np.full((40, 60, 3), 128, np.uint8)

    outside, border = (np.asarray(render.draw(photo, points=[[x, 20]])) for x in (-5, 0))

    assert np.array_equal(outside, border)
    assert not np.array_equal(border, np.asarray(render.draw(photo)))
