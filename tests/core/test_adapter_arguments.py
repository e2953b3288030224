"""What users give to adapters and to video mode: mix-ups are told apart, each with what to do instead."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lightsam_plugins as ls
from lightsam_plugins.adapter_arguments import as_lists, as_model, check_options, check_stream, turned


class Found:
    """Stands for what a host has as the detections of one frame."""


FRAME = np.zeros((4, 6, 3), np.uint8)
HINT = "Boxes alone: predict."


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
        (FRAME, [[1, 2, 3, 4]], "not a Found: .*, got a list of list. Boxes alone: predict."),
        (FRAME, [Found(), None], "not a Found: .*, got a list of Found"),
        (
            [FRAME, FRAME],
            Found(),
            "one Found for a list of 2 frames: .* goes into a list, in the order of the",
        ),
        (
            FRAME,
            [Found(), Found()],
            r"a list of Found for an array of shape \(4, 6, 3\): .* Join them before: one Found of all",
        ),
        (
            iter([FRAME]),
            [Found()],
            "a list of Found for list_iterator: .* Make a list of the frames, or call",
        ),
        ([FRAME, FRAME], [Found()], "2 frames and 1 Found: .*, one a frame. An empty one for none."),
    ],
)
def test_frames_and_findings_that_do_not_match_are_told(frames: Any, found: Any, message: str) -> None:
    """Swapped, missing, of another class, one for many, many for one, a generator, another number."""
    with pytest.raises(ls.InputError, match=message):
        as_lists(frames, found, Found, HINT)


def test_a_model_is_loaded_by_its_name_or_taken_as_it_is() -> None:
    """Options go to `load`; beside a loaded model they are refused, and unknown ones name the nearest."""
    model = as_model("nano", {"device": "cpu"})
    assert model.name == "nano"
    assert as_model(model, {}) is model
    with pytest.raises(
        ls.OptionError,
        match="beside a model that is loaded already: device, dtype: expected a name.*got the loaded nano.*to.device",
    ):
        as_model(model, {"device": "cpu", "dtype": None})
    with pytest.raises(
        ls.OptionError, match=r"unknown option 'bgrr': expected one of \['device'.*mean 'bgr'"
    ):
        as_model("nano", {"bgrr": True}, own=["bgr"])
    with pytest.raises(ls.OptionError, match="unknown option 'devise'.*Did you mean 'device'"):
        as_model("nano", {"devise": "cpu"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "not a model: expected what lightsam_plugins.load returns, got int. Load it: .*load.'nano'"),
        ("mobilesam", "not a model: .* got 'mobilesam'. Load it: lightsam_plugins.load.'mobilesam'"),
        ("around", "not a model: .* got SimpleNamespace. Pass the model in it, its .model."),
    ],
)
def test_video_mode_says_at_once_what_is_no_model(given: Any, message: str) -> None:
    """A number, the name of a model, and a host's object around a model."""
    if given == "around":
        given = SimpleNamespace(model=ls.load("nano", device="cpu"))
    with pytest.raises(ls.InputError, match=message):
        ls.VideoSegmenter(given)


def test_options_of_everything_mode_are_not_taken_beside_prompts() -> None:
    """They would be ignored; a misspelt prompt names the right one, and what is no dict is told."""
    prompts = {"boxes": [[1, 2, 3, 4]], "points": None}
    check_options({"points_per_side": 8}, {"boxes": None})
    check_options({}, prompts)
    with pytest.raises(
        ls.OptionError, match="points_per_side beside boxes: expected options of everything mode"
    ):
        check_options({"points_per_side": 8}, prompts)
    with pytest.raises(ls.OptionError, match="unknown argument 'box': .* Did you mean 'boxes'"):
        check_options({"box": 1}, {"boxes": None})
    with pytest.raises(
        ls.OptionError, match="options of everything mode: expected a dict, .*, got True. Without"
    ):
        check_options(True, {"boxes": None})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("clip.mp4", "not a stream of frames: .*, got the text 'clip.mp4'. Open a video by a library"),
        (
            Path("clip.mp4"),
            "not a stream of frames: .* Open a video by a library, and pass its frames; docs/video",
        ),
        (3, "not a stream of frames: expected an iterable of images, got int"),
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
    for other in (image[..., 0], Image.fromarray(FRAME), "photo.jpg"):
        assert turned(other, bgr=True) is other


def test_messages_name_no_host() -> None:
    """The core's words fit every host: none of them is named in these checks."""
    source = Path(as_lists.__code__.co_filename).read_text("utf-8")
    assert not re.search("supervision|ultralytics|fiftyone|napari", source, re.IGNORECASE)
