"""What is known of one object that is followed through a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from lightsam_plugins.video_search import Look

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.types import Frame
    from lightsam_plugins.upsample import Crop

State: TypeAlias = Literal["visible", "hidden", "outside"]
_Vector: TypeAlias = npt.NDArray[np.float64]

FOUND_GAIN = 0.2  # likewise after frames without it
VELOCITY_GAIN = 0.5  # how much of a frame's motion goes into the velocity
SIZE_GAIN = 0.5  # likewise of a frame's size
DAMPING = 0.9  # of the velocity of an object that is not seen, a frame


@dataclass(slots=True)
class Object:
    """One object between two frames.

    Args:
        identity: Its number.
        centre: ``(x, y)`` of its box in pixels.
        size: (width, height) of its box in pixels.
        first: How it looked when it was prompted.
        last: How it looked when it was last seen whole.
        crop: Its mask when it was last seen.
        filled: How much of its box its mask covers, 0..1.
        score: Predicted IoU when it was prompted.
        velocity: Pixels a frame.
        missed: Frames since it was last seen.
    """

    identity: int
    centre: _Vector
    size: _Vector
    first: Look
    last: Look
    crop: Crop
    filled: float
    score: float
    velocity: _Vector = field(default_factory=lambda: np.zeros(2))
    missed: int = 0

    @classmethod
    def of(cls, identity: int, image: UInt8Array, crop: Crop, score: float) -> Object:
        """An object whose mask was prompted for in this image."""
        look = Look.of(image, crop)
        centre, size = _centre_and_size(crop)
        return cls(identity, centre, size, look, look, crop, float(crop[2].mean()), score)

    @property
    def expected(self) -> _Vector:
        """``xyxy`` of where it should be in the next frame, if it goes on as it did."""
        return _box(self.centre + self.velocity, self.size)

    def window(self, reach: float) -> _Vector:
        """``xyxy`` of the surroundings in which it is looked for: `reach` of its longer side on each side."""
        return np.asarray(self.expected + reach * self.size.max() * np.array([-1, -1, 1, 1]))

    @property
    def full_area(self) -> float:
        """Pixels of it where nothing hides it."""
        return float(np.prod(self.size)) * self.filled

    def area_in(self, frame: Frame) -> float:
        """Pixels of it that should be seen in the next frame."""
        return self.full_area * self._part_inside(frame)

    def _part_inside(self, frame: Frame) -> float:
        box = self.expected
        inside = np.clip(box, 0, np.tile((frame.width, frame.height), 2))
        return float(np.prod(inside[2:] - inside[:2]) / np.prod(box[2:] - box[:2]))

    def state(self, frame: Frame) -> State:
        """Whether it is seen, hidden, or has left: its expected box is less than a quarter inside."""
        if not self.missed:
            return "visible"
        return "hidden" if self._part_inside(frame) >= 0.25 else "outside"

    def see(self, image: UInt8Array, crop: Crop, *, place: npt.ArrayLike, whole: bool) -> None:
        """It was found at a place; where that is not the whole of it alone, its look and size stay as they were."""
        centre, size = _centre_and_size(crop)
        if whole:
            self.last = Look.of(image, crop)
            self.size = self.size + SIZE_GAIN * (size - self.size)
        else:
            corners = np.asarray(place, float)
            centre = (corners[:2] + corners[2:]) / 2
        gain = VELOCITY_GAIN if whole and not self.missed else FOUND_GAIN
        moved = (centre - self.centre) / (1 + self.missed)
        self.velocity = self.velocity + gain * (moved - self.velocity)
        self.centre, self.crop, self.missed = centre, crop, 0

    def miss(self, frame: Frame) -> None:
        """It was not found: it goes on, slower and slower, and not far beyond the border."""
        self.missed += 1
        self.velocity = DAMPING * self.velocity
        low, high = -self.size, np.array([frame.width, frame.height]) + self.size
        self.centre = np.clip(self.centre + self.velocity, low, high)

    def rescale(self, x: float, y: float) -> None:
        """The frames have become larger or smaller by these factors."""
        factors, mask = np.array([x, y]), self.crop[2]
        self.centre, self.size, self.velocity = (
            self.centre * factors,
            self.size * factors,
            self.velocity * factors,
        )
        self.first, self.last = self.first.rescaled(x, y), self.last.rescaled(x, y)
        size = (max(1, round(mask.shape[1] * x)), max(1, round(mask.shape[0] * y)))
        self.crop = (
            round(self.crop[0] * x),
            round(self.crop[1] * y),
            np.asarray(Image.fromarray(mask).resize(size)),
        )

    def moved_to(self, box: npt.ArrayLike, frame: Frame) -> Crop:
        """Its last mask with its centre where that of a box is, cut at the borders of the frame."""
        corners, mask = np.asarray(box, float), self.crop[2]
        height, width = mask.shape
        x0 = round((corners[0] + corners[2] - width) / 2)
        y0 = round((corners[1] + corners[3] - height) / 2)
        left, top = max(0, -x0), max(0, -y0)
        part = mask[top : max(0, frame.height - y0), left : max(0, frame.width - x0)]
        return (x0 + left, y0 + top, part) if part.size else (0, 0, np.zeros((0, 0), np.bool_))


def _centre_and_size(crop: Crop) -> tuple[_Vector, _Vector]:
    size = np.array(crop[2].shape[::-1], float)
    return np.array(crop[:2], float) + size / 2, size


def _box(centre: _Vector, size: _Vector) -> _Vector:
    return np.concatenate([centre - size / 2, centre + size / 2])
