"""`Masks`: all its forms say the same, and none but `dense` is large."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from strategies import binary_masks, frames, logits, smooth_logits

from lightsam_plugins import masks as masks_module
from lightsam_plugins.errors import InputError
from lightsam_plugins.mask_exports import crop_polygons, crop_rle
from lightsam_plugins.masks import Masks
from lightsam_plugins.types import BoolArray, FloatArray, Frame

FRAME = Frame(60, 90, 1024)

# pycocotools' decoder is behind numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def some(count: int = 4, *, frame: Frame = FRAME, candidates: int = 1) -> Masks:
    """Masks of smooth blobs with scores 0, 0.1, ..."""
    return Masks(smooth_logits(3, count=count), np.arange(count) / 10, frame, candidates=candidates)


def inside(rings: list[FloatArray], height: int, width: int) -> BoolArray:
    """(H, W): whether the centre of each pixel lies in the rings, by the even-odd rule."""
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    result = np.zeros((height, width), bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y0 != y1:
                crosses = (y0 <= y) != (y1 <= y)
                result ^= crosses & (x0 + (y - y0) / (y1 - y0) * (x1 - x0) > x)
    return result


def signed_area(ring: FloatArray) -> float:
    """The shoelace formula."""
    x, y = ring.T.astype(float)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


@settings(max_examples=50)
@given(frames(longest=60), logits(count=3))
def test_all_forms_agree(frame: Frame, low: FloatArray) -> None:
    """Boxes, areas, RLE and polygons are those of the dense masks, which have the size of the image."""
    masks = Masks(low, [0.1, 0.2, 0.3], frame)
    dense, boxes = masks.dense(), masks.boxes

    assert dense.shape == (3, frame.height, frame.width)
    assert masks.areas.tolist() == dense.sum((1, 2)).tolist()
    for image, box, rle, rings in zip(dense, boxes, masks.rle(), masks.polygons(), strict=True):
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else [0, 0, 0, 0]
        assert box.tolist() == tight
        assert coco.encode(np.asfortranarray(image, np.uint8)) == {**rle, "counts": rle["counts"].encode()}
        assert np.array_equal(inside(rings, *image.shape), image)


@given(binary_masks(), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_rle(mask: BoolArray, left: int, top: int, right: int, bottom: int) -> None:
    """The RLE made from a crop is pycocotools' of the whole image, wherever the crop lies."""
    image = np.pad(mask, ((top, bottom), (left, right)))

    rle = crop_rle((left, top, mask), *image.shape)

    assert rle["counts"].encode() == coco.encode(np.asfortranarray(image, np.uint8))["counts"]
    assert rle["size"] == list(image.shape)
    assert np.array_equal(coco.decode(rle), image)


@settings(max_examples=60)
@given(binary_masks(longest=24), st.integers(0, 3), st.integers(0, 3))
def test_polygons(mask: BoolArray, left: int, top: int) -> None:
    """Rings hold exactly the pixel centres of the mask, touch its box, and their areas add up to its own."""
    image = np.pad(mask, ((top, 2), (left, 2)))
    rings = crop_polygons((left, top, mask))

    assert np.array_equal(inside(rings, *image.shape), image)
    if mask.any():
        points, (rows, columns) = np.concatenate(rings), np.nonzero(image)
        assert points.min(0).tolist() == [columns.min(), rows.min()]
        assert points.max(0).tolist() == [columns.max() + 1, rows.max() + 1]
        assert signed_area(rings[0]) > 0
    # Each ring turns once in all, and each right angle costs (or, turning the other way, gains) 1/8 pixel.
    areas = [signed_area(ring) for ring in rings]
    assert sum(areas) + 0.5 * np.sign(areas).sum() == mask.sum()


def test_polygon_of_a_ring() -> None:
    """A hole is a ring after its exterior, with a negative area; straight sides have two points."""
    mask = np.ones((7, 9), bool)
    mask[2:5, 3:6] = False

    exterior, hole = crop_polygons((10, 20, mask))

    assert len(exterior) == len(hole) == 8  # a corner is cut from half a pixel to half a pixel
    assert signed_area(exterior) == 7 * 9 - 0.5
    assert signed_area(hole) == -(3 * 3 - 0.5)
    assert exterior.min(0).tolist() == [10, 20]
    assert exterior.max(0).tolist() == [19, 27]


def test_polygons_of_touching_pixels() -> None:
    """Pixels that touch by a corner only are two rings; one pixel is a diamond in its square."""
    rings = crop_polygons((0, 0, np.eye(2, dtype=bool)))

    assert sorted(map(tuple, rings[0].tolist())) == [(0, 0.5), (0.5, 0), (0.5, 1), (1, 0.5)]
    assert len(rings) == 2


def test_polygons_as_coco_reads_them() -> None:
    """pycocotools fills the polygons of a smooth mask to nearly the same pixels."""
    masks = some(frame=Frame(300, 400, 1024))
    for image, rings in zip(masks.dense(), masks.polygons(), strict=True):
        exteriors = [ring.ravel().tolist() for ring in rings if signed_area(ring) > 0]
        filled = coco.decode(coco.merge(coco.frPyObjects(exteriors, *masks.size))).astype(bool)
        filled &= ~inside([ring for ring in rings if signed_area(ring) < 0], *masks.size)
        assert (filled & image).sum() / (filled | image).sum() > 0.98


def test_memory_of_many_masks() -> None:
    """300 small masks on a 4000 x 3000 image take less than ONE full-size mask, in every form but dense."""
    low = np.full((300, 256, 256), -4, np.float32)
    for row, (x, y) in enumerate(np.random.default_rng(0).integers(0, (250, 186), (300, 2))):
        low[row, y : y + 5, x : x + 5] = 4
    masks = Masks(low, np.zeros(300), Frame(3000, 4000, 1024))

    tracemalloc.start()
    results: list[Any] = [
        masks.areas,
        masks.boxes,
        masks.stability,
        masks.rle(),
        masks.polygons(),
        masks.crops(),
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert results[0].min() > 1000
    assert peak < 3000 * 4000


def test_memory_of_a_large_mask() -> None:
    """A mask of a whole 8000 x 8000 image takes its own bytes and a few rows of floats beside them."""
    low = np.full((1, 256, 256), 4, np.float32)
    low[0, 60, 60] = -9
    masks = Masks(low, [1], Frame(8000, 8000, 1024))

    tracemalloc.start()
    masks.crops()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 8000 * (8000 + 3 * 256 * 4)


def test_crops_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels are computed at the first request only, and go along with rows and joined results."""
    calls: list[float] = []
    compute = masks_module.mask_crop
    monkeypatch.setattr(masks_module, "mask_crop", lambda *args: calls.append(1) or compute(*args))
    masks = some()
    assert not calls

    first = masks[1].crops()
    assert len(calls) == 1
    masks.crops(), masks.boxes, masks.areas, masks.rle(), masks[::2].dense()
    Masks.concatenate([masks, masks[:2]]).polygons()

    assert len(calls) == 1 + len(masks)
    assert np.array_equal(first[0][2], masks.crops()[1][2])


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (2, [2]),
        (-1, [3]),
        (np.int64(1), [1]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        ([3, 0, 0], [3, 0, 0]),
        ([], []),
        (np.array([True, False, False, True]), [0, 3]),
        (np.argsort([3, 2, 1, 0]), [3, 2, 1, 0]),
    ],
)
def test_indexing(index: Any, rows: list[int]) -> None:
    """Numbers, slices, lists and arrays pick masks with all that belongs to them."""
    masks = some()

    part = masks[index]

    assert np.array_equal(part.logits, masks.logits[rows])
    assert np.array_equal(part.scores, masks.scores[rows])
    assert np.array_equal(part.dense(), masks.dense()[rows])
    assert (part.frame, part.candidates) == (masks.frame, 1)


def test_iteration() -> None:
    """Iterating gives masks of one; an index beyond the end is an IndexError."""
    masks = some()

    assert [float(one.scores[0]) for one in masks] == pytest.approx([0, 0.1, 0.2, 0.3])
    with pytest.raises(IndexError):
        masks[4]


def test_candidates() -> None:
    """Of several candidates an object `best` keeps the first; single masks are their own best."""
    masks = some(6, candidates=3)

    assert np.array_equal(masks.best().logits, masks.logits[[0, 3]])
    assert masks.best().candidates == 1
    assert some().best().scores.tolist() == some().scores.tolist()
    assert repr(masks) == "Masks(6 masks, 3 candidates an object, image 90x60)"
    assert repr(masks[0]).startswith("Masks(1 mask, ")


def test_no_masks() -> None:
    """No masks have every form, with the right shapes and types."""
    masks = Masks.empty(FRAME)

    assert len(masks) == len(list(masks)) == len(masks.best()) == 0
    assert masks.crops() == masks.rle() == masks.polygons() == []
    shapes = [masks.boxes.shape, masks.areas.shape, masks.scores.shape, masks.stability.shape]
    assert shapes == [(0, 4), (0,), (0,), (0,)]
    assert masks.dense().shape == (0, 60, 90)
    assert masks.logits.shape == (0, 256, 256)
    assert len(masks[[]]) == len(masks[:]) == len(Masks.concatenate([masks, masks])) == 0


def test_types() -> None:
    """Every array has the type the contract says, and the RLE can be written as JSON."""
    masks = some()

    kinds = [masks.boxes, masks.scores, masks.stability, masks.logits, masks.areas, masks.dense()]
    assert [kind.dtype for kind in kinds] == [np.float32] * 4 + [np.int64, np.bool_]
    assert json.loads(json.dumps(masks.rle())) == masks.rle()


def test_empty_mask_among_others() -> None:
    """A mask without a pixel has a zero box and area, no rings, and keeps its place."""
    low = smooth_logits(3, count=3).copy()
    low[1] = -1
    masks = Masks(low, np.zeros(3), FRAME)

    assert masks.boxes[1].tolist() == [0, 0, 0, 0]
    assert masks.areas[1] == masks.stability[1] == 0
    assert masks.polygons()[1] == []
    assert not masks.dense()[1].any()
    assert not coco.decode(masks.rle()[1]).any()


def test_immutable() -> None:
    """Writing into what was handed out changes nothing inside, or is refused."""
    masks = some()
    before = masks.dense()
    for array in (masks.logits, masks.scores, masks.boxes, masks.areas, masks.dense()):
        array[:] = 1

    assert np.array_equal(masks.dense(), before)
    assert masks.scores[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        masks.crops()[0][2][:] = False


def test_given_crops() -> None:
    """Pixels given by the caller replace those of the logits; empty margins are cut off."""
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:4] = True

    masks = Masks(smooth_logits(3), [0.5], FRAME, crops=[(10, 20, mask)])

    assert masks.boxes.tolist() == [[12, 21, 14, 23]]
    assert masks.areas.tolist() == [4]
    assert masks[0].areas.tolist() == [4]


def test_threshold() -> None:
    """A higher threshold gives a smaller mask inside the other."""
    low = smooth_logits(3)
    loose, strict = (Masks(low, [0], FRAME, threshold=threshold).dense() for threshold in (0.0, 2.0))

    assert strict.sum() < loose.sum()
    assert not (strict & ~loose).any()


def test_concatenate() -> None:
    """Results of one image are joined in order; empty ones do not matter."""
    masks = some()

    joined = Masks.concatenate([Masks.empty(FRAME), masks[:1], masks[1:]])

    assert np.array_equal(joined.dense(), masks.dense())
    assert np.array_equal(joined.scores, masks.scores)
    assert len(Masks.concatenate([some(3, candidates=3), Masks.empty(FRAME)]).best()) == 1


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], r"cannot join.*got 0 parts.*Masks.empty\(frame\)"),
        ([some(), some(frame=Frame(5, 5, 1024))], "cannot join.*one frame.*got 2 parts of 2 kinds"),
        ([some(3), some(3, candidates=3)], "number of candidates"),
    ],
)
def test_concatenate_refuses(parts: list[Masks], message: str) -> None:
    """Nothing, and results of different images or kinds, cannot be joined."""
    with pytest.raises(InputError, match=message):
        Masks.concatenate(parts)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"logits": np.zeros((2, 64, 64))}, r"logits: expected \(M, 256, 256\), got \(2, 64, 64\)"),
        ({"logits": np.zeros(())}, r"logits: expected .*got \(\)"),
        ({"scores": np.zeros(3)}, r"scores: expected \(2,\), one a mask, got \(3,\)"),
        ({"candidates": 3}, "candidates: expected a divisor of 2 rows, got 3"),
        ({"candidates": 0}, "candidates: .*got 0"),
        ({"crops": []}, "crops: expected 2, one a mask, got 0"),
        ({"limits": np.zeros((1, 4))}, r"limits: expected \(2, 4\), one a mask, got \(1, 4\)"),
    ],
)
def test_bad_arguments(changed: dict[str, Any], message: str) -> None:
    """Arrays that do not fit each other are refused by name."""
    usual = {"logits": np.zeros((2, 256, 256)), "scores": np.zeros(2), "frame": FRAME}
    with pytest.raises(InputError, match=message):
        Masks(**{**usual, **changed})
