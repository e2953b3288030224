"""Detector -> tracker -> masks -> annotated video with a count, by Ultralytics' results.

python docs/examples/ultralytics_zone.py [FOLDER]

The results are made from a detector that needs no weights. With a YOLO of yours they come from
``yolo.track(clip, stream=True)`` instead of `results`, and nothing else changes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from lightsam_ultralytics import Refiner
from ultralytics.engine.results import Results
from zone_clip import SIZE, ZONE, Detector, Tracker, write_clip


def results(clip: Path) -> Iterator[Results]:
    """One result a frame, with boxes and ids."""
    detect, tracker, capture = Detector(), Tracker(), cv2.VideoCapture(str(clip))
    while (read := capture.read())[0]:
        found = tracker.update(detect(read[1]))
        rows = np.column_stack([found.xyxy, found.tracker_id, np.ones(len(found)), np.zeros(len(found))])
        yield Results(read[1], str(clip), {0: "coin"}, boxes=torch.from_numpy(rows).float())
    capture.release()


def main(folder: Path) -> list[int]:
    """Write clip.avi and zone.avi; return the number of coins in the zone, frame by frame."""
    refiner, counts = Refiner("nano"), []
    writer = cv2.VideoWriter(str(folder / "zone.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, SIZE[::-1])
    for result in refiner.refine(results(write_clip(folder / "clip.avi"))):
        centres = result.boxes.xywh[:, :2].numpy()
        inside = [cv2.pointPolygonTest(ZONE, (float(x), float(y)), False) >= 0 for x, y in centres]
        counts.append(sum(inside))
        if len(counts) % 25 == 0:
            print(f"{len(counts)} frames", file=sys.stderr)
        picture = result.plot(color_mode="instance")
        cv2.polylines(picture, [ZONE], True, (255, 255, 255), 2)
        cv2.putText(
            picture,
            f"in the zone: {counts[-1]}",
            (330, 30),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.8,
            (255, 255, 255),
            2,
        )
        writer.write(picture)
    writer.release()
    return counts


if __name__ == "__main__":
    print(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
