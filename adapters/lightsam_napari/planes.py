"""The 2D plane of a layer that a viewer shows, and coordinates between it, the layer and the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import ImageError

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image, Layer

Coordinates = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of the data of a layer, as it lies on the screen.

    Data coordinates are napari's: whole numbers at the centres of pixels, one an axis, colours left out. Plane
    coordinates are the core's: ``(x, y)`` in pixels, whole numbers at the corners of pixels.

    Args:
        axes: The axis of the data that runs down the screen, and the one that runs right.
        position: Index along each axis; 0 along the two shown ones.
        shape: (rows, columns) in pixels.
    """

    axes: tuple[int, int]
    position: tuple[int, ...]
    shape: tuple[int, int]

    @property
    def hidden(self) -> list[int]:
        """The axes that are not shown."""
        return [axis for axis in range(len(self.position)) if axis not in self.axes]

    def to_xy(self, data: npt.ArrayLike) -> Coordinates:
        """(N, 2) plane coordinates of (N, D) data coordinates; how far they are from the plane is left out."""
        points = np.asarray(data, float).reshape(-1, len(self.position))
        return points[:, [self.axes[1], self.axes[0]]] + 0.5

    def to_data(self, xy: npt.ArrayLike) -> Coordinates:
        """(N, D) data coordinates of (N, 2) plane coordinates."""
        points = np.asarray(xy, float).reshape(-1, 2) - 0.5
        data = np.tile(np.array(self.position, float), (len(points), 1))
        data[:, [self.axes[1], self.axes[0]]] = points
        return data

    def holds(self, data: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """(N,) which of (N, D) data coordinates lie in this plane: nearest to it along each hidden axis."""
        points = np.asarray(data, float).reshape(-1, len(self.position))
        hidden = self.hidden
        return np.asarray((np.rint(points[:, hidden]) == np.array(self.position)[hidden]).all(axis=1))

    def index(self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> tuple[Any, ...]:
        """The index into the data of some of the plane's pixels: one array (N,) an axis."""
        index = [np.full(len(rows), place, np.intp) for place in self.position]
        index[self.axes[0]], index[self.axes[1]] = rows, columns
        return tuple(index)

    def read(self, data: Any, window: tuple[slice, slice] = (slice(None), slice(None))) -> npt.NDArray[Any]:
        """The pixels of the plane or of a window of it, and nothing else of the data.

        Args:
            data: Anything that can be indexed: numpy, dask, zarr, xarray.
            window: Rows and columns.

        Returns:
            (rows, columns), or (rows, columns, channels) of colours.
        """
        index: list[int | slice] = list(self.position)
        index[self.axes[0]], index[self.axes[1]] = window
        pixels = np.asarray(data[tuple(index)])
        return pixels if self.axes[0] < self.axes[1] else pixels.swapaxes(0, 1)


def shown_plane(layer: Layer, dims: Dims) -> Plane:
    """The plane of a layer that a viewer shows.

    Args:
        layer: Of any number of dimensions, under any transform.
        dims: Those of the viewer.

    Raises:
        ImageError: There is none: three dimensions are shown, one of the shown axes is not in the layer, or the slider
            is outside of it. (A layer without pixels cannot be: napari makes none.)
    """
    if dims.ndisplay != 2:
        raise ImageError(
            "clicks and boxes need a flat view", expected="two dimensions shown", got=f"{dims.ndisplay}",
            hint="Press Ctrl-Y, or the cube below the list of layers.",
        )  # fmt: skip
    offset = dims.ndim - layer.ndim
    row_axis, column_axis = (axis - offset for axis in dims.displayed)
    if min(row_axis, column_axis) < 0:
        raise ImageError(
            f"{layer.name!r} has no plane along the axes that are shown",
            expected=f"both of its last {layer.ndim} axes",
            got=f"axes {tuple(dims.displayed)} of {dims.ndim}",
            hint="Roll the axes (Ctrl-E) until the image is seen.",
        )
    sizes = level_zero(layer).shape[: layer.ndim]
    where = layer.world_to_data(dims.point)
    hidden = [axis for axis in range(layer.ndim) if axis not in (row_axis, column_axis)]
    position = [0] * layer.ndim
    for axis in hidden:
        position[axis] = int(np.rint(where[axis]))
        if not 0 <= position[axis] < sizes[axis]:
            raise ImageError(
                f"{layer.name!r} does not reach to this slice",
                expected=f"0..{sizes[axis] - 1} along its axis {axis}",
                got=str(position[axis]),
                hint="Move the slider.",
            )
    shape = (int(sizes[row_axis]), int(sizes[column_axis]))
    return Plane((row_axis, column_axis), tuple(position), shape)


def level_zero(layer: Image | Layer) -> Any:
    """The data of a layer at full resolution."""
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data
