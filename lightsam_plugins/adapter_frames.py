"""Frames as users give them to adapters and to video mode, and what goes with each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lightsam_plugins.errors import ImageError, InputError, PromptError

if TYPE_CHECKING:
    from lightsam_plugins.types import ImageLike

# Axes of the prompts of several images, at least.
_LISTED = {"boxes": 3, "bboxes": 3, "points": 3, "masks": 4}
_JOIN = {
    True: "What was found in each frame goes into a list, in the order of the frames.",
    False: "Of one frame join them before; of a stream make a list of its frames, or call once a frame.",
}


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
    first = frames[0] if several and frames else frames
    expected = f"a frame and a {name}, or a list of frames and a list of {name}, one a frame"
    if isinstance(first, kind):
        raise InputError(
            f"a {name} in the place of the frame", expected=expected, hint="The frame comes first."
        )
    each = found if isinstance(found, list | tuple) else [found]
    for row, one in enumerate(each):
        if not isinstance(one, kind):
            what = f"entry {row} is not a {name}" if one is not found else f"not a {name}"
            raise InputError(what, expected=expected, got=_described(one), hint=hint)
    if several == isinstance(found, list | tuple):
        if several and len(frames) != len(found):
            raise InputError(
                f"{len(frames)} frames and {len(found)} {name}",
                expected=expected,
                hint="An empty one for none.",
            )
        return (frames, found, True) if several else ([frames], [found], False)
    raise InputError(_mismatch(frames, name, several=several), expected=expected, hint=_JOIN[several])


def _mismatch(frames: Any, name: str, *, several: bool) -> str:
    if several:
        return f"one {name} for a list of {len(frames)} frames"
    return f"a list of {name} for {_described(frames)}"


def check_stream(frames: Any) -> Iterable[ImageLike]:
    """A stream of frames as it is.

    Raises:
        ImageError: It is one image, a file, or nothing that can be gone through.
    """
    single = isinstance(frames, Image.Image) or (hasattr(frames, "ndim") and frames.ndim <= 3)
    if isinstance(frames, Iterable) and not single and not isinstance(frames, str):
        return frames
    hint = "Open a video by a library, and pass its frames; docs/video.md shows how."
    if single:
        hint = "Of one image call step(image)."
    raise ImageError(
        "not a stream of frames", expected="an iterable of images", got=_described(frames), hint=hint
    )


def turned(frame: Any, *, bgr: bool) -> Any:
    """A frame with red and blue swapped, if it is an array of colours and they are the other way round."""
    colours = isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] in (3, 4)
    return frame[..., 2::-1] if bgr and colours else frame


def check_entries(name: str, value: Any, count: int) -> None:
    """Check that the prompts of several images have one entry an image.

    Args:
        name: Of the kind of prompt.
        value: A list, or an array.
        count: Number of images.

    Raises:
        PromptError: Another number of entries, or prompts of one image whose number happens to be that of the images.
    """
    expected, share = f"a list of {count}, one entry an image", f"To share them: {name}=[{name}] * {count}."
    if not hasattr(value, "__len__") or len(value) != count:
        got = f"{len(value)} entries" if hasattr(value, "__len__") else _described(value)
        raise PromptError(f"{name} of {count} images", expected=expected, got=got, hint=share)
    try:
        shape = np.shape(value)
    except ValueError:  # as of lists of different lengths
        return
    if 0 not in shape and 1 < len(shape) < _LISTED.get(name, 0):
        raise PromptError(
            f"{name} of {count} images: an entry may be meant for an image, or all of them for each",
            expected=expected,
            got=f"shape {shape}",
            hint=f"{share} For one an image: [[one] for one in {name}].",
        )


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, list | tuple) and value:
        return f"a {type(value).__name__} of {type(value[0]).__name__}"
    return type(value).__name__


def check_shared(name: str, boxes: Any, hint: str) -> None:
    """Check that boxes are those of one source, be it a video.

    Args:
        name: What they are called.
        boxes: (4,) or (N, 4), or None.
        hint: What else to call.

    Raises:
        PromptError: A list of boxes of several images.
    """
    if isinstance(boxes, list | tuple | np.ndarray) and len(boxes) and np.ndim(boxes[0]) == 2:
        raise PromptError(
            f"{name} of several images for one source",
            expected="(N, 4), which all images or frames of it share",
            got=f"{len(boxes)} arrays",
            hint=f"Pass a list of images. {hint}",
        )
