"""Image files and PIL images as (H, W, 3) uint8 RGB; `images.load_image` is the door."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from lightsam_plugins.errors import ImageError
from lightsam_plugins.pixel_values import UInt8Array, from_16_bit, scaling, strips

# A file may claim any size. PIL stops at 179 million pixels, but 20,000 x 20,000 is a usual scan.
MAX_PIXELS = 1 << 30
_limit_lock = threading.Lock()


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file; it is decoded by `from_pil`.

    Raises:
        ImageError: No such file, not an image, or one of more than `MAX_PIXELS`.
    """
    name = f"cannot read the image {str(path)!r}"
    if problem := _problem(path):
        raise ImageError(f"{name}: {problem[0]}", hint=problem[1])
    try:
        image = _open_any_size(path)
    except (
        UnidentifiedImageError,
        ImportError,
    ):  # another package may have PIL try pi_heif last, which may not be there
        formats = "PNG, JPEG, TIFF, WebP, BMP, GIF or the like"
        hint = "Open it with its own library and pass the pixels as an array."
        raise ImageError(
            f"{name}: it is not an image file that PIL knows", expected=formats, hint=hint
        ) from None
    except Exception as error:  # a broken header fails in a different way in each decoder
        raise _broken(name, error) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(
                f"{name}: it claims {image.width} x {image.height} pixels",
                expected=f"at most {MAX_PIXELS:,} pixels",
                hint="Read it by other means and pass tiles of it as arrays.",
            )
        yield image


def _problem(path: Path) -> tuple[str, str] | None:
    """What keeps a file from being read, and what to do about it."""
    look = f"Check the path; the working folder is {str(Path.cwd())!r}."
    if path.is_dir():
        return "it is a folder", "Name one of its files."
    try:
        with path.open("rb") as file:
            return None if file.read(1) else ("the file is empty", "Copy or download it again.")
    except OSError as error:
        return error.strerror or str(error), look
    except ValueError as error:  # a NUL in the name
        return str(error), look


def _open_any_size(path: Path) -> Image.Image:
    # The limit is a global of PIL and is looked at while the header is read; the caller's is put back.
    with _limit_lock:
        usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = usual


def from_pil(image: Image.Image, name: str) -> UInt8Array:
    """Decode a PIL image of any mode and turn it the way its EXIF orientation says.

    Args:
        image: The image; it is not changed.
        name: What error messages call it.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: No pixels, data that cannot be decoded, or values outside their range.
    """
    if 0 in image.size:
        raise ImageError(
            f"{name} has no pixels",
            expected="at least 1 x 1",
            got=f"size {image.size}",
            hint="Check how the image was cut or read.",
        )
    try:
        image.load()
        return _converted(image)
    except ImageError as error:
        what = f"cannot read {name}: {error.what}"
        raise ImageError(what, expected=error.expected, got=error.got, hint=error.hint) from None
    except Exception as error:  # broken data fails in a different way in each decoder
        raise _broken(f"cannot read {name}", error) from error


def _broken(name: str, error: Exception) -> ImageError:
    return ImageError(
        f"{name}: it is broken, cut off or of a kind PIL cannot convert",
        got=f"{type(error).__name__}: {error}",
        hint="Copy it again, or convert it to PNG.",
    )


def _converted(image: Image.Image) -> UInt8Array:
    width, height = image.size  # only now: a TIFF is turned by its orientation when it is decoded
    orientation = _orientation(image)
    turned = orientation in (5, 6, 7, 8)
    result = np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)
    # The result as the file has it: what is written into this view comes out the right way up.
    stored = _oriented(result, orientation)
    if image.mode in ("I", "F"):  # PIL would clip these instead of scaling them
        values = np.asarray(image)[..., None]
        scale = scaling(values)
        for rows in strips(height, width):
            stored[rows] = scale(values[rows])
        return result
    for rows in strips(height, width):
        stored[rows] = _rgb(image.crop((0, rows.start, width, rows.stop)))
    return result


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        return 1  # a broken note beside the pixels is no reason to refuse them


def _rgb(strip: Image.Image) -> npt.NDArray[Any]:
    if strip.mode.startswith("I;16"):
        return from_16_bit(np.asarray(strip))[..., None]
    # PIL warns of transparency it cannot keep; alpha is dropped here on purpose.
    strip.info.pop("transparency", None)
    if strip.mode in ("RGBa", "La"):  # premultiplied
        strip = strip.convert("RGBA" if strip.mode == "RGBa" else "LA")
    return np.asarray(strip.convert("RGB"))


def _oriented(shown: UInt8Array, orientation: int) -> UInt8Array:
    """A view of the upright image that has the rows and columns of the stored one.

    From the stored to the upright image EXIF's orientations are: 2 mirrored, 3 turned by 180 degrees,
    4 flipped, 5 transposed, 6 turned clockwise, 7 transposed the other way, 8 turned counter-clockwise.
    """
    if orientation in (3, 4, 7, 8):
        shown = shown[::-1]
    if orientation in (2, 3, 6, 7):
        shown = shown[:, ::-1]
    return shown.transpose(1, 0, 2) if orientation in (5, 6, 7, 8) else shown
