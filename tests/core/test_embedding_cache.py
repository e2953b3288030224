"""Images are encoded once."""

from pathlib import Path

import numpy as np
import pytest
from fake_network import wand_segmenter
from PIL import Image

from lightsam_plugins import ImageError
from lightsam_plugins.embedding_cache import EmbeddingCache


def pictures(count: int) -> list[np.ndarray]:
    """Images that differ in one value."""
    return [np.full((20 + row % 2, 30, 3), row, np.uint8) for row in range(count)]


def test_what_was_encoded_is_found_by_its_pixels() -> None:
    """The same pixels, in any array and several times in one call, are encoded once, and answers keep their order."""
    model = wand_segmenter()
    cache = EmbeddingCache(model)
    first, second, third = pictures(3)
    answers = cache.embed([first, second, first.copy(), np.asfortranarray(second)])
    again = cache.embed([third, first])

    assert model._runner.module.encoded == [2, 1]
    assert answers[0] is answers[2] is again[1]
    assert answers[1] is answers[3]
    assert answers[1].size == second.shape[:2]
    assert (again[0].features["image"][0, :, 0, 0] == 2).all()


def test_an_array_that_was_changed_is_encoded_again() -> None:
    """Pixels count, not the identity of the array; and neither is the same data in another shape the same image."""
    model = wand_segmenter()
    cache = EmbeddingCache(model)
    (image,) = pictures(1)
    cache.embed([image])
    image[0, 0, 0] = 9
    cache.embed([image])
    cache.embed([image.reshape(30, 20, 3)])

    assert model._runner.module.encoded == [1, 1, 1]


def test_the_oldest_goes_first() -> None:
    """No more than `size` embeddings are kept, and one that was asked for is new again."""
    model = wand_segmenter()
    cache = EmbeddingCache(model, size=2)
    first, second, third = pictures(3)
    for image in (first, second, first, third, first, second):
        cache.embed([image])

    assert len(cache) == 2
    assert model._runner.module.encoded == [1, 1, 1, 1]
    assert len(cache.embed(pictures(5))) == 5
    assert len(cache) == 2


def test_a_file_is_read_once_until_it_is_written_anew(tmp_path: Path) -> None:
    """A file is encoded once, again when its content changes, and one that is missing is an error each time."""
    model = wand_segmenter()
    cache = EmbeddingCache(model)
    first, second = pictures(2)
    path = tmp_path / "photo.png"
    with pytest.raises(ImageError, match="photo.png"):
        cache.embed_file(path)
    Image.fromarray(first).save(path)
    one, again = cache.embed_file(path), cache.embed_file(str(path))
    Image.fromarray(second).save(path)
    other = cache.embed_file(path)

    assert one is again
    assert (one.size, other.size) == (first.shape[:2], second.shape[:2])
    assert model._runner.module.encoded == [1, 1]
