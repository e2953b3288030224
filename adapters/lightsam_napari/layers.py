"""Layers that lie exactly on an image: the same scale, rotation, units and names of axes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer, Points, Shapes
from napari.utils.transforms import Affine

from lightsam_napari.planes import Plane, level_zero

if TYPE_CHECKING:
    import numpy.typing as npt

POSITIVE, NEGATIVE = "positive", "negative"
# Blue and orange of Okabe and Ito's palette, which colour-blind people tell apart; the shape says it as well.
COLOURS = {POSITIVE: "#0072B2", NEGATIVE: "#D55E00"}
BORDERS = {POSITIVE: "white", NEGATIVE: COLOURS[NEGATIVE]}  # a white one would cover the arms of an x
SYMBOLS = {POSITIVE: "disc", NEGATIVE: "x"}
CANDIDATE_COLOUR = "#F0E442"
IMAGE = "image"  # in the metadata of an output: the file name of the image, or the name of its layer


def spatial(layer: Layer, origin: npt.ArrayLike | None = None) -> dict[str, Any]:
    """The arguments that put a new layer where `layer` is.

    Args:
        layer: An image or labels layer.
        origin: Data coordinates of `layer` at which the new layer's first pixel lies; its own first pixel if None.
    """
    placed = {
        "scale": layer.scale,
        "translate": layer.translate,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }
    if origin is not None:
        placed["translate"] = moved(layer, origin)
    return placed


def moved(layer: Layer, origin: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The `translate` that puts a layer's first pixel at the data coordinates `origin` of another layer."""
    local = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear)
    shift = np.asarray(layer.translate) + local.linear_matrix @ np.asarray(origin, float)
    return np.asarray(shift, np.float64)


def same_place(layer: Layer, image: Layer) -> bool:
    """Whether a layer of the shape of an image lies on it pixel by pixel."""
    corner = np.array(level_zero(image).shape[: image.ndim], float)
    ends: list[Any] = [np.zeros(len(corner)), corner, *np.diag(corner)]
    return all(np.allclose(layer.data_to_world(end), image.data_to_world(end)) for end in ends)


def new_labels(image: Layer, name: str = "objects") -> Labels:
    """An empty labels layer over all of an image, of 32-bit numbers; its metadata name the image, for writers."""
    shape = level_zero(image).shape[: image.ndim]
    file = Path(image.source.path).name if image.source.path else image.name
    return Labels(np.zeros(shape, np.int32), name=name, metadata={IMAGE: file}, **spatial(image))


def new_points(image: Layer) -> Points:
    """The layer of clicks: a `polarity` each, a size on the screen that zooming does not change."""
    import pandas as pd

    layer = Points(
        ndim=image.ndim,
        name="clicks",
        features=pd.DataFrame({"polarity": pd.Series([], dtype=str)}),
        size=10,
        border_color="white",
        canvas_size_limits=(10, 14),
        **spatial(image),
    )
    set_polarity(layer, POSITIVE)
    return layer


def set_polarity(layer: Points, polarity: str) -> None:
    """Let the next click be of this polarity."""
    if layer.selected_data:
        layer.selected_data = set()  # or the selected clicks would change as well
    if (
        list(layer.feature_defaults["polarity"]) == [polarity]
        and str(layer.current_symbol) == SYMBOLS[polarity]
    ):
        return  # each of these lines redraws the layer
    layer.feature_defaults = {"polarity": polarity}
    layer.current_face_color, layer.current_border_color = COLOURS[polarity], BORDERS[polarity]
    layer.current_symbol = SYMBOLS[polarity]


def new_shapes(image: Layer) -> Shapes:
    """The layer of boxes, outlines and scribbles; scribbles have a `polarity`."""
    import pandas as pd

    layer = Shapes(
        ndim=image.ndim,
        name="boxes and outlines",
        features=pd.DataFrame({"polarity": pd.Series([], dtype=str)}),
        feature_defaults={"polarity": POSITIVE},
        face_color="transparent",
        edge_color=COLOURS[POSITIVE],
        edge_width=1,
        **spatial(image),
    )
    layer.current_face_color = "transparent"
    layer.current_edge_color = COLOURS[POSITIVE]
    return layer


def new_candidate(image: Layer, plane: Plane) -> Labels:
    """The layer that shows the mask before it is kept; small, and moved to wherever the mask is."""
    from napari.utils import DirectLabelColormap

    return Labels(
        np.zeros((1,) * len(plane.position), np.uint8),
        name="candidate",
        opacity=0.6,
        colormap=DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", 1: CANDIDATE_COLOUR}),
        **spatial(image, plane.position),
    )


def candidate_data(mask: npt.NDArray[np.bool_], plane: Plane) -> npt.NDArray[np.uint8]:
    """A mask (h, w) of a plane as data of as many axes as the layer's, one pixel thick."""
    flat = mask if plane.axes[0] < plane.axes[1] else mask.T
    shape = [1] * len(plane.position)
    shape[min(plane.axes)], shape[max(plane.axes)] = flat.shape
    return np.ascontiguousarray(flat, np.uint8).reshape(shape)
