"""supervision: detections in, detections with masks out, judged by supervision's own tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from PIL import Image

import lightsam_plugins as ls
from lightsam_supervision import LightSAM, compact_mask

PHOTO = Path(ls.__file__).parent / "assets" / "coins.jpg"
COINS = np.array([[315, 155, 382, 219], [22, 34, 67, 75]], float)


@pytest.fixture(scope="module")
def model() -> ls.Segmenter:
    """`nano`, loaded once."""
    return ls.load("nano", device="cpu")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """The coins, (H, W, 3) RGB."""
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def found(boxes: np.ndarray = COINS) -> sv.Detections:
    """What a detector and a tracker say of two coins."""
    count = len(boxes)
    return sv.Detections(
        xyxy=boxes.astype(np.float32),
        confidence=np.linspace(0.9, 0.5, count).astype(np.float32),
        class_id=np.arange(count) + 3,
        tracker_id=np.arange(count) + 70,
        data={"class_name": np.array(["coin"] * count), "speed": np.arange(count) * 1.5},
        metadata={"camera": "left"},
    )


def test_refine_adds_masks_and_changes_nothing_else(model: ls.Segmenter, photo: np.ndarray) -> None:
    """Every field of the detections is as before, masks and two scores are added, and the input is untouched."""
    given = found()
    refined = LightSAM(model).refine(photo, given)

    assert given == found()
    assert isinstance(refined.mask, sv.CompactMask)
    masks = model.segment(photo, boxes=COINS)
    np.testing.assert_array_equal(refined.mask.to_dense(), masks.dense())
    np.testing.assert_array_equal(refined.data.pop("mask_score"), masks.scores)
    np.testing.assert_array_equal(refined.data.pop("stability"), masks.stability)
    refined.mask = None
    assert refined == given


def test_row_i_stays_row_i(model: ls.Segmenter, photo: np.ndarray) -> None:
    """In any order of the boxes, and with one that has left the frame, each row has the mask of its own box."""
    boxes = np.array([(-90, 10, -20, 40), COINS[1], COINS[0], (900, 900, 950, 950)], float)
    refined = LightSAM(model).refine(photo, found(boxes))

    np.testing.assert_array_equal(refined.mask.area, [0, *model.segment(photo, boxes=COINS[::-1]).areas, 0])
    assert refined.data["mask_score"][[0, 3]].tolist() == [0, 0]
    np.testing.assert_array_equal(refined.xyxy, boxes)


def test_lists_give_lists_and_empty_frames_stay_empty(model: ls.Segmenter, photo: np.ndarray) -> None:
    """Frames are taken together, each with its own detections; of none there are none, with empty masks."""
    half = np.ascontiguousarray(photo[:200])
    first, nothing, last = LightSAM(model).refine(
        [photo, photo, half], [found(), sv.Detections.empty(), found(COINS[1:])]
    )

    assert [len(first), len(nothing), len(last)] == [2, 0, 1]
    assert nothing.is_empty()
    assert sv.Detections.merge([first, nothing]) == sv.Detections.merge([first])
    assert last.mask.shape == (1, 200, photo.shape[1])
    np.testing.assert_array_equal(last.mask.area, model.segment(half, boxes=COINS[1:]).areas)
    assert LightSAM(model).refine([], []) == []


def test_bgr_arrays_are_turned_and_pictures_are_not(model: ls.Segmenter) -> None:
    """A BGR frame with bgr=True is answered as its RGB; a path knows its colours; the call goes before the class."""
    path = PHOTO.with_name("coffee.jpg")
    rgb = np.asarray(Image.open(path).convert("RGB"))
    detections = found(np.array([[150.0, 40, 480, 330]]))
    right, wrong = (LightSAM(model).refine(one, detections).mask for one in (rgb, rgb[..., ::-1]))

    assert right != wrong
    assert LightSAM(model, bgr=True).refine(rgb[..., ::-1], detections).mask == right
    assert (
        LightSAM(model).refine(np.dstack([rgb[..., ::-1], rgb[..., 0]]), detections, bgr=True).mask == right
    )
    assert LightSAM(model, bgr=True).refine(str(path), detections).mask == right
    assert LightSAM(model, bgr=True).refine(rgb, detections, bgr=False).mask == right


def test_dense_masks_are_the_same_masks(model: ls.Segmenter, photo: np.ndarray) -> None:
    """dense=True gives the bool array that the compact masks stand for."""
    dense = LightSAM(model, dense=True).refine(photo, found()).mask

    assert dense.dtype == bool
    np.testing.assert_array_equal(dense, LightSAM(model).refine(photo, found()).mask.to_dense())


def test_predict_takes_every_prompt_in_order(model: ls.Segmenter, photo: np.ndarray) -> None:
    """Boxes, clicks and rough masks of any kind give what the core gives, with the predicted IoU as confidence."""
    sam = LightSAM(model)
    boxes = sam.predict(photo, boxes=COINS)
    clicks = sam.predict(photo, points=[[[348, 187]], [[44, 55]]], point_labels=[[1], [1]])

    np.testing.assert_array_equal(boxes.confidence, model.segment(photo, boxes=COINS).scores)
    np.testing.assert_array_equal(boxes.xyxy, model.segment(photo, boxes=COINS).boxes)
    expected = model.segment(photo, points=[[[348, 187]], [[44, 55]]])
    np.testing.assert_array_equal(clicks.mask.to_dense(), expected.dense())
    from_compact = sam.predict(photo, boxes=COINS, masks=boxes.mask)
    from_dense = sam.predict(photo, boxes=COINS, masks=boxes.mask.to_dense())
    np.testing.assert_array_equal(from_compact.mask.to_dense(), from_dense.mask.to_dense())
    overlap = from_dense.mask.to_dense() & boxes.mask.to_dense()
    assert (overlap.sum((1, 2)) > 0.9 * boxes.mask.area).all()
    logits = model.segment(photo, boxes=COINS).logits
    again = sam.predict(photo, masks=logits, boxes=COINS)
    np.testing.assert_array_equal(
        again.confidence, model.segment(photo, boxes=COINS, mask_input=logits).scores
    )


def test_background_points_take_pixels_away(model: ls.Segmenter, photo: np.ndarray) -> None:
    """A click of label 0 beside one of label 1 gives what the core gives with both, in the same row."""
    labels = [[1, 0], [1, -1]]
    clicks = [[[348, 187], [370, 187]], [[44, 55], [0, 0]]]
    found = LightSAM(model).predict(photo, points=clicks, point_labels=labels)
    expected = model.segment(photo, points=clicks, point_labels=labels)

    np.testing.assert_array_equal(found.mask.to_dense(), expected.dense())
    assert found.mask != LightSAM(model).predict(photo, points=[[[348, 187]], [[44, 55]]]).mask


def test_lists_of_frames_take_lists_of_prompts(model: ls.Segmenter, photo: np.ndarray) -> None:
    """Each frame is asked for its own boxes or clicks; another number of entries is told."""
    sam = LightSAM(model)
    first, second = sam.predict([photo, photo], boxes=[COINS[:1], COINS[1:]])
    clicked = sam.predict([photo, photo], points=[[[348, 187]], [[44, 55]]])

    both = sam.predict(photo, boxes=COINS)
    assert sv.Detections.merge([first, second]).mask == both.mask
    assert [len(one) for one in clicked] == [1, 1]
    assert [len(one) for one in sam.predict([photo, photo], boxes=[COINS, None])] == [len(COINS), 0]
    with pytest.raises(
        ls.PromptError, match="boxes of 3 images: expected a list of 3, one entry an image, got 2 entries"
    ):
        sam.predict([photo] * 3, boxes=list(COINS))


def test_without_prompts_everything_is_found(model: ls.Segmenter, photo: np.ndarray) -> None:
    """Everything mode with its options, best first; one frame and a list of them give the same."""
    sam = LightSAM(model)
    everything = sam.predict(photo, points_per_side=6)

    assert len(everything) > 4
    assert (np.diff(everything.confidence) <= 0).all()
    assert sam.predict([photo], points_per_side=6) == [everything]
    annotated = sv.MaskAnnotator(color_lookup=sv.ColorLookup.INDEX).annotate(photo.copy(), everything)
    assert (annotated != photo).any(axis=2).sum() >= np.asarray(everything.mask).any(axis=0).sum() * 0.95


@pytest.mark.parametrize("batch", [1, 3])
def test_predict_is_a_callback_of_the_slicer(model: ls.Segmenter, photo: np.ndarray, batch: int) -> None:
    """Slices, one at a time or several, are joined by supervision: masks lie where the coins are."""
    sam = LightSAM(model)
    callback = lambda tiles: sam.predict(tiles, points_per_side=5)  # noqa: E731
    slicer = sv.InferenceSlicer(callback, slice_wh=256, overlap_wh=64, batch_size=batch)
    joined = slicer(photo)

    assert isinstance(joined.mask, sv.CompactMask)
    assert joined.mask.shape[1:] == photo.shape[:2]
    coin = model.segment(photo, boxes=COINS[:1]).dense()[0]
    ious = sv.mask_iou_batch(coin[None], joined.mask.to_dense())
    assert ious.max() > 0.85


def test_huge_frames_are_tiled(model: ls.Segmenter, photo: np.ndarray) -> None:
    """Coins in a frame of 6000 pixels, far below the model's resolution, are found by their boxes, row by row."""
    frame = np.full((3000, 6000, 3), 128, np.uint8)
    corners = [(50, 60), (5400, 2500)]
    for x, y in corners:
        frame[y : y + photo.shape[0], x : x + photo.shape[1]] = photo
    boxes = np.concatenate([COINS + (x, y) * 2 for x, y in np.array(corners)])[::-1]
    boxes = np.array([(*(box[:2]), *(box[2:])) for box in boxes])
    refined = LightSAM(model, tile=512).refine(frame, found(boxes))

    for row, box in enumerate(boxes):
        x0, y0, x1, y1 = box.astype(int)
        y, x = np.mgrid[y0:y1, x0:x1] + 0.5
        coin = np.hypot((2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0)) < 1
        mask = np.zeros(frame.shape[:2], bool)
        left, top = refined.mask.offsets[row]
        crop = refined.mask.crop(row)
        mask[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        assert (mask[y0:y1, x0:x1] & coin).sum() / (
            mask.sum() + coin.sum() - (mask[y0:y1, x0:x1] & coin).sum()
        ) > 0.8


def test_compact_masks_hold_any_crops() -> None:
    """Crops of any place, at the borders and without pixels too, are the same pixels in supervision's form."""
    random = np.random.default_rng(0)
    crops = [
        (0, 0, np.ones((3, 4), bool)),
        (7, 9, random.random((11, 13)) > 0.5),
        (0, 0, np.zeros((0, 0), bool)),
    ]
    masks = compact_mask(crops, (20, 20))

    assert masks.area.tolist() == [12, int(crops[1][2].sum()), 0]
    np.testing.assert_array_equal(masks.to_dense()[1, 9:, 7:], crops[1][2])
    assert compact_mask([], (20, 20)).shape == (0, 20, 20)


def test_what_does_not_match_is_told(model: ls.Segmenter, photo: np.ndarray) -> None:
    """Detections that do not match frames, an inverted box, masks of another size, and names that are none."""
    sam = LightSAM(model)
    with pytest.raises(
        ls.InputError, match=r"a list of Detections for an array of shape .* Of one frame join them"
    ):
        sam.refine(photo, [found(), found()])  # type: ignore[call-overload]
    with pytest.raises(ls.InputError, match="2 frames and 1 Detections"):
        sam.refine([photo, photo], [found()])
    with pytest.raises(ls.InputError, match="not a Detections: .*Boxes alone: predict"):
        sam.refine(photo, COINS)  # type: ignore[call-overload]
    inverted = found(np.array([COINS[0], [9, 0, 1, 1]]))
    with pytest.raises(ls.PromptError, match="^box 1 is inverted"):
        sam.refine(photo, inverted)
    with pytest.raises(ls.PromptError, match="^image 1 of 2: box 1 is inverted"):
        sam.refine([photo, photo], [found(), inverted])
    with pytest.raises(ls.ImageError, match="not the shape of an image: .*For channels first pass"):
        LightSAM(model, bgr=True).refine(photo.transpose(2, 0, 1), found())
    with pytest.raises(ls.PromptError, match="boxes of 2 images: an entry may be meant for an image"):
        sam.predict([photo, photo], boxes=COINS[:2])
    with pytest.raises(ls.PromptError, match="masks in an object: .*got Detections. Pass its .mask"):
        sam.predict(photo, masks=found())
    with pytest.raises(ls.OptionError, match="bgr: expected True or False, got 'rgb'"):
        sam.predict(photo, boxes=COINS, bgr="rgb")
    with pytest.raises(ls.PromptError, match="boxes in an object: .*got Detections. Pass its .xyxy."):
        sam.predict(photo, boxes=found())
    with pytest.raises(ls.OptionError, match="unknown argument 'box': .*Did you mean 'boxes'"):
        sam.predict(photo, box=COINS)  # type: ignore[call-arg]
    with pytest.raises(ls.OptionError, match="points_per_side beside boxes"):
        sam.predict(photo, boxes=COINS, points_per_side=8)
    with pytest.raises(ls.OptionError, match="points_per_side beside text"):
        sam.predict(photo, text="a coin", points_per_side=8)
    with pytest.raises(
        ls.OptionError, match="options of loading beside a model that is loaded already: device"
    ):
        LightSAM(model, device="cpu")
    with pytest.raises(ls.OptionError, match="unknown option 'bgrr': .*Did you mean 'bgr'"):
        LightSAM("nano", bgrr=True)
    with pytest.raises(ls.OptionError, match="tile: expected a whole number >= 64, in pixels, got -1"):
        LightSAM(model, tile=-1)
    with pytest.raises(ls.PromptError, match="masks do not fit the image"):
        sam.predict(photo, masks=np.ones((1, 9, 9), bool))
    with pytest.raises(ls.PromptError, match="text does not combine with other prompts.*got text and boxes"):
        sam.predict(photo, text="a coin", boxes=COINS)
    with pytest.raises(ls.UnknownModel, match="nano"):
        LightSAM("nanno")
