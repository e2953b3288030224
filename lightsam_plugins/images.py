"""Any image, from an array, PIL or a file, as (H, W, 3) uint8 RGB."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lightsam_plugins.errors import ImageError
from lightsam_plugins.image_files import from_pil, open_image
from lightsam_plugins.pixel_values import UInt8Array, scaling, strips
from lightsam_plugins.types import ImageLike


def load_image(source: ImageLike) -> UInt8Array:
    """Read an image in any usual form.

    Args:
        source: A path; a PIL image of any mode; or an array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4)
            RGBA of uint8, uint16, another integer type, bool or float in 0..1 (see `pixel_values` for the
            scaling). Alpha is dropped. Of files and PIL images the EXIF orientation is applied, and of an
            animation the current frame is taken.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous. An array that is so already is returned itself, not a copy.

    Raises:
        ImageError: No image, one that cannot be read, or values outside the range of their type.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return from_pil(source, "the PIL image")
    if isinstance(source, str | Path):
        with open_image(Path(source)) as image:
            return from_pil(image, f"the image {str(source)!r}")
    raise ImageError(
        "not an image",
        expected="a numpy array, a PIL image or a path",
        got=type(source).__name__,
        hint=_hint(source),
    )


def _hint(source: Any) -> str:
    if source is None:
        return "A video that has ended, or a file that OpenCV could not read, gives None."
    if isinstance(source, list | tuple):
        return "Pass one image; capture.read() of OpenCV returns (whether there was one, image)."
    if isinstance(source, Iterable) and not hasattr(source, "cpu"):
        return "Pass the images of a stream one by one."
    return "Of a torch tensor pass tensor.cpu().numpy(), height first: (H, W, 3)."


def check_shape(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array that has the shape of an image, as (H, W, C).

    Raises:
        ImageError: It has another shape, or no pixels.
    """
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.shape[2] not in (1, 3, 4):
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        raise ImageError(
            "not the shape of an image",
            expected="(H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA",
            got=f"{array.shape}",
            hint="For channels first pass array.transpose(1, 2, 0)."
            if first
            else "Pass one plane at a time.",
        )
    if 0 in array.shape:
        raise ImageError(
            "the image has no pixels",
            expected="at least 1 x 1",
            got=f"{array.shape}",
            hint="Check how the image was cut or read.",
        )
    return planes


def _from_array(array: npt.NDArray[Any]) -> UInt8Array:
    planes = check_shape(array)
    colours = planes[..., :3] if planes.shape[2] == 4 else planes
    if colours.dtype == np.uint8 and colours.shape[2] == 3:
        return np.ascontiguousarray(colours)
    scale = scaling(colours)
    image = np.empty((*colours.shape[:2], 3), np.uint8)
    for rows in strips(*colours.shape[:2]):
        image[rows] = scale(colours[rows])  # one channel is repeated three times
    return image
