"""Detector -> tracker -> masks -> annotated video with a count, by supervision.

python docs/examples/supervision_zone.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import supervision as sv
from lightsam_supervision import LightSAM
from zone_clip import ZONE, Detector, Tracker, write_clip


def main(folder: Path) -> list[int]:
    """Write clip.avi and zone.mp4; return the number of coins in the zone, frame by frame."""
    sam, detect, tracker = LightSAM("nano", bgr=True), Detector(), Tracker()
    zone = sv.PolygonZone(ZONE, triggering_anchors=[sv.Position.CENTER])
    masks = sv.MaskAnnotator(color_lookup=sv.ColorLookup.TRACK)
    labels = sv.LabelAnnotator(color_lookup=sv.ColorLookup.TRACK)
    shown = sv.PolygonZoneAnnotator(zone, thickness=2, text_scale=1)
    counts = []

    def annotate(frame: np.ndarray, index: int) -> np.ndarray:
        detections = sam.refine(frame, tracker.update(detect(frame)))
        counts.append(int(zone.trigger(detections).sum()))
        picture = shown.annotate(masks.annotate(frame.copy(), detections))
        ids = detections.tracker_id if len(detections) else []
        return labels.annotate(picture, detections, [f"#{one}" for one in ids])

    clip = write_clip(folder / "clip.avi")
    sv.process_video(str(clip), str(folder / "zone.mp4"), annotate, show_progress=True)
    return counts


if __name__ == "__main__":
    print(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
