"""Synthetic scenes with exact masks: composites of cut-outs on textures, and packed grains, cells and coins."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from training.microscope import cytoplasm, other_microscope, smooth_noise
from training.sources import Labels, Sources, UInt8, read_cutout, read_rgb, read_texture

MAX_OBJECTS = 60


@dataclass(frozen=True)
class Sample:
    """One training image and its objects.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) int32; 0 is background, 1..n the objects.
        complete: Every object of the image is labelled, so that edges may be learnt from the labels.
    """

    image: UInt8
    labels: Labels
    complete: bool = True


def texture_fill(sources: Sources, rng: Generator, size: int) -> UInt8:
    """A square of a random texture: tiled, scaled, turned and recoloured."""
    tile = read_texture(sources.textures[rng.integers(len(sources.textures))])
    scale = rng.uniform(0.5, 2.5)
    tile = cv2.resize(tile, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    repeats = [int(np.ceil(size / side)) for side in tile.shape[:2]]
    image = np.tile(tile, (repeats[0], repeats[1], 1))[:size, :size]
    return recolour(np.rot90(image, int(rng.integers(4))).copy(), rng, 0.5)


def recolour(image: UInt8, rng: Generator, amount: float) -> UInt8:
    """Random gain, offset and channel mix, as lighting and pigments would."""
    gain = 1 + amount * rng.uniform(-0.8, 0.8) + 0.4 * amount * rng.uniform(-1, 1, 3)
    offset = 90 * amount * rng.uniform(-1, 1) + 30 * amount * rng.uniform(-1, 1, 3)
    out = image.astype(np.float32) * gain + offset
    if rng.random() < amount * 0.5:
        out = out[..., rng.permutation(3)]
    return np.clip(out, 0, 255).astype(np.uint8)


def background(sources: Sources, rng: Generator, size: int) -> UInt8:
    """A texture, a gradient, a garment photo or a natural photo, so that no one of them means 'background'."""
    kind = rng.random()
    if kind < 0.5:
        return texture_fill(sources, rng, size)
    if kind < 0.65:
        field = np.stack([smooth_noise((size, size), rng, int(rng.integers(1, 4))) for _ in range(3)], -1)
        return np.clip(rng.uniform(20, 235, 3) + rng.uniform(2, 40) * field, 0, 255).astype(np.uint8)
    if kind < 0.8 and sources.garments:
        image = read_rgb(sources.garments[rng.integers(len(sources.garments))])
    else:
        names = sources.names("coco_clean")
        image = sources.photo(names[rng.integers(len(names))])[0]
    side = int(min(image.shape[:2]) * rng.uniform(0.4, 1))
    y, x = (rng.integers(0, extent - side + 1) for extent in image.shape[:2])
    crop = cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(1, 5))
    return recolour(crop, rng, 0.25)


def blob(sources: Sources, rng: Generator, size: int) -> UInt8:
    """A smooth random shape filled with a texture, as RGBA."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radius = np.ones_like(angles)
    for order in range(2, rng.integers(3, 9)):
        radius += rng.normal(0, 0.5 / order) * np.cos(order * angles + rng.uniform(0, 6.3))
    radius = np.maximum(radius, 0.15) / radius.max() * size / 2
    ring = np.stack([size / 2 + radius * np.cos(angles), size / 2 + radius * np.sin(angles)], 1)
    alpha = np.zeros((size, size), np.uint8)
    cv2.fillPoly(alpha, [np.round(ring * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    fill = texture_fill(sources, rng, size)
    shade = 1 + rng.uniform(0, 0.35) * smooth_noise((size, size), rng, 2)[..., None]
    return np.dstack([np.clip(fill * shade, 0, 255).astype(np.uint8), alpha])


def strokes(sources: Sources, rng: Generator, size: int) -> UInt8:
    """Something thin, as RGBA: legs, forks, frames; curved strokes that meet in a point, and rings, in one texture."""
    alpha = np.zeros((size, size), np.uint8)
    hub = rng.uniform(0.25, 0.75, 2) * size
    steps = np.linspace(0, 1, 24)[:, None]
    for _ in range(int(rng.integers(1, 6))):
        width = int(size * np.exp(rng.uniform(np.log(0.02), np.log(0.10)))) + 1
        middle, end = (rng.uniform(0.06, 0.94, 2) * size for _ in range(2))
        if rng.random() < 0.25:
            axes = (rng.uniform(0.1, 0.24, 2) * size).astype(int).tolist()
            cv2.ellipse(
                alpha, end.astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, 255, width, cv2.LINE_AA
            )
        line = (1 - steps) ** 2 * hub + 2 * steps * (1 - steps) * middle + steps**2 * end
        cv2.polylines(alpha, [line.astype(np.int32)], False, 255, width, cv2.LINE_AA)
    fill = texture_fill(sources, rng, size)
    if rng.random() < 0.5:
        fill = np.clip(fill * 0.25 + rng.uniform(0, 190, 3), 0, 255).astype(np.uint8)
    return np.dstack([fill, alpha])


def photo_cutout(sources: Sources, rng: Generator) -> UInt8 | None:
    """An annotated object of a natural photo, as RGBA, or None where the photo has none that is large enough."""
    names = sources.names("coco_clean")
    image, masks = sources.photo(names[rng.integers(len(names))])
    masks = [mask for mask in masks if mask.sum() > 2500]
    if not masks:
        return None
    mask = masks[rng.integers(len(masks))]
    rows, columns = np.nonzero(mask)
    window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    soft = cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3), np.uint8))[window] * 255, (0, 0), 1.0)
    return np.dstack([image[window], soft])


def pick_object(sources: Sources, rng: Generator, size: int) -> UInt8:
    """A cut-out of a random kind."""
    kind = rng.random()
    if kind < 0.60:
        cut = read_cutout(sources.cutouts[rng.integers(len(sources.cutouts))])
        if rng.random() < 0.25:
            fill = texture_fill(sources, rng, max(cut.shape[:2]))[: cut.shape[0], : cut.shape[1]]
            cut = np.dstack([cv2.addWeighted(cut[..., :3], 0.5, fill, 0.5, 0), cut[..., 3]])
        return cut
    if kind < 0.74:
        return blob(sources, rng, size)
    if kind < 0.86:
        return strokes(sources, rng, size)
    from_photo = photo_cutout(sources, rng)
    return blob(sources, rng, size) if from_photo is None else from_photo


def paste(
    sample: Sample, cut: UInt8, rng: Generator, label: int, side: float, at: tuple[float, float]
) -> None:
    """Draw a cut-out of longest side `side` centred `at` into the sample, in place; the label map follows alpha."""
    height, width = cut.shape[:2]
    scale = side / max(height, width)
    angle = rng.uniform(-180, 180) if rng.random() < 0.5 else rng.uniform(-15, 15)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    matrix[:, 2] += np.asarray(at) - (width / 2, height / 2)
    size = sample.labels.shape[1], sample.labels.shape[0]
    if scale < 0.7:  # antialias: shrink first, warp afterwards
        cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = cut.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        matrix[:, 2] += np.asarray(at) - (width / 2, height / 2)
    layer = cv2.warpAffine(np.ascontiguousarray(cut), matrix, size, flags=cv2.INTER_LINEAR)
    alpha = layer[..., 3:].astype(np.float32) / 255
    if rng.random() < 0.3:
        shift = np.array([[1, 0, rng.uniform(-8, 8)], [0, 1, rng.uniform(0, 10)]], np.float32)
        shadow = cv2.GaussianBlur(cv2.warpAffine(alpha, shift, size), (0, 0), rng.uniform(2, 8))
        sample.image[:] = sample.image * (1 - rng.uniform(0.2, 0.6) * shadow[..., None])
    colour = layer[..., :3].astype(np.float32)
    sample.image[:] = sample.image * (1 - alpha) + colour * alpha
    sample.labels[alpha[..., 0] > 0.5] = label


def composite(sources: Sources, rng: Generator, size: int) -> Sample:
    """Objects of known outline on a background; often several copies of one object (look-alikes)."""
    if rng.random() < 0.4:
        return cutouts_on_texture(sources, rng, size, apart=bool(rng.random() < 0.6))
    sample = Sample(background(sources, rng, size), np.zeros((size, size), np.int32))
    count = int(rng.integers(1, 7))
    copies = rng.random() < 0.33
    cut = pick_object(sources, rng, size)
    base = rng.uniform(0.12, 0.35) if copies else 0.0
    if copies:
        count = int(rng.integers(3, 10))
    for label in range(1, count + 1):
        if not copies:
            cut = pick_object(sources, rng, size)
        share = base * rng.uniform(0.85, 1.15) if copies else np.exp(rng.uniform(np.log(0.1), np.log(0.85)))
        drawn = (
            cut
            if copies and rng.random() < 0.7
            else np.dstack([recolour(cut[..., :3], rng, 0.4), cut[..., 3]])
        )
        centre = tuple(rng.uniform(0.08, 0.92, 2) * size)
        paste(sample, drawn, rng, label, share * size, centre)
    return Sample(degrade(sample.image, rng), sample.labels)


def cutouts_on_texture(sources: Sources, rng: Generator, size: int, *, apart: bool) -> Sample:
    """Two to four rendered cut-outs on one texture, with shadows and camera faults.

    Args:
        sources: Where cut-outs and textures come from.
        rng: Source of randomness.
        size: Side in pixels.
        apart: Objects keep their distance; otherwise they fall anywhere and hide one another.
    """
    sample = Sample(texture_fill(sources, rng, size), np.zeros((size, size), np.int32))
    placed: list[tuple[np.ndarray, float]] = []
    for label in range(1, int(rng.integers(3, 6))):
        cut = read_cutout(sources.cutouts[rng.integers(len(sources.cutouts))])
        side = rng.uniform(0.15, 0.5) * size
        for _ in range(50):
            centre = rng.uniform(0.15, 0.85, 2) * size
            free = all(np.hypot(*(centre - other)) > 0.5 * (side + near) for other, near in placed)
            if free or not apart:
                paste(sample, cut, rng, label, side, (float(centre[0]), float(centre[1])))
                placed.append((centre, side))
                break
    return Sample(degrade(sample.image, rng), sample.labels)


def packed(sources: Sources, rng: Generator, size: int) -> Sample:
    """Many similar bodies side by side: grains, cells, coins; touching or apart, textured or flat."""
    radius = size * np.exp(rng.uniform(np.log(0.03), np.log(0.14)))
    gap = rng.choice([0.75, 0.95, 1.05, 1.3])
    aspect = rng.choice([1.0, 1.0, 1.4, 2.2])
    centres: list[np.ndarray] = []
    for _ in range(400):
        spot = rng.uniform(-0.05, 1.05, 2) * size
        if all(np.hypot(*(spot - other)) > 2 * radius * gap for other in centres):
            centres.append(spot)
        if len(centres) >= MAX_OBJECTS:
            break
    labels = np.zeros((size, size), np.int32)
    spread = rng.uniform(0, 0.25)
    for label, spot in enumerate(centres, 1):
        long = radius * np.exp(rng.normal(0, spread)) * np.sqrt(aspect)
        axes = (max(long, 2), max(long / aspect * rng.uniform(0.85, 1.15), 2))
        cv2.ellipse(
            labels, (tuple(spot.tolist()), (2 * axes[0], 2 * axes[1]), rng.uniform(0, 180)), label, -1
        )
    if rng.random() < 0.7:
        labels = warp_labels(labels, rng, radius)
    image = render_bodies(sources, rng, labels, radius)
    if rng.random() < 0.4:
        image = other_microscope(image, rng)
    return Sample(degrade(image, rng), labels)


def warp_labels(labels: Labels, rng: Generator, radius: float) -> Labels:
    """The label map under a smooth random displacement of up to about a third of a radius."""
    size = labels.shape[0]
    cells = int(np.clip(size / radius, 4, 24))
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    amount = rng.uniform(0.05, 0.3) * radius
    dx, dy = (np.float32(amount) * smooth_noise((size, size), rng, cells) for _ in range(2))
    return cv2.remap(labels.astype(np.float32), x + dx, y + dy, cv2.INTER_NEAREST).astype(np.int32)


def render_bodies(sources: Sources, rng: Generator, labels: Labels, radius: float) -> UInt8:
    """Paint a label map: one fill for all bodies, varied a little a body, with rim, dome shading and relief."""
    size = labels.shape[0]
    image = background(sources, rng, size).astype(np.float32)
    if rng.random() < 0.3:
        image = cytoplasm(image, labels, rng, radius)
    inside = labels > 0
    fill = texture_fill(sources, rng, size).astype(np.float64)
    if rng.random() < 0.5:
        fill = fill * rng.uniform(0, 0.5) + rng.uniform(10, 245, 3)
    count = int(labels.max()) + 1
    gain = 1 + rng.uniform(0, 0.25) * rng.standard_normal((count, 1)) + 0.05 * rng.standard_normal((count, 3))
    depth = cv2.distanceTransform((inside & ~rims(labels)).astype(np.uint8), cv2.DIST_L2, 3)
    depth /= np.float32(radius)
    dome = 1 + rng.uniform(-0.5, 0.5) * (np.minimum(depth, 1) - 0.5)
    if rng.random() < 0.2:  # as under a phase-contrast microscope: only rim and relief tell body from ground
        fill = image.astype(np.float64)
    body = fill * gain[labels] * dome[..., None]
    if rng.random() < 0.5:
        light = rng.uniform(-1, 1, 2)
        slope = cv2.Sobel(depth, cv2.CV_32F, 1, 0) * light[0] + cv2.Sobel(depth, cv2.CV_32F, 0, 1) * light[1]
        body += rng.uniform(0, 60) * slope[..., None]
    if rng.random() < 0.5:
        body[depth < rng.uniform(0.05, 0.25)] *= rng.uniform(0.5, 1.4)
    alpha = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), rng.uniform(0.4, 1.2))[..., None]
    contrast = rng.uniform(0.35, 1.0)
    mean = image.mean((0, 1))
    image = mean + (image - mean) * rng.uniform(0.1, 1.0)
    return np.clip(image * (1 - alpha * contrast) + body * alpha * contrast, 0, 255).astype(np.uint8)


def rims(labels: Labels) -> np.ndarray:
    """Cells whose right or lower neighbour belongs to another body."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edge[:-1] |= labels[1:] != labels[:-1]
    return edge


def degrade(image: UInt8, rng: Generator) -> UInt8:
    """Camera faults: blur, noise, JPEG, grey; so that a pasted edge is not recognised by its sharpness."""
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5))
    if rng.random() < 0.5:
        noise = rng.normal(0, rng.uniform(2, 14), (*image.shape[:2], rng.choice([1, 3])))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])[1]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    if rng.random() < 0.2:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return image
