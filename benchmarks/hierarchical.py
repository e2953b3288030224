"""What `everything(hierarchical=True)` costs and what it misses, beside the full grid of clicks.

    python -m benchmarks.hierarchical [--model nano]

Average recall: the share of the masks of the full grid that are found again, averaged over IoU of 0.5, 0.55, ...
0.95, with the best 10, 100 and 1000 masks. The reference is the full grid itself, not annotations.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import lightsam_plugins as ls

LEVELS = np.arange(0.5, 1, 0.05)


def iou(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(N, M) IoU of the pixels of two sets of masks of one image, (N, H, W) and (M, H, W)."""
    a, b = (masks.reshape(len(masks), -1).astype(np.float32) for masks in (first, second))
    both = a @ b.T
    return np.asarray(both / np.maximum(a.sum(1)[:, None] + b.sum(1) - both, 1), np.float64)


def recall(reference: ls.Masks, found: ls.Masks, most: int) -> float:
    """Average recall of the best `most` of `found`."""
    best = iou(reference.dense(), found[:most].dense()).max(axis=1, initial=0)
    return float((best[:, None] >= LEVELS).mean())


def seconds(model: ls.Segmenter, image: npt.NDArray[np.uint8], *, fast: bool) -> tuple[ls.Masks, float]:
    """The masks, and the CPU time they took."""
    begun = time.process_time()
    masks = model.everything(image, hierarchical=fast)
    return masks, time.process_time() - begun


def main() -> None:
    """Print a line for each photo of the package."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    torch.set_num_threads(1)
    model = ls.load(parser.parse_args().model, device="cpu")
    print(
        "| photo | masks | of the full grid | CPU ratio | AR@10 | AR@100 | AR@1000 | the full grid's AR@10, AR@100 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in sorted((Path(ls.__file__).parent / "assets").glob("*.jpg")):
        image = np.asarray(Image.open(path).convert("RGB"))
        full, slow = seconds(model, image, fast=False)
        some, quick = seconds(model, image, fast=True)
        scores = " | ".join(f"{100 * recall(full, some, most):.1f}" for most in (10, 100, 1000))
        own = ", ".join(f"{100 * recall(full, full, most):.1f}" for most in (10, 100))
        print(
            f"| {path.stem} | {len(some)} | {len(full)} | {slow / quick:.2f} | {scores} | {own} |", flush=True
        )


if __name__ == "__main__":
    main()
