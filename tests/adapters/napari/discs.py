"""Images of every kind with a bright disc in them, whose mask is therefore known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import zarr
from napari.components import ViewerModel
from napari.layers import Image

RADIUS = 22


def plane(rows: int = 120, columns: int = 160, row: int = 50, column: int = 90) -> np.ndarray:
    """A disc of 1 on a ground of 0.2 with a weak texture, (rows, columns) float32."""
    r, c = np.mgrid[:rows, :columns]
    texture = 0.02 * np.sin(r / 3) * np.cos(c / 4)
    return (np.where(np.hypot(r - row, c - column) < RADIUS, 0.9, 0.2) + texture).astype(np.float32)


def two_discs() -> np.ndarray:
    """Discs around (50, 40) and (50, 110), (120, 160)."""
    return np.maximum(plane(column=40), plane(column=110))


def rectangle(row0: float, column0: float, row1: float, column1: float) -> np.ndarray:
    """The four corners of a box in data coordinates."""
    return np.array([[row0, column0], [row0, column1], [row1, column1], [row1, column0]])


def stack(depth: int = 5, at: int = 2) -> np.ndarray:
    """Planes without a disc but one, (depth, 120, 160) float32."""
    planes = np.full((depth, 120, 160), 0.2, np.float32)
    planes[at] = plane()
    return planes


def volume() -> np.ndarray:
    """A bright ball of radius 22 in a dark volume (60, 120, 160), centre at (30, 50, 90)."""
    z, r, c = np.mgrid[:60, :120, :160]
    return np.where((z - 30) ** 2 + (r - 50) ** 2 + (c - 90) ** 2 < RADIUS**2, 0.9, 0.2).astype(np.float32)


@dataclass
class Case:
    """One kind of image and view.

    Args:
        data: Makes the data, in a folder for files.
        layer: Arguments of the layer.
        centre: Data coordinates of the middle of the disc.
        order: Order of the axes of the viewer; None as they are.
    """

    data: Callable[[Path], Any]
    layer: dict[str, Any] = field(default_factory=dict)
    centre: tuple[float, ...] = (50, 90)
    order: tuple[int, ...] | None = None

    def open(self, folder: Path) -> tuple[ViewerModel, Image]:
        """A viewer without a window that shows the plane with the disc."""
        viewer = ViewerModel()
        image = viewer.add_image(self.data(folder), name="image", **self.layer)
        if self.order is not None:
            viewer.dims.order = self.order
        look_at(viewer, image, self.centre)
        return viewer, image


def look_at(viewer: ViewerModel, image: Image, centre: tuple[float, ...]) -> None:
    """Move the sliders to the slice of a place in the image."""
    world = image.data_to_world(centre)
    for axis in viewer.dims.not_displayed:
        viewer.dims.set_point(axis, world[axis - (viewer.dims.ndim - image.ndim)])


def with_nan() -> np.ndarray:
    """A plane of large floats with holes of NaN and one infinity."""
    values = plane() * 1000
    values[:5, :5], values[0, 100] = np.nan, np.inf
    return values


def on_disk(folder: Path) -> Any:
    """A stack in a zarr array."""
    array = zarr.create_array(folder / "stack.zarr", shape=(5, 120, 160), chunks=(1, 120, 160), dtype="f4")
    array[:] = stack()
    return array


def pyramid() -> list[Any]:
    """Two levels of a lazy plane."""
    whole = da.from_array(plane(), chunks=64)
    return [whole, whole[::2, ::2]]


MIDDLE = (2, 50, 90)
CASES = {
    "2d": Case(lambda _: plane()),
    "3d": Case(lambda _: stack(), centre=MIDDLE),
    "4d": Case(lambda _: np.stack([stack(at=0), stack()]), centre=(1, 2, 50, 90)),
    "rgb": Case(lambda _: (np.stack([plane()] * 3, -1) * 255).astype(np.uint8), {"rgb": True}),
    "rgb stack": Case(
        lambda _: (np.stack([stack()] * 3, -1) * 255).astype(np.uint8), {"rgb": True}, centre=MIDDLE
    ),
    "uint8": Case(lambda _: (plane() * 255).astype(np.uint8)),
    "uint16, 12 bits": Case(lambda _: (plane() * 4095).astype(np.uint16)),
    "int32, negative": Case(lambda _: (plane() * 5000 - 9000).astype(np.int32)),
    "bool": Case(lambda _: plane() > 0.5),
    "float with NaN": Case(lambda _: with_nan(), {"contrast_limits": (0, 1000)}),
    "scaled": Case(lambda _: stack(), {"scale": (4, 0.5, 0.25)}, centre=MIDDLE),
    "translated": Case(lambda _: plane(), {"translate": (-300, 77.7)}),
    "rotated": Case(lambda _: plane(), {"rotate": 30, "scale": (2, 3)}),
    "sheared": Case(lambda _: plane(), {"shear": [0.4]}),
    "affine": Case(lambda _: plane(), {"affine": [[0, 2, 5], [-2, 0, 7], [0, 0, 1]]}),
    "units": Case(lambda _: plane(), {"units": ("um", "um"), "scale": (0.1, 0.1), "axis_labels": ("y", "x")}),
    "xz": Case(lambda _: volume(), {"scale": (2, 1, 1)}, centre=(30, 50, 90), order=(1, 0, 2)),
    "yz": Case(lambda _: volume(), centre=(30, 50, 90), order=(2, 0, 1)),
    "transposed": Case(lambda _: volume(), centre=(30, 50, 90), order=(0, 2, 1)),
    "dask": Case(lambda _: da.from_array(stack(), chunks=(1, 60, 60)), centre=MIDDLE),
    "zarr": Case(on_disk, centre=MIDDLE),
    "multiscale": Case(lambda _: pyramid(), {"contrast_limits": (0, 1)}),
}


def disc(image: Image, case: Case) -> np.ndarray:
    """The true mask, of the shape of the image's data without colours."""
    from lightsam_napari.planes import level_zero

    grid = np.indices(level_zero(image).shape[: image.ndim])
    centre = np.reshape(case.centre, (-1, *[1] * image.ndim))
    inside = np.sqrt(((grid - centre) ** 2)[-2:].sum(0) if image.ndim < 3 else ((grid - centre) ** 2).sum(0))
    return inside < RADIUS


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boolean arrays."""
    return float((a & b).sum() / (a | b).sum())
