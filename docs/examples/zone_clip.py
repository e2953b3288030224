"""A clip of two coins on a table, and a detector that needs no weights: what both examples have in common.

It needs OpenCV: pip install opencv-python (opencv-python-headless beside napari).
"""

from pathlib import Path

import cv2
import numpy as np
import supervision as sv

import lightsam_plugins

SIZE = (360, 640)
ZONE = np.array([(320, 0), (640, 0), (640, 360), (320, 360)])  # the right half


def write_clip(path: Path, frames: int = 120) -> Path:
    """Two coins cross the frame, one from each side."""
    photos = Path(lightsam_plugins.__file__).parent / "assets"
    table = cv2.resize(cv2.imread(str(photos / "chelsea.jpg")), SIZE[::-1])
    coins = cv2.imread(str(photos / "coins.jpg"))
    coin = cv2.resize(coins[155:219, 315:382], None, fx=1.6, fy=1.6)
    height, width = coin.shape[:2]
    inside = np.zeros((height, width), np.uint8)
    cv2.ellipse(inside, (width // 2, height // 2), (width // 2 - 1, height // 2 - 1), 0, 0, 360, 1, -1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, SIZE[::-1])
    for index in range(-30, frames):  # a second without coins, to learn the background from
        frame = table.copy()
        for x, y in ((index * 5 - 110, 60), (640 - index * 5, 210)):
            left, right = max(0, x), min(SIZE[1], x + width)
            if index >= 0 and left < right:
                part = inside[:, left - x : right - x] > 0
                frame[y : y + height, left:right][part] = coin[:, left - x : right - x][part]
        writer.write(frame)
    writer.release()
    return path


class Detector:
    """Whatever differs from the background, as boxes. Any detector will do in its place."""

    def __init__(self) -> None:
        self.subtractor = cv2.createBackgroundSubtractorMOG2(history=60, detectShadows=False)

    def __call__(self, frame: np.ndarray) -> sv.Detections:
        """Boxes of what moves, grown by 2 pixels."""
        changed = self.subtractor.apply(cv2.GaussianBlur(frame, (5, 5), 0), learningRate=0.002)
        whole = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
        outlines, _ = cv2.findContours(whole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        found = [cv2.boundingRect(outline) for outline in outlines if 400 < cv2.contourArea(outline) < 40_000]
        if not found:
            return sv.Detections.empty()
        boxes = np.array([(x - 2, y - 2, x + w + 2, y + h + 2) for x, y, w, h in found], float)
        return sv.Detections(xyxy=boxes, confidence=np.ones(len(boxes)), class_id=np.zeros(len(boxes), int))


class Tracker:
    """The nearest box of the frame before, overlapping it, hands on its id. ByteTrack of `trackers` will do as well."""

    def __init__(self) -> None:
        self.boxes, self.ids, self.next_id = np.empty((0, 4)), np.empty(0, int), 1

    def update(self, detections: sv.Detections) -> sv.Detections:
        """The detections with ids."""
        overlap = sv.box_iou_batch(self.boxes, detections.xyxy)
        ids = np.zeros(len(detections), int)
        while overlap.size and overlap.max() > 0.1:
            before, now = np.unravel_index(overlap.argmax(), overlap.shape)
            ids[now] = self.ids[before]
            overlap[before], overlap[:, now] = 0, 0
        for row in np.flatnonzero(ids == 0):
            ids[row], self.next_id = self.next_id, self.next_id + 1
        self.boxes, self.ids = detections.xyxy, ids
        detections.tracker_id = ids
        return detections
