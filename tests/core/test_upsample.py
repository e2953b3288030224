"""Upsampling one box only gives what SAM's official post-processing of the whole image gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import frames, logits, smooth_logits
from torch.nn import functional

from lightsam_plugins import upsample
from lightsam_plugins.interpolation import linear_taps, resampler
from lightsam_plugins.types import BoolArray, FloatArray, Frame
from lightsam_plugins.upsample import Crop, mask_crop, mask_region

SIZES = [(1, 1), (1, 2000), (2000, 1), (2, 3), (37, 53), (100, 20), (300, 1500), (256, 256), (1024, 1024)]
LARGE_SIZES = [(683, 1024), (1500, 2250), (2250, 1500), (12, 5000)]
THRESHOLDS = st.sampled_from([0.0, 0.0, 1.3, -2.5])


def official(low: FloatArray, frame: Frame) -> FloatArray:
    """(H, W) values by torch: the two steps of SAM and YOLO, or EfficientSAM's one for a stretched image."""
    values, size = torch.from_numpy(low)[None, None], (frame.height, frame.width)
    if frame.fit == "stretch":
        return functional.interpolate(values, size, mode="bicubic", align_corners=False)[0, 0].numpy()
    rows, columns = (length * 256 // frame.side for length in frame.canvas)
    seen = values[..., :rows, :columns]
    seen = functional.interpolate(seen, frame.canvas, mode="bilinear", align_corners=False)
    (height, width), (left, top) = frame.resized, frame.offset
    content = seen[..., top : top + height, left : left + width]
    return functional.interpolate(content, size, mode="bilinear", align_corners=False)[0, 0].numpy()


def whole(low: FloatArray, frame: Frame, threshold: float = 0.0) -> BoolArray:
    """(H, W) mask by our own arithmetic, everything upsampled."""
    return mask_region(low, frame, threshold, (0, 0, frame.width, frame.height))


def pasted(crop: Crop, frame: Frame) -> BoolArray:
    """(H, W) mask from a crop."""
    x0, y0, mask = crop
    image = np.zeros((frame.height, frame.width), bool)
    image[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
    return image


@given(frames(longest=300), logits(), THRESHOLDS)
def test_crop_is_everything(frame: Frame, low: FloatArray, threshold: float) -> None:
    """A crop is bit for bit the mask of the fully upsampled image, and no row or column of it is empty."""
    crop = mask_crop(low[0], frame, threshold)

    assert np.array_equal(pasted(crop, frame), whole(low[0], frame, threshold))
    assert crop[2].any(0).all() or crop[2][:, [0, -1]].any(0).all()
    assert crop[2].any(1).all() or crop[2][[0, -1]].any(1).all()


@given(frames(longest=300), logits(), THRESHOLDS)
def test_crop_is_official(frame: Frame, low: FloatArray, threshold: float) -> None:
    """No pixel differs from torch's post-processing, for any size, both fits and any threshold."""
    expected = official(low[0], frame) > threshold

    assert np.array_equal(pasted(mask_crop(low[0], frame, threshold), frame), expected)


@given(frames(longest=300), logits(), st.tuples(*[st.floats(-20, 320)] * 4))
def test_a_limit_cuts_the_mask(frame: Frame, low: FloatArray, limit: tuple[float, ...]) -> None:
    """With a limit the mask is what it is without, less the pixels (c, r) not in x0 <= c < x1 and y0 <= r < y1."""
    expected = pasted(mask_crop(low[0], frame), frame)
    y, x = np.mgrid[: frame.height, : frame.width]
    expected &= (limit[0] <= x) & (x < limit[2]) & (limit[1] <= y) & (y < limit[3])

    assert np.array_equal(pasted(mask_crop(low[0], frame, limit=np.array(limit)), frame), expected)


@pytest.mark.parametrize("side", [384, 1024])
@pytest.mark.parametrize("size", SIZES)
def test_official_at_usual_sizes(size: tuple[int, int], side: int) -> None:
    """No pixel differs from torch at thin, tiny and usual sizes, upwards and downwards, eight masks each."""
    frame = Frame(*size, side)
    for seed, detail in enumerate((3, 3, 8, 8, 32, 32, 256, 256)):
        low = smooth_logits(seed, detail, offset=seed - 3.0)[0]
        assert np.array_equal(pasted(mask_crop(low, frame), frame), official(low, frame) > 0)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.parametrize("size", LARGE_SIZES)
def test_official_at_large_sizes(size: tuple[int, int], fit: str) -> None:
    """No pixel differs from torch on photos, from smooth objects to noise."""
    frame = Frame(*size, 1024, "pad" if fit == "pad" else "stretch")
    for seed, detail in enumerate((8, 64)):
        low = smooth_logits(seed, detail)[0]
        assert np.array_equal(pasted(mask_crop(low, frame), frame), official(low, frame) > 0)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_ties_are_torchs(fit: str) -> None:
    """Where a pixel's value IS the threshold, or the next number above it, the answer is torch's as well."""
    frame = Frame(200, 311, 1024, "pad" if fit == "pad" else "stretch")
    low = smooth_logits(5, 256)[0]
    values = official(low, frame)
    wrong = 0
    for y, x in np.random.default_rng(0).integers(0, (200, 311), (200, 2)).tolist():
        below = float(np.nextafter(values[y, x], np.float32(-np.inf)))
        wrong += mask_region(low, frame, float(values[y, x]), (x, y, x + 1, y + 1)).any()
        wrong += not mask_region(low, frame, below, (x, y, x + 1, y + 1)).all()

    # A processor without fused operations rounds otherwise, in the last bit.
    fused = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    assert wrong <= (0 if fused else 250)


@settings(max_examples=50)
@given(frames(longest=300), logits(), st.data())
def test_any_box_is_its_part(frame: Frame, low: FloatArray, data: st.DataObject) -> None:
    """A pixel does not depend on the box it is computed in, nor on how the work is cut into blocks."""
    x0, y0 = data.draw(st.integers(0, frame.width - 1)), data.draw(st.integers(0, frame.height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, frame.width)), data.draw(st.integers(y0 + 1, frame.height))

    expected = whole(low[0], frame)[y0:y1, x0:x1]

    assert np.array_equal(mask_region(low[0], frame, 0.0, (x0, y0, x1, y1)), expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upsample, "_BLOCK", 50)
        patch.setattr(upsample, "_scratch", upsample._Scratch())
        assert np.array_equal(mask_region(low[0], frame, 0.0, (x0, y0, x1, y1)), expected)


@pytest.mark.parametrize("size", [(900, 1200), (100, 80), (3000, 400)])
def test_work_is_the_box(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is upsampled exceeds the tight box of the mask by less than two cells (and a pixel) a side."""
    boxes: list[tuple[int, int, int, int]] = []
    compute = upsample.mask_region
    monkeypatch.setattr(upsample, "mask_region", lambda *args: boxes.append(args[3]) or compute(*args))
    frame = Frame(*size, 1024)
    margin = 2 * np.array([4, 4, 4, 4]) / np.tile(frame.scale, 2) + 1
    y, x = np.mgrid[:256, :256]
    centre, radius = np.array(frame.resized) / 8, np.array(frame.resized) / 20
    low = 1 - np.hypot((y - centre[0]) / radius[0], (x - centre[1]) / radius[1])

    x0, y0, mask = mask_crop(low.astype(np.float32), frame)

    tight = np.array([x0, y0, x0 + mask.shape[1], y0 + mask.shape[0]])
    assert mask.any()
    assert (np.abs(tight - boxes[0]) <= margin).all()


def test_one_cell_is_enough() -> None:
    """The smallest mask, a single cell above the threshold, is found wherever it lies."""
    frame = Frame(300, 200, 1024)
    for row, column in ((0, 0), (100, 40), (255, 170)):
        low = np.full((256, 256), -1.0, np.float32)
        low[row, column] = 9

        assert np.array_equal(pasted(mask_crop(low, frame), frame), official(low, frame) > 0)
        assert mask_crop(low, frame)[2].any()


def test_padding_is_no_mask() -> None:
    """What lies in the padding alone is no part of the image."""
    low = np.full((256, 256), -5.0, np.float32)
    low[200:] = 5

    x0, y0, mask = mask_crop(low, Frame(100, 200, 1024))

    assert (x0, y0, mask.shape) == (0, 0, (0, 0))


@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan, -np.inf])
def test_nothing_above(value: float) -> None:
    """Logits that are nowhere above the threshold (or no numbers) give an empty mask, without a warning."""
    low = np.full((256, 256), value, np.float32)

    assert mask_crop(low, Frame(30, 40, 1024))[2].shape == (0, 0)
    assert not whole(low, Frame(30, 40, 1024)).any()


@pytest.mark.parametrize("threshold", [-7.7, 0.1, 1e-30, 3.3e5])
def test_constant_at_threshold(threshold: float) -> None:
    """Logits that all equal the threshold are decided as torch decides them, in the crop as well."""
    low, frame = np.full((256, 256), threshold, np.float32), Frame(211, 157, 1024)

    assert np.array_equal(pasted(mask_crop(low, frame, threshold), frame), whole(low, frame, threshold))


def test_infinite_logits() -> None:
    """An infinite logit spoils its own neighbourhood only, as in torch."""
    low, frame = smooth_logits(1)[0].copy(), Frame(211, 157, 1024)
    low[60, 60], low[120, 90] = np.inf, -np.inf

    assert np.array_equal(pasted(mask_crop(low, frame), frame), official(low, frame) > 0)


def test_overshoot_is_found() -> None:
    """Bicubic values may exceed the threshold where no sample does; such pixels are found."""
    low, frame = np.full((256, 256), -10.0, np.float32), Frame(1000, 1000, 1024, "stretch")
    low[100:102, 100:102] = -1e-3
    expected = official(low, frame) > 0

    assert expected.any()
    assert np.array_equal(pasted(mask_crop(low, frame), frame), expected)


def test_threads() -> None:
    """Crops computed in several threads at once are those of one thread."""
    lows = [smooth_logits(seed)[0] for seed in range(12)]
    frame = Frame(400, 600, 1024)
    expected = [mask_crop(low, frame) for low in lows]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda low: mask_crop(low, frame), lows))

    assert all(np.array_equal(a[2], b[2]) and a[:2] == b[:2] for a, b in zip(results, expected, strict=True))


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_tables(inputs: int, outputs: int) -> None:
    """Interpolation weights add up to one, indices are inside, and both grow from left to right."""
    taps = linear_taps(inputs, outputs)

    assert np.allclose(taps.weight.sum(0), 1, atol=1e-6)
    assert taps.index.min() == 0 or outputs < inputs
    assert taps.index.max() <= inputs - 1
    assert (np.diff(taps.index, axis=1) >= 0).all()


def test_tables_are_kept() -> None:
    """The tables of a frame are computed once."""
    assert resampler(Frame(77, 99, 1024)) is resampler(Frame(77, 99, 1024))
