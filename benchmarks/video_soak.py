"""Memory of endless streams: `refine` of supervision, of Ultralytics' results, and video mode, for minutes.

    python -m benchmarks.video_soak [--minutes 10] [--threads 1]

Prints the resident memory of the process, in MB, about every tenth of the time, after a warm-up of 50 frames.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import supervision as sv
import torch
from ultralytics.engine.results import Results

import lightsam_plugins as ls
from benchmarks.memory import megabytes
from benchmarks.video import box_of
from benchmarks.video_scenes import SCENES
from lightsam_supervision import LightSAM
from lightsam_ultralytics import Refiner


def main() -> None:
    """Run all three on a scene that begins again every 200 frames."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = ls.load("nano", device="cpu")
    sam, refiner, video = LightSAM(model), Refiner(model), ls.VideoSegmenter(model, patience=10)
    scene, begun, shown, index = SCENES[0], time.monotonic(), 0.0, 0
    while (passed := time.monotonic() - begun) < 60 * options.minutes:
        image, masks = scene.frame(index % 200)
        boxes = np.array([box_of(mask) for mask in masks if mask.any()], np.float32).reshape(-1, 4)
        if index % 100 == 0:  # all anew: those that are still followed would be followed twice
            for identity in video.ids:
                video.remove(identity)
            video.add(boxes=boxes)
        video.step(image)
        sam.refine(image, sv.Detections(xyxy=boxes))
        rows = np.column_stack([boxes, np.ones(len(boxes)), np.zeros(len(boxes))])
        refiner.refine(Results(image, "frame", {0: "coin"}, boxes=torch.from_numpy(rows)))
        index += 1
        if index == 50 or (index > 50 and passed - shown > 6 * options.minutes):
            print(
                f"{passed:6.0f} s, frame {index}, {len(video.ids)} objects, {megabytes('VmRSS'):.0f} MB",
                flush=True,
            )
            shown = passed


if __name__ == "__main__":
    main()
