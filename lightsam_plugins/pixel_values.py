"""How the values of any array become 0..255, a strip of rows at a time.

- uint8 and bool: as they are, False 0 and True 255;
- uint16: divided by 257 and rounded, so that 65535 becomes 255;
- other integers: 0..255 as uint8, else 0..65535 as uint16, by the values of the whole image;
- floats: 0..1, times 255 and rounded.

Strips, because a copy of a full image in a wider type may not fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import ImageError

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Scaling: TypeAlias = "Callable[[npt.NDArray[Any]], npt.NDArray[Any]]"

STRIP = 1 << 20  # pixels converted at once
_TOLERANCE = 1e-4  # floats that earlier arithmetic left just outside 0..1 are clipped


def strips(height: int, width: int) -> Iterator[slice]:
    """Ranges of rows of about `STRIP` pixels each."""
    rows = max(1, STRIP // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def scaling(array: npt.NDArray[Any]) -> Scaling:
    """The function that brings strips of `array` to 0..255, by the rules above.

    Raises:
        ImageError: A type that is no image's, or values outside its range; `array` is looked through.
    """
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return _as_it_is
    if kind == "b":
        return _from_bool
    if kind == "u" and array.dtype.itemsize == 2:
        return from_16_bit
    if kind in "iu":
        return _integer_scaling(array)
    if kind == "f":
        _require_unit_range(array)
        return _from_unit
    raise ImageError(
        "not the type of an image",
        expected="integers, bool or floats",
        got=str(array.dtype),
        hint="Scale the image to 0..255 and pass uint8.",
    )


def _as_it_is(strip: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return strip


def _from_bool(strip: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return strip * np.uint8(255)


def from_16_bit(strip: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values 0..65535 as 0..255, rounded."""
    return (strip.astype(np.uint32) + np.uint32(128)) // np.uint32(257)


def _from_unit(strip: npt.NDArray[Any]) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = np.rint(np.clip(strip, 0, 1).astype(np.float32) * np.float32(255))
    return values


def _integer_scaling(array: npt.NDArray[Any]) -> Scaling:
    low, high = _range(array)
    if low < 0 or high > 65535:
        raise ImageError(
            f"{array.dtype} values outside the range of an image",
            expected="0..255, or 0..65535",
            got=f"{int(low)}..{int(high)}",
            hint="Scale the image to 0..255 and pass uint8.",
        )
    return _as_it_is if high <= 255 else from_16_bit


def _require_unit_range(array: npt.NDArray[Any]) -> None:
    low, high = _range(array)
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:
        return
    what, hint = "a float image outside 0..1", "Pass (array - array.min()) / np.ptp(array)."
    if not (np.isfinite(low) and np.isfinite(high)):
        what, hint = "a float image holds NaN or infinity", "Pass np.nan_to_num(array), scaled to 0..1."
    elif low >= 0 and high <= 255:
        hint = "Pass array.astype(np.uint8)."
    raise ImageError(what, expected="values in 0..1", got=f"{low:.6g}..{high:.6g}", hint=hint)


def _range(array: npt.NDArray[Any]) -> tuple[float, float]:
    """Smallest and largest value; NaN where there is one."""
    parts = [(array[rows].min(), array[rows].max()) for rows in strips(*array.shape[:2])]
    lows, highs = zip(*parts, strict=True)
    return np.min(lows), np.max(highs)
