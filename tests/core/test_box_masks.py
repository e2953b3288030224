"""Masks for boxes of detectors and trackers, on networks whose masks are known exactly."""

import numpy as np
import pytest
from fake_network import blocks, wand_segmenter

import lightsam_plugins as ls
from lightsam_plugins.box_masks import segment_boxes


def filled(box: tuple[float, ...], size: tuple[int, int]) -> np.ndarray:
    """A (height, width) bool image of a box."""
    mask = np.zeros(size, bool)
    x0, y0, x1, y1 = (round(edge) for edge in box)
    mask[max(0, y0) : y1, max(0, x0) : x1] = True
    return mask


def test_row_i_is_box_i_also_where_boxes_left_the_image() -> None:
    """A box beside the image, or of no area, has a mask without pixels of score 0; the others keep their rows."""
    image, found = blocks()
    boxes = np.array(
        [(-50, 10, -20, 40), found[5], (300, 300, 400, 400), found[2], (256, 10, 256, 40)], float
    )
    (masks,) = segment_boxes(wand_segmenter(), [image], [boxes])

    assert masks.areas.tolist() == [0, 64 * 64 // 4, 0, 64 * 64 // 4, 0]
    assert (masks.scores > 0).tolist() == [False, True, False, True, False]
    np.testing.assert_array_equal(masks.boxes[[1, 3]], [found[5], found[2]])


def test_several_images_are_encoded_together_and_those_without_boxes_not_at_all() -> None:
    """Of three images the one without boxes is skipped, the others are one batch, and answers keep the order."""
    image, found = blocks()
    model = wand_segmenter()
    answers = segment_boxes(model, [image, image, image], [found[:2], [], [found[7]]])

    assert [len(masks) for masks in answers] == [2, 0, 1]
    assert model._runner.module.encoded == [2]
    np.testing.assert_array_equal(answers[2].boxes[0], found[7])


def test_tiles_show_objects_that_the_whole_image_loses() -> None:
    """In a 4200 pixel frame a 12 pixel box is far below a cell; its tile shows it, at its place and to the pixel."""
    image = np.zeros((3000, 4200, 3), np.uint8)
    boxes = np.array(
        [(4001, 2777, 4013, 2789), (10, 20, 22, 32), (100, 100, 1900, 1700), (2000, 1400, 2012, 1412)]
    )
    (tiled,) = segment_boxes(wand_segmenter(), [image], [boxes], tile=128)

    np.testing.assert_array_equal(tiled.boxes[[0, 1, 3]], boxes[[0, 1, 3]])
    np.testing.assert_allclose(tiled.boxes[2], boxes[2], atol=17)  # of a tile of 4096: 16 pixels a cell
    assert tiled.size == (3000, 4200)
    (whole,) = segment_boxes(wand_segmenter(), [image[:, :4096]], [boxes[1:2]])
    assert abs(whole.boxes[0] - boxes[1]).max() > 1


def test_huge_frames_are_tiled_without_being_asked() -> None:
    """Above 4096 pixels boxes are grouped by tiles of 2048: neighbours share one, and each is encoded once."""
    image = np.zeros((600, 6000, 3), np.uint8)
    boxes = np.array([(100, 100, 200, 200), (300, 100, 420, 200), (5500, 300, 5700, 500)])
    model = wand_segmenter()
    (masks,) = segment_boxes(model, [image], [boxes])

    assert model._runner.module.encoded == [2]
    np.testing.assert_allclose(masks.boxes, boxes, atol=8)


def test_logits_of_tiles_lie_in_the_frame_of_the_image() -> None:
    """What a tile answers can be the mask input of a later prompt in the whole image."""
    image = np.zeros((512, 512, 3), np.uint8)
    box = np.array([(300, 320, 380, 440)])
    (masks,) = segment_boxes(wand_segmenter(), [image], [box], tile=256)

    low = ls.Masks(masks.logits, masks.scores, masks.frame).dense()[0]
    assert (low & filled(tuple(box[0]), (512, 512))).sum() / (
        low | filled(tuple(box[0]), (512, 512))
    ).sum() > 0.9


class _Boxes:
    """A detector's object with its boxes in it."""

    xyxy = np.ones((1, 4))


def test_bad_boxes_and_options_are_told() -> None:
    """NaN and inverted boxes name their row; so do boxes for another number of images, and a senseless tile."""
    image, found = blocks()
    model = wand_segmenter()
    with pytest.raises(ls.PromptError, match="box 1 holds NaN or infinity"):
        segment_boxes(model, [image], [[found[0], (0, np.nan, 4, 4)]])
    with pytest.raises(ls.PromptError, match="box 0 is inverted"):
        segment_boxes(model, [image], [[(50, 50, 20, 90)]])
    beside = [(900, 900, 910, 910), (50, 50, 50, 90), (50, 50, 20, 90)]  # outside, empty, inverted
    with pytest.raises(ls.PromptError, match=r"box 2 is inverted: .*got \[50.0, 50.0, 20.0, 90.0\]"):
        segment_boxes(model, [image], [beside])
    with pytest.raises(ls.PromptError, match="boxes in an object: expected .*, got _Boxes. Pass its .xyxy."):
        segment_boxes(model, [image], [_Boxes()])  # type: ignore[list-item]
    with pytest.raises(ls.PromptError, match="boxes have the wrong shape"):
        segment_boxes(model, [image], [[1, 2, 3]])
    with pytest.raises(ls.InputError, match="boxes: expected 2 arrays, one an image, got 1"):
        segment_boxes(model, [image, image], [found])
    with pytest.raises(ls.OptionError, match=r"tile: expected a whole number >= 64, in pixels, got 0.5"):
        segment_boxes(model, [image], [found], tile=0.5)  # type: ignore[arg-type]
