"""What users give to adapters and to video mode: models and options; mix-ups are told, each with what to do instead."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lightsam_plugins as ls
from lightsam_plugins import adapter_arguments, adapter_frames
from lightsam_plugins.adapter_arguments import as_model, check_options
from lightsam_plugins.errors import check_flags


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


def test_switches_are_true_or_false() -> None:
    """Words and None are not taken for one of the two."""
    check_flags(bgr=False, dense=True)
    for value in ("no", None, 1):
        with pytest.raises(ls.OptionError, match=f"bgr: expected True or False, got {value!r}"):
            check_flags(dense=True, bgr=value)
    with pytest.raises(ls.OptionError, match="mask_prompt: expected True or False"):
        ls.VideoSegmenter(ls.load("nano", device="cpu"), mask_prompt="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["best.pt", Path("runs/best.safetensors")])
def test_a_checkpoint_in_the_place_of_a_model_is_told(given: Any) -> None:
    """A file of weights leads to `weights=`, wherever a model or its name is wanted."""
    hint = f"A checkpoint goes into weights=.*weights='{given}'"
    with pytest.raises(ls.InputError, match=hint):
        as_model(given, {})
    with pytest.raises(ls.InputError, match=hint):
        ls.load(str(given))


@pytest.mark.parametrize("module", [adapter_arguments, adapter_frames])
def test_messages_name_no_host(module: Any) -> None:
    """The core's words fit every host: none of them is named in these checks."""
    source = Path(module.__file__).read_text("utf-8")
    assert not re.search("supervision|ultralytics|fiftyone|napari", source, re.IGNORECASE)
