"""What is known of one object that is followed through a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lightsam_plugins.video_search import Look

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.types import FloatArray, Frame
    from lightsam_plugins.upsample import Crop
    from lightsam_plugins.video_search import Place

State: TypeAlias = Literal["visible", "hidden", "outside"]
_Vector: TypeAlias = npt.NDArray[np.float64]

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
        score: Predicted IoU, averaged over the frames.
        velocity: Pixels a frame.
        missed: Frames since it was last seen.
    """

    identity: int
    centre: _Vector
    size: _Vector
    first: Look
    last: Look
    crop: Crop
    score: float
    velocity: _Vector = field(default_factory=lambda: np.zeros(2))
    missed: int = 0

    @classmethod
    def of(cls, identity: int, image: UInt8Array, crop: Crop, score: float) -> Object:
        """An object whose mask was prompted for in this image."""
        look = Look.of(image, crop)
        centre, size = _centre_and_size(crop)
        return cls(identity, centre, size, look, look, crop, score)

    @property
    def expected(self) -> _Vector:
        """``xyxy`` of where it should be in the next frame, if it goes on as it did."""
        return _box(self.centre + self.velocity, self.size)

    def window(self, reach: float) -> _Vector:
        """``xyxy`` of the surroundings in which it is looked for: `reach` of its longer side on each side."""
        return self.expected + reach * self.size.max() * np.array([-1, -1, 1, 1])

    def area(self) -> int:
        """Pixels of the mask when it was last seen."""
        return int(np.count_nonzero(self.crop[2]))

    def state(self, frame: Frame) -> State:
        """Whether it is seen, hidden, or has left: its expected box is less than a quarter inside."""
        if not self.missed:
            return "visible"
        box = self.expected
        inside = np.clip(box, 0, np.tile((frame.width, frame.height), 2))
        part = np.prod(inside[2:] - inside[:2]) / np.prod(box[2:] - box[:2])
        return "hidden" if part >= 0.25 else "outside"

    def see(self, image: UInt8Array, crop: Crop, score: float) -> None:
        """It was found in this image."""
        centre, size = _centre_and_size(crop)
        gain = VELOCITY_GAIN if not self.missed else 0.2
        moved = (centre - self.centre) / (1 + self.missed)
        self.velocity = self.velocity + gain * (moved - self.velocity)
        self.centre = centre
        self.size = self.size + SIZE_GAIN * (size - self.size)
        self.score = self.score + 0.1 * (score - self.score)
        self.crop, self.missed = crop, 0
        self.last = Look.of(image, crop)

    def miss(self, frame: Frame) -> None:
        """It was not found: it goes on, slower and slower, and not far beyond the border."""
        self.missed += 1
        self.velocity = DAMPING * self.velocity
        low, high = -self.size, np.array([frame.width, frame.height]) + self.size
        self.centre = np.clip(self.centre + self.velocity, low, high)

    def moved_crop(self, box: npt.ArrayLike) -> tuple[Crop, _Vector]:
        """Its last mask and the shift in pixels that brings it to a box."""
        x0, y0, mask = self.crop
        corners = np.asarray(box, float)
        centre = (corners[:2] + corners[2:]) / 2
        return self.crop, centre - (np.array([x0, y0]) + np.array(mask.shape[::-1]) / 2)


def boxes_of(places: list[Place]) -> FloatArray:
    """(N, 4) boxes of places."""
    return np.array([place.box for place in places], np.float32).reshape(-1, 4)


def _centre_and_size(crop: Crop) -> tuple[_Vector, _Vector]:
    size = np.array(crop[2].shape[::-1], float)
    return np.array(crop[:2], float) + size / 2, size


def _box(centre: _Vector, size: _Vector) -> _Vector:
    return np.concatenate([centre - size / 2, centre + size / 2])
