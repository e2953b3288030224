"""What `everything(hierarchical=True)` costs and what it misses, beside the full grid of clicks, on labelled images.

    python -m benchmarks.hierarchical --data DIR [--limit 40] [--only nuclei]

Average recall: the share of the labelled objects that are found, averaged over IoU of 0.5, 0.55, ... 0.95, with the
best 10, 100 and 1000 masks of an image. The images are the held-out ones of `training.holdout`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import lightsam_plugins as ls
from training.holdout import Case, coins, microscopy, photos
from training.sources import Sources

LEVELS = np.arange(0.5, 1, 0.05)
MOST = (10, 100, 1000)
# On photos `nano` rates few of its masks above its usual threshold of 0.6.
LOW = {"pred_iou_thresh": 0.3, "stability_score_thresh": 0.6}


def iou(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(N, M) IoU of the pixels of two sets of masks of one image, (N, H, W) and (M, H, W)."""
    a, b = (
        masks.reshape(len(masks), math.prod(masks.shape[1:])).astype(np.float32) for masks in (first, second)
    )
    both = a @ b.T
    return np.asarray(both / np.maximum(a.sum(1)[:, None] + b.sum(1) - both, 1), np.float64)


def recalls(case: Case, found: ls.Masks) -> npt.NDArray[np.float64]:
    """(N, 3) average recall of each object with the best 10, 100 and 1000 masks."""
    overlaps = iou(case.masks, found.dense())
    best = np.stack([overlaps[:, :most].max(axis=1, initial=0) for most in MOST], 1)
    return np.asarray((best[..., None] >= LEVELS).mean(2), np.float64)


def measure(model: ls.Segmenter, cases: list[Case], options: dict[str, Any]) -> str:
    """The cells of a line: images, objects, masks an image, ratio of time, AR@10, 100 and 1000."""
    recall: dict[bool, list[npt.NDArray[np.float64]]] = {False: [], True: []}
    spent, masks = {False: 0.0, True: 0.0}, {False: 0, True: 0}
    for number, case in enumerate(cases):
        embedding = model.embed(case.image)
        for fast in (False, True) if number % 2 else (True, False):
            begun = time.process_time()
            found = model.everything(embedding, points_per_side=32, hierarchical=fast, **options)
            spent[fast] += time.process_time() - begun
            masks[fast] += len(found)
            recall[fast].append(recalls(case, found))
    full, some = (100 * np.concatenate(recall[fast]).mean(0) for fast in (False, True))
    pairs = " | ".join(f"{one:.1f}, {other:.1f}" for one, other in zip(full, some, strict=True))
    counts = ", ".join(f"{masks[fast] / len(cases):.1f}" for fast in (False, True))
    objects = sum(len(case.masks) for case in cases)
    return f"{len(cases)} | {objects} | {counts} | {spent[False] / spent[True]:.2f} | {pairs}"


def main() -> None:
    """Print a line for each set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--limit", type=int, default=40, help="images of a set")
    parser.add_argument("--only", default="", help="the sets whose name has these words")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model, sources = ls.load(given.model, device="cpu"), Sources(given.data, "holdout")
    sets: list[tuple[str, Iterator[Case], dict[str, Any]]] = [
        ("natural photos", photos(sources), {}),
        ("natural photos, lower thresholds", photos(sources), LOW),
        ("nuclei", microscopy(sources, grey=False), {}),
        ("coins", coins(), {}),
    ]
    print("| set | images | objects | masks an image: full, hierarchical | CPU ratio ", end="")
    print("".join(f"| AR@{most}: full, hierarchical " for most in MOST) + f"|\n{'|---' * 8}|")
    for name, cases, options in (one for one in sets if given.only in one[0]):
        print(f"| {name} | {measure(model, list(islice(cases, given.limit)), options)} |", flush=True)


if __name__ == "__main__":
    main()
