"""Other microscopes: one modality is turned into several, so that no brightness, colour or outline means 'cell'."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from training.sources import Labels, UInt8


def other_microscope(image: UInt8, rng: Generator) -> UInt8:
    """The same specimen in grey: other filter and contrast, inverted, blurred, haloed, under uneven light.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8, grey; now and then with a slight tint.
    """
    grey: np.ndarray = image.astype(np.float32) @ rng.dirichlet((1, 1, 1)).astype(np.float32)
    low, high = np.percentile(grey, (0.5, 99.5))
    grey = np.clip((grey - low) / max(high - low, 12), 0, 1)
    if rng.random() < 0.45:
        grey = 1 - grey
    grey = grey ** np.float32(np.exp(rng.normal(0, 0.4)))
    if rng.random() < 0.4:
        grey = halos(grey, rng)
    if rng.random() < 0.4:
        cells = int(rng.integers(1, 4))
        grey = grey + np.float32(rng.uniform(0.03, 0.18)) * smooth_noise(grey.shape, rng, cells)
    if rng.random() < 0.4:
        grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.4, 2.2))
    span = rng.uniform(50, 235)
    floor = rng.uniform(0, 255 - span)
    grey = floor + span * grey + rng.normal(0, rng.uniform(0, 7), grey.shape)
    tint = rng.normal(1, 0.06, 3) if rng.random() < 0.2 else np.ones(3)
    return np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8)


def halos(grey: np.ndarray, rng: Generator) -> np.ndarray:
    """Phase contrast: what is brighter or darker than its surroundings is lined by the opposite."""
    surroundings = cv2.GaussianBlur(grey, (0, 0), np.exp(rng.uniform(np.log(1.5), np.log(14))))
    keep = np.float32(rng.uniform(0, 1))
    return keep * grey + (1 - keep) * 0.5 + np.float32(rng.uniform(0.4, 1.6)) * (grey - surroundings)


def smooth_noise(shape: tuple[int, ...], rng: Generator, cells: int) -> np.ndarray:
    """(H, W) float32 noise of about unit deviation, smooth at H / cells pixels."""
    coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    return cv2.resize(coarse, shape[1::-1], interpolation=cv2.INTER_CUBIC)


def cytoplasm(image: np.ndarray, labels: Labels, rng: Generator, radius: float) -> np.ndarray:
    """Draw a paler body around each labelled one: the labelled ones become nuclei, and a click has to tell them apart.

    Args:
        image: (H, W, 3) float32 background; not changed.
        labels: (H, W) int32.
        rng: Source of randomness.
        radius: Of the bodies, in pixels.
    """
    distance = cv2.distanceTransform((labels == 0).astype(np.uint8), cv2.DIST_L2, 5)
    reach = (
        radius
        * rng.uniform(0.3, 1.4)
        * (1 + 0.35 * smooth_noise(labels.shape, rng, int(rng.integers(5, 14))))
    )
    inside = cv2.GaussianBlur((distance < reach).astype(np.float32), (0, 0), rng.uniform(0.6, 2.5))[..., None]
    grain = 1 + rng.uniform(0, 0.2) * smooth_noise(labels.shape, rng, int(rng.integers(20, 70)))[..., None]
    colour = image.mean((0, 1)) * rng.uniform(0.6, 1.35) + rng.normal(0, 12, 3)
    amount = np.float32(rng.uniform(0.3, 0.95))
    return image * (1 - amount * inside) + colour * grain * amount * inside
