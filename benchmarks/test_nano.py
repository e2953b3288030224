"""How long `nano` takes on this machine, through the public API: `make bench`.

Sizes are those a user meets: the photo is encoded from an array, masks are brought to its full resolution.
"""

from importlib import resources

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

import lightsam_plugins as ls


@pytest.fixture(scope="module")
def photo() -> npt.NDArray[np.uint8]:
    """A photo that ships with the package, as (H, W, 3) RGB."""
    file = resources.files("lightsam_plugins") / "assets" / "coffee.jpg"
    with file.open("rb") as stream, Image.open(stream) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def model() -> ls.Segmenter:
    """`nano` on the CPU."""
    return ls.load("nano", device="cpu")


@pytest.fixture(scope="module")
def embedding(model: ls.Segmenter, photo: npt.NDArray[np.uint8]) -> ls.Embedding:
    """The photo, encoded."""
    return model.embed(photo)


def grid_of_boxes(image: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.float32]:
    """Boxes (side * side, 4) that divide the image, in pixels."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:side, :side].reshape(2, -1)
    boxes = np.stack([x, y, x + 1, y + 1], 1) * [width, height, width, height]
    return (boxes / side).astype(np.float32)


def test_embed(benchmark: BenchmarkFixture, model: ls.Segmenter, photo: npt.NDArray[np.uint8]) -> None:
    """One photo: resize, normalise, encode."""
    benchmark(model.embed, photo)


@pytest.mark.parametrize("side", [1, 4], ids=["1 box", "16 boxes"])
def test_boxes(
    benchmark: BenchmarkFixture,
    model: ls.Segmenter,
    photo: npt.NDArray[np.uint8],
    embedding: ls.Embedding,
    side: int,
) -> None:
    """Boxes on an encoded photo, up to boolean crops at full resolution."""
    boxes = grid_of_boxes(photo, side)

    crops = benchmark(lambda: model.segment(embedding, boxes=boxes).crops())
    assert len(crops) == len(boxes)
