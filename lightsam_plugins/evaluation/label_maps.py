"""Folders of label maps (PNG, TIFF) as a `Dataset`: every value but 0 is one object."""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lightsam_plugins.errors import InputError
from lightsam_plugins.evaluation.dataset import Dataset, Sample, Target
from lightsam_plugins.types import BoolArray

SUFFIXES = (".png", ".tif", ".tiff")
ENDINGS = ("_label", "_labels", "_mask", "_masks")
_PHOTOS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def read_label_maps(images: Path, folder: Path) -> Dataset:
    """Read a folder of label maps.

    Args:
        images: Folder of the images; may be the same.
        folder: Label maps of one channel: ``NAME_label.png``, also ``_labels``, ``_mask``, ``_masks``; or ``NAME.png``
            if no file has such an ending. ``NAME.*`` is the image.

    Raises:
        InputError: There is no label map.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    marked = [path for path in files if path.stem.endswith(ENDINGS)]
    problems: list[str] = []
    samples, digest = [], hashlib.sha256()
    for number, path in enumerate(marked or files):
        try:
            samples.append(_sample(images, path, number))
            digest.update(path.name.encode() + path.read_bytes())
        except (InputError, OSError) as error:
            problems.append(f"label map {path.name}: {error}")
    if not samples:
        raise InputError(
            f"no label map with an image in {str(folder)!r}",
            expected=f"files such as NAME_label.png, and NAME.jpg or the like in {str(images)!r}",
            got="; ".join(problems[:3]) or f"{len(files)} PNG or TIFF files",
            hint="Check both folders.",
        )
    return Dataset(folder.name, tuple(samples), digest.hexdigest(), tuple(problems))


def _sample(images: Path, path: Path, number: int) -> Sample:
    stem = path.stem
    for ending in ENDINGS:
        stem = stem.removesuffix(ending)
    found = [images / f"{stem}{suffix}" for suffix in _PHOTOS]
    photos = [photo for photo in found if photo.is_file() and photo.resolve() != path.resolve()]
    if not photos:
        raise InputError("it has no image", expected=f"{stem}.png, .jpg, .tif or the like in {str(images)!r}")
    labels = read_labels(path)
    targets = [Target(int(value), 1, partial(_one, path, int(value))) for value in np.unique(labels) if value]
    return Sample(photos[0].name, photos[0], number, tuple(targets), labels.shape)


@lru_cache(maxsize=2)
def read_labels(path: Path) -> npt.NDArray[Any]:
    """A label map: (H, W) integers.

    Raises:
        InputError: It cannot be read, or has several channels.
    """
    try:
        with Image.open(path) as file:
            labels = np.asarray(file)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            "cannot be read", got=str(error), hint="Copy it again, or convert it to PNG."
        ) from error
    if labels.ndim != 2 or (labels.dtype.kind == "f" and (labels != np.round(labels)).any()):
        raise InputError(
            "is no label map",
            expected="one channel of whole numbers",
            got=f"shape {labels.shape}, {labels.dtype}",
            hint="Colours are not labels: write the number of the object into each pixel.",
        )
    return labels


def _one(path: Path, value: int, size: tuple[int, int]) -> BoolArray:
    labels = read_labels(path)
    if labels.shape != size:
        raise InputError("a label map of another size", expected=str(size), got=str(labels.shape))
    mask: BoolArray = labels == value
    return mask
