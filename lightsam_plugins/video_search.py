"""Where an object is in the next frame: its last look is compared with the pixels around the place it should be at.

Sums of squared differences over the pixels of the object, by fast Fourier transforms, in a frame reduced until the
object is `SIDE` pixels long: a search costs the same for any object in any frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from scipy.signal import fftconvolve

if TYPE_CHECKING:
    import numpy.typing as npt

    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.types import FloatArray
    from lightsam_plugins.upsample import Crop

SIDE = 24  # pixels of the longer side of a look
_LEVELS = 5  # of each channel, in a histogram of colours
_MAX_WINDOW = 16 * SIDE  # pixels of a reduced search window


class Place(NamedTuple):
    """A place that looks like the object: ``xyxy`` in pixels, and the difference, root mean square in grey levels."""

    box: FloatArray
    difference: float


@dataclass(frozen=True, slots=True)
class Look:
    """An object as it looked in a frame.

    Args:
        colours: (h, w, 3) float32, reduced.
        weights: (h, w) float32, how much each pixel belongs to the object; the sum is 1.
        size: (width, height) of its tight box in pixels of the frame.
    """

    colours: FloatArray
    weights: FloatArray
    size: tuple[float, float]

    @classmethod
    def of(cls, image: UInt8Array, crop: Crop) -> Look:
        """The look of a mask that has pixels."""
        x0, y0, mask = crop
        height, width = mask.shape
        small = _reduced_size(width, height, SIDE / max(width, height))
        pixels = Image.fromarray(np.ascontiguousarray(image[y0 : y0 + height, x0 : x0 + width]))
        weights = Image.fromarray(mask.astype(np.float32)).resize(small, Image.Resampling.BOX)
        amounts = np.maximum(np.asarray(weights, np.float32), 1e-6)
        colours = np.asarray(pixels.resize(small, Image.Resampling.BOX), np.float32)
        return cls(colours, amounts / amounts.sum(), (float(width), float(height)))

    def likeness(self, other: Look) -> float:
        """How alike the colours of two looks are, wherever they are in them: 0..1, the Bhattacharyya coefficient."""
        return float(np.sqrt(self._histogram() * other._histogram()).sum())

    def _histogram(self) -> npt.NDArray[np.float64]:
        bins = (self.colours.reshape(-1, 3) * (_LEVELS / 256)).astype(int) @ (_LEVELS**2, _LEVELS, 1)
        return np.bincount(bins, self.weights.ravel(), _LEVELS**3).astype(np.float64)

    def rescaled(self, x: float, y: float) -> Look:
        """The same object in frames that are larger or smaller by these factors."""
        return replace(self, size=(self.size[0] * x, self.size[1] * y))

    def find(
        self, image: UInt8Array, window: npt.ArrayLike, scales: tuple[float, ...], count: int
    ) -> list[Place]:
        """The places most alike whose boxes lie in a window, best first, none twice.

        Args:
            image: (H, W, 3) uint8 RGB.
            window: ``xyxy`` in pixels; cut at the borders of the image.
            scales: Sizes of the object to try, relative to that of the look.
            count: No more places than this.
        """
        found = [
            place for scale in scales for place in self._find(image, np.asarray(window, float), scale, count)
        ]
        found.sort(key=lambda place: place.difference)
        kept: list[Place] = []
        for place in found:
            centre = (place.box[:2] + place.box[2:]) / 2
            near = (np.abs(centre - (other.box[:2] + other.box[2:]) / 2).max() for other in kept)
            if len(kept) < count and all(distance > max(self.size) / 3 for distance in near):
                kept.append(place)
        return kept

    def _find(
        self, image: UInt8Array, window: npt.NDArray[np.float64], scale: float, count: int
    ) -> list[Place]:
        size = np.array(self.size) * scale
        factor = min(1.0, SIDE / size.max())
        limit = (image.shape[1], image.shape[0])
        low = np.clip(np.floor(window[:2]), 0, limit).astype(int)
        high = np.clip(np.ceil(window[2:]), 0, limit).astype(int)
        factor = min(factor, _MAX_WINDOW / max(1, (high - low).max()))
        shape = _reduced_size(size[0], size[1], factor)
        reduced = _reduced_size(high[0] - low[0], high[1] - low[1], factor)
        if min(reduced[0] - shape[0], reduced[1] - shape[1]) < 0 or (high <= low).any():
            return []
        area = Image.fromarray(np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]]))
        pixels = np.asarray(area.resize(reduced, Image.Resampling.BOX), np.float32)
        colours, weights = _resized(self.colours, shape), _resized(self.weights, shape)
        differences = _differences(pixels, colours, weights / weights.sum())
        ratio = (high - low) / reduced
        return [
            Place(
                np.concatenate([low + corner * ratio, low + corner * ratio + size]).astype(np.float32), value
            )
            for corner, value in _minima(differences, count, max(shape) / 3)
        ]


def _differences(pixels: FloatArray, colours: FloatArray, weights: FloatArray) -> npt.NDArray[np.float64]:
    """Root mean square difference of the look and each place it fits into, averaged over the channels."""
    total = np.zeros(())
    flipped = weights[::-1, ::-1]
    for channel in range(3):
        plane, look = pixels[..., channel].astype(np.float64), colours[..., channel]
        squares = fftconvolve(plane**2, flipped, mode="valid")
        products = fftconvolve(plane, (weights * look)[::-1, ::-1], mode="valid")
        total = total + squares - 2 * products + (weights * look**2).sum()
    return np.asarray(np.sqrt(np.maximum(total, 0) / 3))


def _minima(
    values: npt.NDArray[np.float64], count: int, apart: float
) -> list[tuple[npt.NDArray[np.float64], float]]:
    """The lowest values and their ``(x, y)``, no two of them near each other."""
    left, found = values.copy(), []
    reach = max(1, round(apart))
    for _ in range(count):
        y, x = np.unravel_index(int(left.argmin()), left.shape)
        if not np.isfinite(left[y, x]):
            break
        found.append((np.array([x, y], float), float(values[y, x])))
        left[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = np.inf
    return found


def _reduced_size(width: float, height: float, factor: float) -> tuple[int, int]:
    return max(1, round(width * factor)), max(1, round(height * factor))


def _resized(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    if values.shape[1::-1] == size:
        return values
    planes = values if values.ndim == 3 else values[..., None]
    parts = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(planes[..., plane])).resize(size, Image.Resampling.BILINEAR)
        )
        for plane in range(planes.shape[2])
    ]
    stacked = np.stack(parts, -1)
    return np.asarray(stacked if values.ndim == 3 else stacked[..., 0], np.float32)
