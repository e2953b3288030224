"""The shapes or points of any layer as prompts of one object each, in the plane of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lightsam_napari.prompts import Prompts, corners

if TYPE_CHECKING:
    from napari.layers import Image, Layer, Points, Shapes

    from lightsam_napari.planes import Plane


def boxes(layer: Shapes, image: Image, plane: Plane) -> list[Prompts]:
    """The box around each shape that lies in the plane, in order; shapes beside the image are left out."""
    found = []
    for shape in layer.data:
        data = _in_image(layer, shape, image, plane)
        if plane.holds(data).all() and (box := corners(plane.to_xy(data), plane.shape)) is not None:
            found.append(Prompts(box=box))
    return found


def clicks(layer: Points, image: Image, plane: Plane) -> list[Prompts]:
    """Each point that lies in the plane, in order; points beside the image are left out."""
    if not len(layer.data):
        return []
    data = _in_image(layer, layer.data, image, plane)
    xy = plane.to_xy(data)
    inside = plane.holds(data) & (xy >= 0).all(axis=1) & (xy <= (plane.shape[1], plane.shape[0])).all(axis=1)
    return [Prompts(((float(x), float(y)),), (1,)) for x, y in xy[inside]]


def _in_image(layer: Layer, vertices: Any, image: Image, plane: Plane) -> Any:
    """Data coordinates of a layer as those of an image; a layer of fewer axes holds for every slice."""
    rows = []
    for vertex in np.asarray(vertices, float):
        data = np.asarray(image.world_to_data(layer.data_to_world(vertex)))
        for axis in range(image.ndim - layer.ndim):
            data[axis] = plane.position[axis]
        rows.append(data)
    return np.array(rows)
