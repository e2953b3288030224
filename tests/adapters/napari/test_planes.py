"""Any plane of any layer reaches the core, and coordinates find their way there and back."""

import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from discs import CASES, look_at, plane, stack, volume
from napari.components import ViewerModel
from napari.layers import Image, Labels

from lightsam_napari.layers import candidate_data, moved, new_labels, new_points, new_shapes
from lightsam_napari.pixels import Channel, channels, picture
from lightsam_napari.planes import Plane, level_zero, shown_plane
from lightsam_plugins.errors import ImageError

CUBE, TALL = np.zeros((9, 9, 9)), np.zeros((90, 9, 9))
SPATIAL = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


@pytest.mark.parametrize("name", CASES)
def test_the_plane_shows_the_disc_at_its_place(name: str, tmp_path: Path) -> None:
    """In every kind of image the pixels of the shown plane are bright around the disc's centre and dark beyond."""
    case = CASES[name]
    viewer, image = case.open(tmp_path)

    shown = picture([image], viewer.dims, "as shown")
    pixels = shown.read()
    x, y = shown.plane.to_xy(image.world_to_data(image.data_to_world(case.centre)))[0]
    row, column = int(y), int(x)

    assert pixels.shape == (*shown.plane.shape, 3)
    assert pixels.dtype == np.uint8
    assert pixels[row, column].min() > 200
    assert pixels[row, max(column - 30, 0)].max() < 100


@pytest.mark.parametrize("name", CASES)
def test_coordinates_go_there_and_back(name: str, tmp_path: Path) -> None:
    """World to plane to world is the identity, and a plane's own pixels are found in the data by its index."""
    viewer, image = CASES[name].open(tmp_path)
    shown = shown_plane(image, viewer.dims)
    xy = np.array([[0.5, 0.5], [17.5, 3.5]])

    data = shown.to_data(xy)

    np.testing.assert_allclose(shown.to_xy(data), xy)
    np.testing.assert_allclose(image.world_to_data(image.data_to_world(data[1])), data[1], atol=1e-9)
    assert shown.holds(data).all()
    pixel = np.asarray(picture([image], viewer.dims, "as shown").read())[3, 17]
    index = shown.index(np.array([3]), np.array([17]))
    assert [int(axis[0]) for axis in index] == [int(v) for v in data[1]]
    assert pixel.shape == (3,)


def test_pixel_centres_are_half_a_pixel_apart() -> None:
    """napari's centre of the first pixel, (0, 0), is the core's (0.5, 0.5)."""
    assert Plane((0, 1), (0, 0), (5, 5)).to_xy([[0, 0]]).tolist() == [[0.5, 0.5]]


def test_a_view_along_another_axis_is_that_plane() -> None:
    """XZ and YZ views read the plane as it lies on the screen, rows first."""
    viewer = ViewerModel()
    image = viewer.add_image(volume())
    viewer.dims.order = (1, 2, 0)
    look_at(viewer, image, (30, 50, 90))

    shown = picture([image], viewer.dims, "as shown")

    assert shown.plane.axes == (2, 0)
    expected = image.data[:, 50, :].T > 0.5
    assert ((shown.read()[..., 0] > 128) == expected).all()


def test_only_the_plane_is_computed() -> None:
    """Of a lazy stack one chunk is read, the one that is shown."""
    read: list[int] = []

    def make(block_id: tuple[int, ...] = (0, 0, 0)) -> np.ndarray:
        read.append(block_id[0])
        return plane()[None]

    lazy = da.map_blocks(make, chunks=((1,) * 5, (120,), (160,)), dtype="f4", meta=np.zeros((0, 0, 0), "f4"))
    viewer = ViewerModel()
    image = viewer.add_image(lazy, contrast_limits=(0, 1))
    viewer.dims.set_point(0, 3)
    shown = picture([image], viewer.dims, "as shown")
    read.clear()

    shown.read()
    assert read == [3]


def test_percentiles_see_what_contrast_limits_hide() -> None:
    """With percentiles a 12-bit image with one hot pixel fills the range; NaN alone is black."""
    values = (plane() * 400).astype(np.float32)
    values[0, 0] = 60000
    viewer = ViewerModel()
    image = viewer.add_image(values)

    assert picture([image], viewer.dims, "as shown").read()[50, 90, 0] < 5
    assert picture([image], viewer.dims, "percentiles").read()[50, 90, 0] > 240
    image.data = np.full((9, 9), np.nan, np.float32)
    assert picture([image], viewer.dims, "percentiles").read().max() == 0


def test_channels_are_mixed_in_their_colours() -> None:
    """Two layers, red and green, are added: where both are bright it is yellow."""
    viewer = ViewerModel()
    red = viewer.add_image(np.eye(4, dtype=np.float32), colormap="red", blending="additive")
    green = viewer.add_image(np.ones((4, 4), np.float32), colormap="green", contrast_limits=(0, 1))

    mixed = picture([red, green], viewer.dims, "as shown").read()

    assert mixed[0, 0].tolist() == [255, 255, 0]
    assert mixed[0, 1].tolist() == [0, 255, 0]
    odd = viewer.add_image(np.ones((4, 5), np.float32))
    with pytest.raises(ImageError, match="layers of a mix have different shapes: expected all"):
        picture([red, odd], viewer.dims, "as shown")


@pytest.mark.parametrize(
    "placed", [{"scale": (2, 2)}, {"translate": (0, 1)}, {"rotate": 3}, {"units": ("um", "um")}]
)
def test_channels_that_lie_elsewhere_are_refused(placed: dict[str, object]) -> None:
    """A visible image of the same shape at another place cannot be mixed; hidden, or in its place, it can."""
    viewer = ViewerModel()
    image = viewer.add_image(np.eye(4), name="dna")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of napari, of units that differ
        other = viewer.add_image(np.eye(4), name="actin", **placed)
    with pytest.raises(
        ImageError, match=r"channel 'actin' does not lie on 'dna': expected the same .* Hide it, or"
    ):
        channels(image, viewer.layers)
    other.visible = False
    assert channels(image, viewer.layers) == [image]
    same = viewer.add_image(np.eye(4))
    assert channels(image, viewer.layers) == [image, same]


def test_the_key_tells_pictures_apart() -> None:
    """The key changes with slice, contrast limits and version, and with nothing else."""
    viewer = ViewerModel()
    image = viewer.add_image(stack())
    image.contrast_limits = (0, 1)

    def key(**versions: int) -> object:
        return picture([image], viewer.dims, "as shown", {image: versions.get("version", 0)}).key

    first = key()
    assert key() == first
    assert key(version=1) != first
    image.name = "renamed"
    assert key() == first
    image.contrast_limits = (0, 0.5)
    assert key() != first
    second = key()
    viewer.dims.set_point(0, 4)
    assert key() != second


@pytest.mark.parametrize(
    ("data", "prepare", "message"),
    [
        (stack(), lambda v: setattr(v.dims, "ndisplay", 3), "need a flat view: expected two dimensions shown, got 3"),
        (plane(), lambda v: (v.add_image(CUBE), setattr(v.dims, "order", (1, 0, 2))), "has no plane along"),
        (stack(), lambda v: (v.add_image(TALL), v.dims.set_point(0, 50)), "does not reach to this slice"),
    ],
)  # fmt: skip
def test_views_without_a_plane_say_so(data: np.ndarray, prepare: object, message: str) -> None:
    """Three dimensions, other axes and slices outside of the layer are errors that name the next step."""
    viewer = ViewerModel()
    image = viewer.add_image(data, name="image")
    prepare(viewer)

    with pytest.raises(ImageError, match=message):
        shown_plane(image, viewer.dims)


def test_pixels_that_are_no_numbers_are_refused() -> None:
    """Complex values have no brightness."""
    channel = Channel(np.zeros((3, 3), complex), Plane((0, 1), (0, 0), (3, 3)), False, (0, 1), None)

    with pytest.raises(
        ImageError, match="pixels of this type cannot be shown: expected numbers, got complex128"
    ):
        channel.picture()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("shape", [(0, 7), (3, 0, 7)])
def test_napari_makes_no_image_without_pixels(shape: tuple[int, ...]) -> None:
    """An image of size zero is refused by napari itself, so that no plane without pixels can be shown."""
    with pytest.raises(ValueError, match="cannot convert float NaN to integer"):
        Image(np.zeros(shape), contrast_limits=(0, 1))


def test_one_pixel_is_an_image() -> None:
    """An image of 1 x 1 has a plane and a picture."""
    viewer = ViewerModel()
    image = viewer.add_image(np.ones((1, 1)))

    assert picture([image], viewer.dims, "percentiles").read().shape == (1, 1, 3)


@pytest.mark.parametrize("name", CASES)
def test_new_layers_lie_on_the_image(name: str, tmp_path: Path) -> None:
    """Labels, clicks and shapes have all seven spatial properties of the image, and are empty."""
    _, image = CASES[name].open(tmp_path)

    for layer in (new_labels(image), new_points(image), new_shapes(image)):
        assert layer.ndim == image.ndim
        for field in SPATIAL:
            mine, its = getattr(layer, field), getattr(image, field)
            np.testing.assert_array_equal(np.asarray(mine), np.asarray(its), err_msg=field)
    assert new_labels(image).data.shape == level_zero(image).shape[: image.ndim]


@pytest.mark.parametrize("name", CASES)
def test_a_crop_lies_where_its_pixels_are(name: str, tmp_path: Path) -> None:
    """A small layer moved to a corner of the plane covers the same places of the world as those pixels."""
    viewer, image = CASES[name].open(tmp_path)
    shown = shown_plane(image, viewer.dims)
    corner = shown.to_data([[4.5, 7.5]])[0]

    small = Labels(candidate_data(np.ones((2, 3), bool), shown), scale=image.scale, rotate=image.rotate,
                   shear=image.shear, affine=image.affine, translate=moved(image, corner))  # fmt: skip

    inside = [0] * image.ndim
    inside[shown.axes[0]], inside[shown.axes[1]] = 1, 2
    np.testing.assert_allclose(
        small.data_to_world(inside), image.data_to_world(corner + np.array(inside)), atol=1e-9
    )
