"""Images are encoded once."""

import numpy as np
from fake_network import wand_segmenter

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
