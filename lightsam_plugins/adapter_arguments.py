"""What users give to adapters: a model or its name, frames and what was found in them; told apart where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from lightsam_plugins.errors import ImageError, InputError, OptionError, did_you_mean
from lightsam_plugins.everything_options import EverythingOptions
from lightsam_plugins.loading import load
from lightsam_plugins.segmenter import Segmenter

if TYPE_CHECKING:
    from lightsam_plugins.types import ImageLike


def as_model(model: str | Segmenter, options: Mapping[str, Any], own: Iterable[str] = ()) -> Segmenter:
    """Load a model by its name, or take the one that is loaded already.

    Args:
        model: Its name, or itself.
        options: Of `load`; there are none for a model that is loaded already.
        own: Names of further options that the caller takes, which a wrong name may be meant for.

    Raises:
        InputError: Neither a name nor a model, or options that would have no effect.
        LightSamError: Whatever `load` raises.
    """
    if not isinstance(model, str):
        if options:
            raise OptionError(
                f"options of loading beside a model that is loaded already: {', '.join(options)}",
                expected="a name, such as 'nano', with them",
                got=f"the loaded {check_model(model).name}",
                hint="Give them to lightsam_plugins.load(name, ...); model.to(device) moves a model.",
            )
        return check_model(model)
    names = [*list(signature(load).parameters)[1:], *own]
    for name in options:
        if name not in names:
            raise OptionError(
                f"unknown option {name!r}", expected=f"one of {names}", hint=did_you_mean(name, names)
            )
    return load(model, **options)


def check_model(model: Any) -> Segmenter:
    """The model itself.

    Raises:
        InputError: It is a name, an object around a model, or something else.
    """
    if isinstance(model, Segmenter):
        return model
    name = model if isinstance(model, str) else "nano"
    inside = isinstance(getattr(model, "model", None), Segmenter)
    raise InputError(
        "not a model",
        expected="what lightsam_plugins.load returns",
        got=repr(model) if isinstance(model, str) else type(model).__name__,
        hint="Pass the model in it, its .model." if inside else f"Load it: lightsam_plugins.load({name!r}).",
    )


def as_lists(frames: Any, found: Any, kind: type, hint: str) -> tuple[Sequence[Any], Sequence[Any], bool]:
    """A frame and what was found in it as lists of one, or lists of several as they are.

    Args:
        frames: A frame, or a list or tuple of frames.
        found: Likewise, of `kind`.
        kind: The class of what was found in one frame.
        hint: What to call where boxes alone are at hand.

    Returns:
        Frames, as many of `kind`, and whether they were given as lists.

    Raises:
        InputError: They do not match, or what was found is of another class.
    """
    name, several = kind.__name__, isinstance(frames, list | tuple)
    expected = f"a frame and a {name}, or a list of frames and a list of {name}, one a frame"
    if isinstance(frames, kind):
        raise InputError(
            f"a {name} in the place of the frame", expected=expected, hint="The frame comes first."
        )
    each = found if isinstance(found, list | tuple) else [found]
    for one in each:
        if not isinstance(one, kind):
            raise InputError(f"not a {name}", expected=expected, got=_described(found), hint=hint)
    if several == isinstance(found, list | tuple):
        if several and len(frames) != len(found):
            raise InputError(
                f"{len(frames)} frames and {len(found)} {name}",
                expected=expected,
                hint="An empty one for none.",
            )
        return (frames, found, True) if several else ([frames], [found], False)
    if several:
        raise InputError(
            f"one {name} for a list of {len(frames)} frames",
            expected=expected,
            hint="What was found in each frame goes into a list, in the order of the frames.",
        )
    if isinstance(frames, Iterable) and not isinstance(frames, str | np.ndarray):
        hint = "Make a list of the frames, or call once a frame."
    else:
        hint = f"Join them before: one {name} of all that was found in the frame."
    raise InputError(f"a list of {name} for {_described(frames)}", expected=expected, hint=hint)


def check_options(options: Any, prompts: Mapping[str, Any]) -> None:
    """Refuse what would be ignored: options of everything mode beside prompts, and names that are neither.

    Args:
        options: A mapping, by name.
        prompts: Every kind of prompt that there is, by name; None where it was not given.

    Raises:
        OptionError: No mapping, a name that is no option, or an option beside a prompt.
    """
    if not isinstance(options, Mapping):
        raise OptionError(
            "options of everything mode",
            expected="a dict, such as {'points_per_side': 16}",
            got=repr(options),
            hint="Without prompts everything is segmented; leave them out for the usual ones.",
        )
    names = [*prompts, *(field.name for field in fields(EverythingOptions))]
    given = [name for name, value in prompts.items() if value is not None]
    for name in options:
        if name not in names:
            raise OptionError(
                f"unknown argument {name!r}", expected=f"one of {names}", hint=did_you_mean(name, names)
            )
    if options and given:
        raise OptionError(
            f"{', '.join(options)} beside {' and '.join(given)}",
            expected="options of everything mode without prompts",
            hint="Leave out the options, or the prompts.",
        )


def check_stream(frames: Any) -> Iterable[ImageLike]:
    """A stream of frames as it is.

    Raises:
        ImageError: It is one image, a file, or nothing that can be gone through.
    """
    hint = "Of one image call step(image)."
    if isinstance(frames, str) or hasattr(frames, "__fspath__"):
        hint = "Open a video by a library, and pass its frames; docs/video.md shows how."
    elif isinstance(frames, Iterable) and getattr(frames, "ndim", 4) > 3:
        return frames
    raise ImageError(
        "not a stream of frames", expected="an iterable of images", got=_described(frames), hint=hint
    )


def turned(frame: Any, *, bgr: bool) -> Any:
    """A frame with red and blue swapped, if it is an array of colours and they are the other way round."""
    return frame[..., 2::-1] if bgr and isinstance(frame, np.ndarray) and frame.ndim == 3 else frame


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, list | tuple) and value:
        return f"a {type(value).__name__} of {type(value[0]).__name__}"
    return type(value).__name__
