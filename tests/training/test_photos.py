"""Views of photos and photos with things in front, on a made-up photo; the pool's share of photos; pretended boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from training import photos, scenes
from training.augment import Pool
from training.holdout import overlap, pretended_boxes
from training.photos import VISIBLE, collage, window_around
from training.sources import Sources


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A photo of noise with two objects, 60 x 40 and 20 x 20 pixels."""
    labels = np.zeros((240, 320), np.int32)
    labels[100:140, 50:110], labels[30:50, 200:220] = 1, 2
    return np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8), labels


class OnePhoto:
    """Sources of one photo and one texture."""

    textures = (Path("texture"),)

    def names(self, folder: str) -> list[int]:
        return [7]

    def object_count(self, name: int) -> int:
        return 2

    def photo(self, name: int) -> tuple[np.ndarray, list[np.ndarray]]:
        image, labels = scene()
        return image, [(labels == value).astype(np.uint8) for value in (1, 2)]


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    """Cut-outs are squares of the photo; textures are flat."""
    monkeypatch.setattr(scenes, "read_texture", lambda path: np.full((128, 128, 3), 90, np.uint8))
    monkeypatch.setattr(photos, "pick_object", lambda *rest: np.full((40, 30, 4), 255, np.uint8))
    return cast("Sources", OnePhoto())


@pytest.mark.parametrize("seed", range(8))
def test_a_window_holds_a_whole_object(seed: int) -> None:
    """At least one of the objects is inside the window with all its pixels, and labels stay on their pixels."""
    image, labels = scene()

    seen, marked = window_around(image, labels, np.random.default_rng(seed))

    whole = [value for value in (1, 2) if (marked == value).sum() == (labels == value).sum()]
    assert whole
    for value in whole:
        assert (seen[marked == value] == image[labels == value]).all()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_covered_too_far_is_not_asked_for(
    sources: Sources, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each object of a collage has at least the share of its pixels that must be visible, and new ones are labelled."""
    whole: dict[int, int] = {}
    real = photos.in_front

    def in_front(sample: Any, *rest: Any) -> None:
        if not whole:
            values, counts = np.unique(sample.labels, return_counts=True)
            whole.update(zip(values.tolist(), counts.tolist(), strict=True))
        real(sample, *rest)
        label = rest[-1]
        whole[label] = int((sample.labels == label).sum())

    monkeypatch.setattr(photos, "in_front", in_front)
    made = collage(sources, np.random.default_rng(seed), 128)

    values, counts = np.unique(made.labels[made.labels > 0], return_counts=True)
    assert not made.complete
    assert all(count >= VISIBLE * whole[value] for value, count in zip(values, counts, strict=True))
    assert max(whole) in values or whole[max(whole)] == 0  # what was pasted last hides behind nothing


def test_strokes_are_thin(sources: Sources) -> None:
    """Most of the square they are drawn in is left free, yet something is there."""
    shares = [
        (scenes.strokes(sources, np.random.default_rng(seed), 96)[..., 3] > 127).mean() for seed in range(20)
    ]

    assert all(0.003 < share < 0.6 for share in shares)
    assert np.median(shares) < 0.25


def test_photos_come_as_often_as_asked_and_stay_upright(tmp_path: Path) -> None:
    """Of a pool with one photo in ten, six views in ten show it where that is asked, and its sky is mostly above."""
    images = np.zeros((10, 64, 64, 3), np.uint8)
    images[:, :32] = 200  # bright above
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.zeros((10, 64, 64), np.uint8))
    np.save(tmp_path / "complete.npy", np.arange(10) > 0)

    drawn = [Pool(tmp_path, seed, 0.6).batch(10, 64) for seed in range(8)]

    assert 0.45 < np.mean([not whole for batch in drawn for whole in batch.complete]) < 0.75
    plain = [not whole for seed in range(2) for whole in Pool(tmp_path, seed).batch(10, 64).complete]
    assert np.mean(plain) == pytest.approx(0.1)
    above = {True: [], False: []}  # type: dict[bool, list[bool]]
    for batch in drawn:
        for image, whole in zip(batch.images, batch.complete, strict=True):
            rows, columns = (image.mean(0).diff(dim=axis).abs().mean() for axis in (0, 1))
            above[bool(whole)].append(bool(rows > columns))
    assert np.mean(above[False]) > 0.75 > np.mean(above[True])
    assert torch.isfinite(drawn[0].images).all()


def test_pretended_boxes_lie_in_their_image_and_know_how_good_they_are() -> None:
    """Two boxes an object, inside the image; the score of the moved one is its IoU, a random one has at most 0.5."""
    images = [{"id": 3, "width": 100, "height": 80}]
    annotations = [{"image_id": 3, "bbox": [10, 20, 30, 40]}, {"image_id": 3, "bbox": [60, 5, 40, 10]}]

    found = pretended_boxes(images, annotations)

    assert len(found) == 4
    for row in found:
        x, y, width, height = row["bbox"]
        assert x >= 0
        assert y >= 0
        assert 0 < x + width <= 100.01
        assert 0 < y + height <= 80.01
    for one, row in zip(annotations, found[::2], strict=True):
        true, moved = (np.array([x, y, x + w, y + h]) for x, y, w, h in (one["bbox"], row["bbox"]))
        assert row["score"] == pytest.approx(overlap(moved, true), abs=0.01)
    assert all(row["score"] <= 0.5 for row in found[1::2])
    assert overlap(np.array([0, 0, 2, 2]), np.array([1, 0, 3, 2])) == pytest.approx(1 / 3)
