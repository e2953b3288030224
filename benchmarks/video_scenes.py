"""Synthetic videos with exact ground truth: cut-outs of the bundled photos move, grow, turn and hide one another.

Every frame is made on request from its index, so that a scene of any length takes no memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

import lightsam_plugins as ls
from lightsam_plugins.cli.demo_cases import load_photo

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
SIZE = (360, 640)  # height and width of a frame in pixels


@dataclass(frozen=True)
class Placed:
    """Where an object is in a frame.

    Args:
        x: Centre in pixels.
        y: Centre in pixels.
        scale: Size relative to the photo.
        turn: Degrees, counter-clockwise.
    """

    x: float
    y: float
    scale: float = 1.0
    turn: float = 0.0


@dataclass(frozen=True)
class Scene:
    """Objects over a background, the last in front.

    Args:
        name: What it tests.
        background: Photo, and pixels it moves by in each frame.
        objects: Name of a cut-out and its place by the index of the frame.
        asked: How many of them are followed, the first ones; the others are in the way.
    """

    name: str
    background: tuple[str, float]
    objects: list[tuple[str, Callable[[int], Placed]]]
    asked: int

    def frame(self, index: int) -> tuple[Image, list[Mask]]:
        """(H, W, 3) RGB and the visible pixels (H, W) of each object that is followed."""
        photo, speed = self.background
        image = _background(photo, speed * index)
        masks: list[Mask] = []
        for name, path in self.objects:
            colours, alpha = _warped(name, path(index))
            image = (image * (1 - alpha[..., None]) + colours * alpha[..., None]).round().astype(np.uint8)
            masks = [mask & (alpha < 0.5) for mask in masks] + [alpha >= 0.5]
        return image, masks[: self.asked]


@dataclass(frozen=True)
class CutOut:
    """A part of a photo.

    Args:
        photo: Name of the photo.
        box: ``xyxy`` around it, in pixels of the photo.
        shape: What of the box belongs to it: what `nano` says, the ellipse that fills it, or a wavy blob.
    """

    photo: str
    box: tuple[int, int, int, int]
    shape: Literal["nano", "ellipse", "blob"] = "nano"


CUT_OUTS = {
    "coin": CutOut("coins", (315, 155, 382, 219)),
    "small coin": CutOut("coins", (22, 34, 67, 75)),
    "coffee": CutOut("coffee", (204, 95, 370, 193)),
    "eye": CutOut("chelsea", (135, 85, 208, 148)),
    "cat": CutOut("chelsea", (95, 20, 330, 280)),
}


@cache
def cut_out(name: str) -> tuple[Image, npt.NDArray[np.float32]]:
    """The pixels of an object and its mask."""
    part = CUT_OUTS[name]
    image, (x0, y0, x1, y1) = load_photo(part.photo), part.box
    if part.shape == "nano":
        (mask,) = ls.load("nano", device="cpu").segment(image, boxes=[part.box])
        x0, y0, pixels = mask.crops()[0]
        height, width = pixels.shape
        return image[y0 : y0 + height, x0 : x0 + width], pixels.astype(np.float32)
    y, x = np.mgrid[y0:y1, x0:x1] + 0.5
    u, v = (2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0)
    wave = 0.16 * np.sin(3 * np.arctan2(v, u)) + 0.08 * np.sin(5 * np.arctan2(v, u) + 1)
    radius = 1.0 if part.shape == "ellipse" else 0.76 + wave
    return image[y0:y1, x0:x1], (np.hypot(u, v) <= radius).astype(np.float32)


def _background(photo: str, shift: float) -> Image:
    """A part of a photo that moves to and fro."""
    image = load_photo(photo)
    wide = cv2.resize(image, (SIZE[1] + 200, round((SIZE[1] + 200) * image.shape[0] / image.shape[1])))
    left = round(abs((shift + 200) % 400 - 200))
    return np.ascontiguousarray(wide[: SIZE[0], left : left + SIZE[1]])


def _warped(name: str, place: Placed) -> tuple[Image, npt.NDArray[np.float32]]:
    image, mask = cut_out(name)
    height, width = mask.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), place.turn, place.scale)
    matrix[:, 2] += (place.x - width / 2, place.y - height / 2)
    size = (SIZE[1], SIZE[0])
    colours = cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return colours, cv2.warpAffine(mask, matrix, size)


def _wave(index: float, low: float, high: float, period: float) -> float:
    return low + (high - low) * (1 - math.cos(2 * math.pi * index / period)) / 2


SCENES = [
    Scene(
        "moving and growing",
        ("chelsea", 0),
        [
            ("coin", lambda t: Placed(80 + 2.4 * t, _wave(t, 90, 250, 110), _wave(t, 1, 2, 160), t)),
            ("small coin", lambda t: Placed(560 - 2 * t, _wave(t, 280, 80, 90), 1.5)),
        ],
        2,
    ),
    Scene(
        "camera moves",
        ("coffee", 1.5),
        [
            (
                "cat",
                lambda t: Placed(_wave(t, 180, 440, 150), _wave(t, 150, 210, 70), _wave(t, 0.6, 0.9, 120)),
            ),
            ("coin", lambda t: Placed(_wave(t, 560, 90, 200), 70, 1.2)),
        ],
        2,
    ),
    Scene(
        "hidden",
        ("chelsea", 0),
        [
            ("coin", lambda t: Placed(60 + 2.6 * t, 180, 1.4)),
            ("small coin", lambda t: Placed(600 - 2.6 * t, 300, 1.5)),
            ("coffee", lambda t: Placed(330, 210, 1.4, 90)),
        ],
        3,
    ),
    Scene(
        "leaves and returns",
        ("coffee", 0),
        [
            ("coin", lambda t: Placed(_wave(t, 120, 760, 200), 290, 1.3)),
            ("eye", lambda t: Placed(150, _wave(t, 90, 170, 60), 1.5)),
        ],
        2,
    ),
]
