"""Objects followed through videos, on a network whose masks are known exactly, and with `nano`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fake_network import wand_segmenter

import lightsam_plugins as ls

SIZE = (128, 192)
RED, GREEN = (220, 40, 40), (40, 200, 60)
SIDE = 20


def frame(*squares: tuple[float, float, tuple[int, int, int]], size: tuple[int, int] = SIZE) -> np.ndarray:
    """A textured grey image with squares of 20 pixels, the last in front: left, top and colour."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.repeat((90 + 30 * np.sin(x / 5) * np.cos(y / 7))[..., None], 3, -1).astype(np.uint8)
    for left, top, colour in squares:
        x0, y0 = round(left), round(top)
        image[max(0, y0) : max(0, y0 + SIDE), max(0, x0) : max(0, x0 + SIDE)] = colour
    return image


def box(left: float, top: float) -> list[float]:
    """``xyxy`` of a square."""
    return [left, top, left + SIDE, top + SIDE]


def video(**options: object) -> ls.VideoSegmenter:
    """Video mode around a network that marks what has the colour of a click, and fills a box."""
    return ls.VideoSegmenter(ls.load("nano", device="cpu"), **options)  # type: ignore[arg-type]


def iou(mask: np.ndarray, left: float, top: float) -> float:
    """Of a mask and the visible part of a square."""
    truth = np.zeros(mask.shape, bool)
    x0, y0 = round(left), round(top)
    truth[max(0, y0) : max(0, y0 + SIDE), max(0, x0) : max(0, x0 + SIDE)] = True
    return float((mask & truth).sum() / (mask | truth).sum())


def test_objects_are_followed_each_by_its_id() -> None:
    """Two squares that move apart, in any order of their prompts, keep their masks for 30 frames."""
    follow = video()
    ids = follow.add(boxes=[box(140, 90), box(10, 20)])
    for t in range(30):
        found = follow.step(frame((10 + 4 * t, 20, RED), (140 - 3 * t, 90, GREEN)))

        assert found.index == t
        assert found.ids == ids == [0, 1]
        assert found.states == ["visible", "visible"]
        green, red = found.masks.dense()
        assert iou(red, 10 + 4 * t, 20) > 0.75
        assert iou(green, 140 - 3 * t, 90) > 0.75


def test_what_is_hidden_has_no_mask_and_is_found_again() -> None:
    """A square behind a larger one is hidden while it is, and has its own mask and id when it comes out."""
    follow = video()
    (one,) = follow.add(boxes=box(10, 60))
    wall = [(80, 30 + 20 * row, GREEN) for row in range(4)] + [(95, 30 + 20 * row, GREEN) for row in range(4)]
    states = []
    for t in range(40):
        found = follow.step(frame((10 + 4 * t, 60, RED), *wall))
        states.append(found.states[0])
        assert found.ids == [one]
        if states[-1] != "visible":
            assert found.masks.areas.tolist() == [0]
            assert found.masks.scores.tolist() == [0]

    assert states[:12] == ["visible"] * 12
    assert "hidden" in states[16:24]
    assert states[-5:] == ["visible"] * 5
    assert iou(found.masks.dense()[0], 10 + 4 * 39, 60) > 0.7


def test_what_has_left_is_outside_and_forgotten_after_a_while() -> None:
    """A square that goes over the border is outside, and no longer followed `patience` frames later."""
    follow = video(patience=8)
    follow.add(boxes=box(140, 60))
    states = []
    for t in range(30):
        found = follow.step(frame((140 + 5 * t, 60, RED)))
        states += found.states

    assert states[0] == "visible"
    assert states[-1] == "outside"
    assert found.ids == follow.ids == []
    assert len(found.masks) == 0


def test_objects_come_and_go_at_any_frame() -> None:
    """Numbers are never used twice; a removed object is gone at once, one added is there in the next frame."""
    follow = video()
    image = frame((10, 20, RED), (140, 90, GREEN))
    assert follow.step(image).ids == []
    first = follow.add(boxes=[box(10, 20)])
    assert follow.step(image).ids == first == [0]
    second = follow.add(points=[[150, 100]])
    third = follow.add(masks=follow.step(image).masks.dense()[:1])
    assert (second, third) == ([1], [2])
    with pytest.raises(ls.InputError, match=r"no object 9 is followed: expected one of \[0, 1, 2\]"):
        follow.remove([0, 9])
    follow.remove([0, 2])
    follow.add(boxes=[box(10, 20), box(140, 90)])
    follow.remove(3)
    assert follow.ids == [1, 4]
    found = follow.step(image)
    assert found.ids == [1, 4]
    with pytest.raises(ls.InputError, match=r"no object 0 is followed: expected one of \[1, 4\]"):
        follow.remove(0)


def test_masks_are_prompts_of_the_next_frame_where_asked() -> None:
    """With mask_prompt=True the last mask goes with the box, which models without mask prompts refuse."""
    follow = video(mask_prompt=True)
    follow.add(boxes=box(10, 20))
    for t in range(8):
        found = follow.step(frame((10 + 4 * t, 20, RED)))
    assert iou(found.masks.dense()[0], 38, 20) > 0.7
    without = wand_segmenter(prompts=frozenset({"box", "point"}))
    with pytest.raises(ls.OptionError, match="mask_prompt: wand takes no mask"):
        ls.VideoSegmenter(without, mask_prompt=True)


def test_a_frame_of_another_size_goes_on() -> None:
    """The stream becomes twice as large in its middle: objects are followed, and masks have the new size."""
    follow = video()
    follow.add(boxes=box(10, 20))
    for t in range(6):
        follow.step(frame((10 + 4 * t, 20, RED)))
    large = np.repeat(np.repeat(frame((34, 20, RED)), 2, 0), 2, 1)
    found = follow.step(large)

    assert found.states == ["visible"]
    assert found.masks.size == (2 * SIZE[0], 2 * SIZE[1])
    np.testing.assert_allclose(found.masks.boxes[0], np.array(box(34, 20)) * 2, atol=8)


def test_bgr_frames_are_those_of_opencv() -> None:
    """With bgr=True the same frames with red and blue swapped give the same masks."""
    answers = []
    for swapped in (False, True):
        follow = video(bgr=swapped)
        follow.add(boxes=box(10, 20))
        frames = [frame((10 + 4 * t, 20, RED)) for t in range(3)]
        answers.append(
            [one.masks.dense() for one in follow.run(f[..., ::-1] if swapped else f for f in frames)]
        )

    np.testing.assert_array_equal(answers[0], answers[1])


def test_a_source_that_breaks_loses_no_object() -> None:
    """Its error comes through after the frames before it, and another source goes on with the same objects."""
    follow = video()
    (one,) = follow.add(boxes=box(10, 20))

    def frames() -> Iterator[np.ndarray]:
        yield frame((10, 20, RED))
        raise ConnectionError("the camera is gone")

    running = follow.run(frames())
    assert next(running).ids == [one]
    with pytest.raises(ConnectionError, match="the camera is gone"):
        next(running)
    (found,) = follow.run([frame((14, 20, RED))])
    assert (found.index, found.states) == (1, ["visible"])


def test_a_broken_frame_is_told_and_the_stream_goes_on() -> None:
    """A frame without pixels, and a prompt outside, are errors after which the next frame is answered."""
    follow = video()
    follow.add(boxes=box(10, 20))
    follow.step(frame((10, 20, RED)))
    with pytest.raises(ls.ImageError, match="the image has no pixels"):
        follow.step(np.empty((0, 5, 3), np.uint8))
    follow.add(boxes=box(500, 500))
    with pytest.raises(ls.PromptError, match="box 0 lies outside the image"):
        follow.step(frame((12, 20, RED)))
    assert follow.step(frame((14, 20, RED))).ids == [0]


def test_bad_arguments_are_told() -> None:
    """No prompt, those that fit no image, and a senseless patience; what was refused is not followed."""
    follow = video()
    with pytest.raises(ls.PromptError, match="no prompt: expected boxes, points or masks"):
        follow.add(point_labels=[1])
    with pytest.raises(ls.PromptError, match="boxes is not an array of numbers"):
        follow.add(boxes=[[1, 2, 3, 4], [1, 2]])
    with pytest.raises(ls.PromptError, match="box 1 holds NaN"):
        follow.add(boxes=[box(1, 2), [0, 0, np.nan, 4]])
    with pytest.raises(ls.PromptError, match="box 0 is empty or inverted"):
        follow.add(boxes=[9, 9, 4, 4])
    with pytest.raises(ls.PromptError, match="point_labels do not match points"):
        follow.add(points=[[1, 2]], point_labels=[1, 0])
    with pytest.raises(ls.PromptError, match=r"masks have the wrong shape: .*got \(3,\)"):
        follow.add(masks=np.zeros(3, bool))
    assert follow.ids == []
    assert follow.add(boxes=box(1, 2)) == [0]
    with pytest.raises(ls.InputError, match=r"no object '0' is followed: expected one of \[0\]"):
        follow.remove("0")  # type: ignore[arg-type]
    with pytest.raises(ls.OptionError, match="patience: expected a whole number of frames >= 1, got 0"):
        video(patience=0)


def test_a_prompt_without_a_mask_is_told() -> None:
    """An empty mask gives no object: a warning says so, the others are followed."""
    follow = video()
    follow.add(masks=np.zeros((1, *SIZE), bool))
    follow.add(boxes=box(10, 20))
    with pytest.warns(UserWarning, match="the prompt of object 0 has no mask: it is not followed"):
        found = follow.step(frame((10, 20, RED)))
    assert found.ids == [1]


def test_memory_does_not_grow_with_the_stream() -> None:
    """After 20 and after 80 frames, with objects that come and go, what is remembered weighs the same."""
    import pickle

    follow = video(patience=3)
    weights = []
    for t in range(80):
        if t % 10 == 0:
            follow.add(boxes=box(10, 20))
        follow.step(frame((10 + 4 * (t % 10), 20, RED)) if t % 10 < 6 else frame())
        weights.append(len(pickle.dumps((follow._objects, follow._pending))))

    assert max(weights[40:]) <= 1.05 * max(weights[:40])
