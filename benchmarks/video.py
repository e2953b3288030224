"""Video mode on synthetic videos with exact ground truth, beside a box tracker with masks and optical flow.

    python -m benchmarks.video [--scenes tuned held-out] [--methods NAME ...] [--model nano] [--frames 200]

Prints J (IoU), F (of the outlines, tolerance 0.8 % of the diagonal) and their mean as in DAVIS
(https://arxiv.org/abs/1704.00675), averaged over the objects of each scene, and the milliseconds a frame. The first
frame, whose boxes are given to all three, does not count. A frame in which an object is not to be seen counts 1 where
nothing is marked, else 0.

The others: OpenCV's MIL tracker (TrackerMIL) whose box is prompted in each frame, and the first mask warped from frame
to frame by OpenCV's dense inverse search optical flow (DISOpticalFlow, medium).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from scipy import ndimage

import lightsam_plugins as ls
from benchmarks.video_held_out import HELD_OUT
from benchmarks.video_scenes import SCENES, SIZE, Image, Mask, Scene
from lightsam_plugins.box_masks import segment_boxes

Tracker = Callable[[Image], list[Mask]]
_TOLERANCE = 0.008 * float(np.hypot(*SIZE))


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """Tight ``xyxy``, half-open."""
    y, x = np.nonzero(mask)
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


def similarity(found: Mask, truth: Mask) -> tuple[float, float]:
    """J and F of two masks."""
    if not truth.any() or not found.any():
        equal = float(truth.any() == found.any())
        return equal, equal
    outlines = [mask & ~ndimage.binary_erosion(mask) for mask in (found, truth)]
    near = [ndimage.distance_transform_edt(~outline) <= _TOLERANCE for outline in outlines]
    precision, recall = (near[1][outlines[0]].mean(), near[0][outlines[1]].mean())
    f = 2 * precision * recall / max(precision + recall, 1e-9)
    return float((found & truth).sum() / (found | truth).sum()), float(f)


def video_mode(model: ls.Segmenter, image: Image, masks: list[Mask], *, mask_prompt: bool = False) -> Tracker:
    """`VideoSegmenter`."""
    video = ls.VideoSegmenter(model, patience=1000, mask_prompt=mask_prompt)
    ids = video.add(boxes=[box_of(mask) for mask in masks])
    video.step(image)

    def step(frame: Image) -> list[Mask]:
        found = video.step(frame)
        dense = dict(zip(found.ids, found.masks.dense(), strict=True))
        return [dense.get(one, np.zeros(SIZE, bool)) for one in ids]

    return step


def boxes_and_masks(model: ls.Segmenter, image: Image, masks: list[Mask]) -> Tracker:
    """A box tracker, and a mask for its box."""
    trackers = []
    for mask in masks:
        x0, y0, x1, y1 = box_of(mask)
        trackers.append(cv2.TrackerMIL.create())
        trackers[-1].init(image, (x0, y0, x1 - x0, y1 - y0))

    def step(frame: Image) -> list[Mask]:
        boxes = []
        for tracker in trackers:
            there, (x, y, width, height) = tracker.update(frame)
            boxes.append((x, y, x + width, y + height) if there else (0, 0, 0, 0))
        return list(segment_boxes(model, [frame], [boxes])[0].dense())

    return step


def optical_flow(model: ls.Segmenter, image: Image, masks: list[Mask]) -> Tracker:
    """The first masks, carried on by the flow from each frame back to the one before."""
    found = model.segment(image, boxes=[box_of(mask) for mask in masks]).dense().astype(np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    last = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)

    def step(frame: Image) -> list[Mask]:
        nonlocal last, found
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        back = flow.calc(grey, last, None)
        found = np.stack(
            [cv2.remap(one, x + back[..., 0], y + back[..., 1], cv2.INTER_LINEAR) for one in found]
        )
        last = grey
        return [one > 0.5 for one in found]

    return step


def run(scene: Scene, tracker: Tracker, frames: int) -> tuple[float, float, float]:
    """J, F and milliseconds a frame."""
    values, seconds = [], 0.0
    for index in range(1, frames):
        image, truth = scene.frame(index)
        begun = time.perf_counter()
        found = tracker(image)
        seconds += time.perf_counter() - begun
        values += [similarity(one, mask) for one, mask in zip(found, truth, strict=True)]
    j, f = np.mean(values, axis=0)
    return float(j), float(f), 1000 * seconds / (frames - 1)


METHODS: dict[str, Callable[[ls.Segmenter, Image, list[Mask]], Tracker]] = {
    "video mode": video_mode,
    "box tracker + masks": boxes_and_masks,
    "optical flow": optical_flow,
    "video mode, mask prompt": partial(video_mode, mask_prompt=True),
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sets = {"tuned": SCENES, "held-out": HELD_OUT}
    parser.add_argument("--scenes", nargs="+", choices=list(sets), default=list(sets))
    parser.add_argument("--model", default="nano")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS)[:3])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = ls.load(options.model, device="cpu")
    print("| scene | method | J | F | J&F | ms a frame |\n|---|---|---|---|---|---|")
    for scene in (scene for name in options.scenes for scene in sets[name]):
        image, masks = scene.frame(0)
        for name in options.methods:
            j, f, milliseconds = run(scene, METHODS[name](model, image, masks), options.frames)
            print(
                f"| {scene.name} | {name} | {j:.3f} | {f:.3f} | {(j + f) / 2:.3f} | {milliseconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
