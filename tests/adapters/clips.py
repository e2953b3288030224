"""Video files that say in their own pixels which frame is which, and where each object is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np

SIZE = (144, 208)  # height and width in pixels
FRAMES = 300
RADIUS = 14
COLOURS = ((40, 60, 230), (230, 120, 30))  # BGR
_BIT = 16  # pixels of the side of a square that is one bit of the number of its frame


def centres(index: int) -> np.ndarray:
    """(2, 2) ``(x, y)`` of the two discs in a frame, in pixels; one goes right, the other up and down."""
    return np.array([(-20 + 0.9 * index, 45), (60, 75 + 20 * np.sin(index / 20))])


def boxes(index: int) -> np.ndarray:
    """(2, 4) ``xyxy`` of the discs; the first lies outside the frame at the beginning and at the end."""
    return np.concatenate([centres(index) - RADIUS, centres(index) + RADIUS], axis=1)


def inside(index: int) -> np.ndarray:
    """(2,) bool: which discs are in the frame altogether."""
    corners = boxes(index)
    return (corners[:, :2] >= 0).all(1) & (corners[:, 2:] <= SIZE[::-1]).all(1)


def frame(index: int) -> np.ndarray:
    """(H, W, 3) BGR: grey, two discs, and the number of the frame as nine squares at the bottom."""
    image = np.full((*SIZE, 3), 110, np.uint8)
    for (x, y), colour in zip(centres(index), COLOURS, strict=True):
        cv2.circle(image, (round(x * 16), round(y * 16)), RADIUS * 16, colour, -1, cv2.LINE_AA, 4)
    for bit in range(9):
        image[-_BIT:, bit * _BIT : (bit + 1) * _BIT] = 255 * (index >> bit & 1)
    return image


def number(image: np.ndarray) -> int:
    """Which frame this is, as its squares say; also after lossy compression."""
    middle = image[-_BIT // 2, _BIT // 2 : 9 * _BIT : _BIT].mean(-1)
    return int(((middle > 127) << np.arange(9)).sum())


def write(path: Path, frames: Iterable[np.ndarray], fps: float = 25) -> Path:
    """Write BGR frames of one size as Motion JPEG."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, SIZE[::-1])
    for image in frames:
        writer.write(image)
    writer.release()
    return path


def write_by_pyav(path: Path, frames: Iterable[np.ndarray]) -> Path:
    """Write BGR frames of one size as H.264, whose frames lie in the file in another order than they are shown in."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def read_by_pyav(path: Path) -> Iterator[np.ndarray]:
    """The frames of a file, BGR."""
    with av.open(str(path)) as container:
        for image in container.decode(video=0):
            yield image.to_ndarray(format="bgr24")


def read(path: Path) -> Iterator[np.ndarray]:
    """The frames of a file, BGR."""
    capture = cv2.VideoCapture(str(path))
    while True:
        there, image = capture.read()
        if not there:
            capture.release()
            return
        yield image


def iou(mask: np.ndarray, centre: np.ndarray) -> float:
    """Of an (H, W) mask and the disc around a centre."""
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    disc = np.hypot(x - centre[0], y - centre[1]) < RADIUS
    return float((mask & disc).sum() / (mask | disc).sum())
