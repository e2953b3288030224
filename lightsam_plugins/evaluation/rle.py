"""Polygons and run-length codes of COCO as arrays, and back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from lightsam_plugins.errors import InputError
from lightsam_plugins.mask_exports import Rle, crop_rle
from lightsam_plugins.types import BoolArray


def encode(mask: BoolArray) -> Rle:
    """A (H, W) mask as COCO's compressed run-length code."""
    return crop_rle((0, 0, mask), *mask.shape)


def decode(segmentation: Any, size: tuple[int, int]) -> BoolArray:
    """The mask of an annotation.

    Args:
        segmentation: Polygons, an uncompressed or a compressed run-length code, as COCO has them.
        size: (height, width) of its image.

    Returns:
        (H, W) bool.

    Raises:
        InputError: It is broken, or made for an image of another size, or has no pixel.
    """
    from pycocotools import mask as coco

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools 2.0.11 with numpy 2
        try:
            runs = _checked(segmentation, size)
            mask: BoolArray = coco.decode(coco.merge(runs)).astype(bool)
        except (KeyError, TypeError, ValueError, IndexError, UnicodeError) as error:
            raise InputError(
                "a broken segmentation", got=f"{type(error).__name__}: {error}", hint="Write it again."
            ) from error
    if not mask.any():
        raise InputError("the segmentation has no pixel in its image", hint="Leave the annotation out.")
    return mask


def _checked(segmentation: Any, size: tuple[int, int]) -> list[Any]:
    """The parts of a segmentation as run-length codes that pycocotools decodes without reading out of bounds."""
    from pycocotools import mask as coco

    if isinstance(segmentation, list):
        rings = [ring for ring in segmentation if len(ring)]
        if not rings:
            raise ValueError("no polygon")
        for ring in rings:
            if len(ring) < 6 or len(ring) % 2 or not np.isfinite(np.asarray(ring, np.float64)).all():
                raise ValueError(f"a polygon of {len(ring)} numbers; expected x, y of 3 or more points")
        return list(coco.frPyObjects(rings, *size))
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"a code for (height, width) {tuple(segmentation['size'])} in an image of {size}")
    counts = segmentation["counts"]
    runs = list(counts) if isinstance(counts, list) else _runs(counts)
    if sum(runs) != size[0] * size[1] or min(runs) < 0:
        raise ValueError(f"its runs have {sum(runs)} pixels, its image {size[0] * size[1]}")
    whole: Any = coco.frPyObjects({"size": list(size), "counts": runs}, *size)  # type: ignore[call-overload]
    return [whole]


def _runs(counts: str | bytes) -> list[int]:
    """The runs of COCO's compressed code: groups of 6 bits; from the fourth on, differences to the run two before."""
    codes = counts.encode("ascii") if isinstance(counts, str) else counts
    runs: list[int] = []
    place = 0
    while place < len(codes):
        value, shift = 0, 0
        while True:
            group = codes[place] - 48
            if not 0 <= group < 64:
                raise ValueError("its counts have a character that no code has")
            value |= (group & 0x1F) << shift
            shift, place = shift + 5, place + 1
            if not group & 0x20:
                break
        if group & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs
