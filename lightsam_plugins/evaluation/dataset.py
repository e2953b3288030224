"""Annotated images: what the readers of annotation files give, and what a measurement takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lightsam_plugins.types import BoolArray


@dataclass(frozen=True, slots=True)
class Target:
    """One object to be found. Its mask is decoded only when it is needed.

    Args:
        id: Of the annotation, unique in its image.
        category: Id of its category; 1 where there are none.
        mask: Gives the (H, W) bool mask for a (height, width); raises `InputError` where the annotation is broken.
        box: ``xyxy`` of the annotation in pixels, or None for the tight box of the mask.
        area: In pixels, for the split by size, or None for the pixels of the mask.
        ignore: A crowd or a region to ignore: no prompt is drawn from it, and finding it is no error.
    """

    id: int
    category: int
    mask: Callable[[tuple[int, int]], BoolArray]
    box: tuple[float, float, float, float] | None = None
    area: float | None = None
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and its objects.

    Args:
        name: Unique in the dataset.
        path: The image file.
        id: Of the image, as detector boxes name it.
        targets: Its objects, in the order of the annotations.
        size: (height, width) that the annotations are about, or None where they do not say.
        checked: LVIS: categories that were looked for in this image, or None where all were.
        incomplete: LVIS: categories of which not every object is annotated.
    """

    name: str
    path: Path
    id: int
    targets: tuple[Target, ...]
    size: tuple[int, int] | None = None
    checked: frozenset[int] | None = None
    incomplete: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Dataset:
    """Annotated images, in order.

    Args:
        name: "coco", "lvis", or the name of the annotation file or folder.
        samples: The images.
        problems: What could not be used, one sentence a row of the file.
        digest: SHA-256 of the annotations: results of different ones are not compared.
    """

    name: str
    samples: tuple[Sample, ...]
    digest: str
    problems: tuple[str, ...] = field(default=())
