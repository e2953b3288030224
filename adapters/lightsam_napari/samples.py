"""Pictures to try it on: a photo that ships with the package, and two that are computed; none is downloaded."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

LayerData = tuple[npt.NDArray[Any], dict[str, Any], str]


def coins() -> list[LayerData]:
    """A photo of old coins."""
    from lightsam_plugins.images import load_image

    with resources.as_file(resources.files("lightsam_plugins") / "assets" / "coins.jpg") as file:
        return [(load_image(file), {"name": "coins", "rgb": True}, "image")]


def nuclei() -> list[LayerData]:
    """Computed nuclei under a microscope, 12 bits, in micrometres."""
    random = np.random.default_rng(7)
    values = _blobs(random, (400, 520), 60, radii=((11, 17), (11, 17)))
    noisy = random.poisson(120 + 1900 * values) + random.normal(0, 12, values.shape)
    pixels = noisy.clip(0, 4095).astype(np.uint16)
    placed = {"scale": (0.2, 0.2), "units": ("um", "um"), "axis_labels": ("y", "x")}
    return [(pixels, {"name": "nuclei", **placed}, "image")]


def cells_3d() -> list[LayerData]:
    """A computed stack of cells whose slices are further apart than its pixels."""
    random = np.random.default_rng(11)
    values = _blobs(random, (24, 220, 260), 45, radii=((4, 7), (14, 20), (14, 20)))
    pixels = (20 + 190 * values + random.normal(0, 5, values.shape)).clip(0, 255).astype(np.uint8)
    placed = {"scale": (2, 0.6, 0.6), "units": ("um", "um", "um"), "axis_labels": ("z", "y", "x")}
    return [(pixels, {"name": "cells", **placed}, "image")]


def _blobs(
    random: np.random.Generator, shape: tuple[int, ...], count: int, radii: tuple[tuple[int, int], ...]
) -> npt.NDArray[np.float64]:
    """Soft ellipsoids that keep apart, of 0.5 to 1 in a ground of 0."""
    grid = np.indices(shape)
    image = np.zeros(shape)
    places: list[npt.NDArray[np.float64]] = []
    for _ in range(count * 8):
        if len(places) == count:
            break
        radius = np.array([random.uniform(*span) for span in radii])
        centre = random.uniform(0, 1, len(shape)) * shape
        if all((((centre - other) / (radius * 2.1)) ** 2).sum() > 1 for other in places):
            places.append(centre)
            parts = zip(grid, centre, radius, strict=True)
            distance = np.sqrt(sum(((axis - at) / length) ** 2 for axis, at, length in parts))
            image = np.maximum(image, random.uniform(0.5, 1) / (1 + np.exp((distance - 1) * 14)))
    return image
