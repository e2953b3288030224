"""Views of natural photos, and photos in which things stand in front of things: cut-outs pasted over them.

There are few photos with masks. Their own objects, pasted over one another, make many, and leave what lies behind in
several parts: a chair behind a person stays one object.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from training.scenes import Sample, paste, photo_cutout, pick_object, recolour, strokes
from training.sources import Labels, Sources, UInt8

VISIBLE = 0.3  # of an object; one that is covered further is no longer asked for


def square(image: UInt8, labels: Labels, size: int) -> tuple[UInt8, Labels]:
    """Fit into the square, longest side first, padded with the image's mean colour at the right or bottom."""
    scale = size / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    out = np.empty((size, size, 3), np.uint8)
    out[:] = (124, 116, 104)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out[:height, :width] = cv2.resize(image, (width, height), interpolation=method)
    target = np.zeros((size, size), np.int32)
    target[:height, :width] = cv2.resize(
        labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST
    )
    return out, target


def crop(image: UInt8, labels: Labels, rng: Generator, low: float) -> tuple[UInt8, Labels]:
    """A random window of `low` to 1 of each side."""
    spans = []
    for side in image.shape[:2]:
        length = max(16, int(side * rng.uniform(low, 1)))
        start = int(rng.integers(0, max(side - length, 0) + 1))
        spans.append(slice(start, start + length))
    return image[spans[0], spans[1]], labels[spans[0], spans[1]]


def labelled_photo(sources: Sources, rng: Generator) -> tuple[UInt8, Labels]:
    """A random photo with its objects as a label map; photos with many objects come more often."""
    names = sources.names("coco_clean")
    weights = np.array([min(sources.object_count(name), 6) for name in names], float) ** 0.5
    image, masks = sources.photo(names[rng.choice(len(names), p=weights / weights.sum())])
    labels = np.zeros(image.shape[:2], np.int32)
    for label, mask in enumerate(masks, 1):
        labels[mask > 0] = label
    return image, labels


def window_around(image: UInt8, labels: Labels, rng: Generator) -> tuple[UInt8, Labels]:
    """A window around a random object, 1.2 to 6 times as large as it is, so that each is seen at many scales."""
    present = np.unique(labels[labels > 0])
    if not len(present):
        return image, labels
    places = np.nonzero(labels == rng.choice(present))
    side = max(*(np.ptp(cells) for cells in places), 40) * np.exp(rng.uniform(np.log(1.2), np.log(6)))
    spans = []
    for cells, extent in zip(places, image.shape[:2], strict=True):
        length = int(np.clip(side * rng.uniform(0.8, 1.25), np.ptp(cells) + 1, extent))
        low, high = max(0, int(cells.max()) + 1 - length), min(int(cells.min()), extent - length)
        start = int(rng.integers(low, high + 1))
        spans.append(slice(start, start + length))
    return image[spans[0], spans[1]], labels[spans[0], spans[1]]


def photo(sources: Sources, rng: Generator, size: int) -> Sample:
    """A natural photo with its annotated objects: whole, a window around one of them, or any window."""
    image, labels = labelled_photo(sources, rng)
    kind = rng.random()
    if kind < 0.5:
        image, labels = window_around(image, labels, rng)
    elif kind < 0.7:
        image, labels = crop(image, labels, rng, 0.35)
    return Sample(*square(image, labels, size), complete=False)


def collage(sources: Sources, rng: Generator, size: int) -> Sample:
    """A photo with one to four things in front; objects of which too little is left are no longer labelled."""
    sample = photo(sources, rng, size)
    first = int(sample.labels.max()) + 1
    count = int(rng.integers(1, 5))
    whole = np.bincount(sample.labels.ravel(), minlength=first + count)
    for label in range(first, first + count):
        in_front(sample, sources, rng, label)
        whole[label] = (sample.labels == label).sum()
    left = np.bincount(sample.labels.ravel(), minlength=first + count)
    seen = left >= VISIBLE * whole
    return Sample(sample.image, np.where(seen[sample.labels], sample.labels, 0), complete=False)


def in_front(sample: Sample, sources: Sources, rng: Generator, label: int) -> None:
    """Paste one thing over the sample, mostly over a labelled object; in place."""
    size = sample.labels.shape[0]
    kind = rng.random()
    cut = photo_cutout(sources, rng) if kind < 0.6 else strokes(sources, rng, size) if kind < 0.75 else None
    if cut is None:
        cut = pick_object(sources, rng, size)
    cut = np.dstack([recolour(cut[..., :3], rng, 0.25), cut[..., 3]])
    ids = np.unique(sample.labels[sample.labels > 0])
    centre, extent = rng.uniform(0.1, 0.9, 2) * size, 0.5 * size
    if len(ids) and rng.random() < 0.75:
        rows, columns = np.nonzero(sample.labels == rng.choice(ids))
        spot = rng.integers(len(rows))
        centre, extent = np.array([columns[spot], rows[spot]], float), max(np.ptp(rows), np.ptp(columns), 20)
    side = min(extent * np.exp(rng.uniform(np.log(0.35), np.log(1.4))), 0.8 * size)
    paste(sample, cut, rng, label, side, (float(centre[0]), float(centre[1])))
