"""Frames as users give them to adapters and to video mode: mix-ups are told, each with what to do instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lightsam_plugins as ls
from lightsam_plugins.adapter_frames import as_lists, check_entries, check_shared, check_stream, turned


class Found:
    """Stands for what a host has as the detections of one frame."""


FRAME = np.zeros((4, 6, 3), np.uint8)
HINT = "Boxes alone: predict."
BOXES = [[1, 2, 3, 4], [2, 2, 5, 5]]


def test_one_of_each_becomes_lists_and_lists_stay() -> None:
    """A frame and what was found become lists of one; lists are taken as they are, empty ones too."""
    found = Found()
    assert as_lists(FRAME, found, Found, HINT) == ([FRAME], [found], False)
    assert as_lists("photo.jpg", found, Found, HINT) == (["photo.jpg"], [found], False)
    several, each, are = as_lists((FRAME, FRAME), [found, found], Found, HINT)
    assert (len(several), len(each), are) == (2, 2, True)
    assert as_lists([], [], Found, HINT) == ([], [], True)


@pytest.mark.parametrize(
    ("frames", "found", "message"),
    [
        (
            Found(),
            FRAME,
            "a Found in the place of the frame: expected a frame and a Found, or a list of frames",
        ),
        (FRAME, None, "not a Found: .*, got NoneType. Boxes alone: predict."),
        (FRAME, np.ones((2, 4)), r"not a Found: .*, got an array of shape \(2, 4\). Boxes alone: predict."),
        (FRAME, [[1, 2, 3, 4]], "entry 0 is not a Found: .*, got a list of int. Boxes alone: predict."),
        (FRAME, [Found(), None], "entry 1 is not a Found: .*, got NoneType"),
        ([Found()], [FRAME], "a Found in the place of the frame"),
        (
            [FRAME, FRAME],
            Found(),
            "one Found for a list of 2 frames: .* goes into a list, in the order of the",
        ),
        (
            FRAME,
            [Found(), Found()],
            r"a list of Found for an array of shape \(4, 6, 3\): .* Of one frame join them before",
        ),
        (
            iter([FRAME]),
            [Found()],
            "a list of Found for list_iterator: .* of a stream make a list of its frames",
        ),
        ([FRAME, FRAME], [Found()], "2 frames and 1 Found: .*, one a frame. An empty one for none."),
    ],
)
def test_frames_and_findings_that_do_not_match_are_told(frames: Any, found: Any, message: str) -> None:
    """Swapped, missing, of another class, one for many, many for one, a generator, another number."""
    with pytest.raises(ls.InputError, match=message):
        as_lists(frames, found, Found, HINT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("clip.mp4", "not a stream of frames: .*, got the text 'clip.mp4'. Open a video by a library"),
        (
            Path("clip.mp4"),
            "not a stream of frames: .* Open a video by a library, and pass its frames; docs/video",
        ),
        (3, "not a stream of frames: expected an iterable of images, got int. Open a video by a library"),
        (FRAME, r"not a stream of frames: .*, got an array of shape \(4, 6, 3\). Of one image call step"),
        (Image.fromarray(FRAME), "not a stream of frames: .*, got Image. Of one image call step"),
    ],
)
def test_what_is_no_stream_of_frames_is_told(given: Any, message: str) -> None:
    """A video file, a number, and single images; before the first frame."""
    with pytest.raises(ls.ImageError, match=message):
        ls.VideoSegmenter(ls.load("nano", device="cpu")).run(given)


def test_streams_are_taken_as_they_are() -> None:
    """Generators, lists, and one array of all frames."""
    frames = [FRAME, FRAME]
    assert check_stream(frames) is frames
    assert list(check_stream(iter(frames))) == frames
    assert len(list(check_stream(np.stack(frames)))) == 2  # type: ignore[arg-type]


def test_bgr_arrays_are_turned_and_nothing_else() -> None:
    """Red and blue change places, alpha goes; grey images, PIL images and paths stay."""
    image = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(turned(image, bgr=True), image[..., [2, 1, 0]])
    assert turned(image, bgr=False) is image
    channels_first = np.zeros((3, 24, 32), np.uint8)  # which `load_image` refuses as it is
    for other in (image[..., 0], channels_first, Image.fromarray(FRAME), "photo.jpg"):
        assert turned(other, bgr=True) is other


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("boxes", [BOXES, BOXES[:1]]),
        ("boxes", [BOXES, None]),
        ("boxes", np.array([BOXES, BOXES])),
        ("points", [[[1, 2]], [[3, 4]]]),
        ("masks", np.zeros((2, 1, 4, 6))),
        ("point_labels", [[1], [0]]),
        ("boxes", [[], []]),
    ],
)
def test_prompts_of_several_images_have_an_entry_each(name: str, value: Any) -> None:
    """Lists of lists, arrays of as many axes, None for an image without."""
    check_entries(name, value, 2)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "boxes",
            BOXES,
            r"boxes of 2 images: an entry may be meant for an image.*got shape \(2, 4\). To share them",
        ),
        ("points", [[1, 2], [3, 4]], r"For one an image: \[\[one\] for one in points\]"),
        ("masks", np.zeros((2, 4, 6)), "masks of 2 images: an entry may be meant"),
        (
            "boxes",
            [BOXES],
            r"boxes of 2 images: expected a list of 2.*got 1 entries. To share them: boxes=\[boxes\]",
        ),
        ("boxes", 3, "boxes of 2 images: .* got int"),
    ],
)
def test_prompts_that_may_be_of_one_image_are_not_shared_out(name: str, value: Any, message: str) -> None:
    """As many boxes as images are not given away one by one, and another number is told."""
    with pytest.raises(ls.PromptError, match=message):
        check_entries(name, value, 2)


def test_one_source_has_the_boxes_of_one_image() -> None:
    """A list of the boxes of each frame is refused for a video."""
    for boxes in (None, BOXES, BOXES[0], [], np.array(BOXES)):
        check_shared("bboxes", boxes, "")
    with pytest.raises(
        ls.PromptError, match="bboxes of several images for one source: .* got 60 arrays.* Or so."
    ):
        check_shared("bboxes", [BOXES] * 60, "Or so.")
