"""How far masks move when a model runs in bfloat16 or float16, on held-out photos and nuclei.

    python -m benchmarks.reduced_precision --data DIR [--images 40] [--model nano] [--engine torch]

DIR is the folder of the training data (training/sources.py). It needs real weights: of random ones masks are noise, of
which a rounding changes any pixel.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import lightsam_plugins as ls
from lightsam_plugins.evaluation.shapes import box_of, deepest, iou
from training.holdout import Case, microscopy, photos
from training.sources import Sources


def prompts(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Boxes of all objects, and a click in the middle of each."""
    yield "box", {"boxes": [box_of(mask) for mask in case.masks]}
    yield "1 click", {"points": [[deepest(mask)[1]] for mask in case.masks]}


def ious(answers: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> list[float]:
    """Of each mask with its counterpart."""
    return [iou(*pair) for pair in zip(answers, wanted, strict=True)]


def main() -> None:
    """Print a line for each set, prompt and precision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--engine", default="torch")
    options = parser.parse_args()
    usual = ls.load(options.model, device="cpu")
    names = ["bfloat16"] if options.engine != "torch" else ["bfloat16", "float16"]
    reduced = {
        name: ls.load(options.model, device="cpu", dtype=name, engine=options.engine) for name in names
    }
    sources = Sources(options.data, "holdout")
    print(
        "| set, prompt, precision | IoU with float32: mean | 5 % below | under 0.99 | truth, float32 | truth, reduced |"
    )
    print("|---|---|---|---|---|---|")
    for title, cases in (("photos", photos(sources)), ("nuclei", microscopy(sources, grey=False))):
        found: dict[str, list[npt.NDArray[np.float64]]] = {}
        for case in islice(cases, options.images):
            truth = case.masks
            for kind, given in prompts(case):
                right = usual.segment(case.image, **given).dense()
                for name, model in reduced.items():
                    masks = model.segment(case.image, **given).dense()
                    rows = np.array([ious(masks, right), ious(right, truth), ious(masks, truth)])
                    found.setdefault(f"{title}, {kind}, {name}", []).append(rows)
        for what, parts in found.items():
            same, before, after = np.concatenate(parts, axis=1)
            low, share = np.percentile(same, 5), np.mean(same < 0.99)
            print(
                f"| {what} | {same.mean():.4f} | {low:.3f} | {share:.1%} | {before.mean():.4f} | {after.mean():.4f} |"
            )


if __name__ == "__main__":
    main()
