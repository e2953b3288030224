"""Annotations and answers by LVIS's rules, and what the package `lvis` makes of them.

    make lvis

runs the package in an environment of its own and writes lvis_answers.json. Its newest release, 0.5.3, says `np.float`,
which numpy no longer has; it is given the name back here, and nothing else of it is touched.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

SIDE, IMAGES, CATEGORIES = 100, 5, 6
SEEDS = (1, 2, 3)


def code(x0: int, y0: int, x1: int, y1: int) -> dict[str, Any]:
    """A rectangle as a compressed run-length code."""
    mask = np.zeros((SIDE, SIDE), np.uint8, order="F")
    mask[y0:y1, x0:x1] = 1
    rle = coco.encode(mask)
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def lvis_scene(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The content of an LVIS file, and found masks: of categories that are there, are not, or were not looked for."""
    rng = np.random.default_rng(seed)
    images, annotations, found = [], [], []
    for image in range(1, IMAGES + 1):
        present = rng.choice(CATEGORIES, 3, replace=False) + 1
        absent = [int(c) for c in range(1, CATEGORIES + 1) if c not in present]
        incomplete = [int(c) for c in present if rng.random() < 0.4]
        negative = [category for category in absent if rng.random() < 0.5]
        rules = {"neg_category_ids": negative, "not_exhaustive_category_ids": incomplete}
        images.append({"id": image, "height": SIDE, "width": SIDE, **rules})
        for _ in range(6):
            x, y = (int(v) for v in rng.integers(0, 50, 2))
            w, h = (int(v) for v in rng.integers(6, 49, 2))
            one = {"image_id": image, "category_id": int(rng.choice(present))}
            place = {
                "segmentation": code(x, y, x + w, y + h),
                "area": w * h,
                "bbox": [x, y, w, h],
                "iscrowd": 0,
            }
            annotations.append(one | place | {"id": len(annotations) + 1})
            for dx, dy in rng.integers(-3, 4, (2, 2)):
                box = max(0, x + int(dx)), max(0, y + int(dy)), x + w, y + h
                category = one["category_id"] if rng.random() < 0.8 else int(rng.integers(1, CATEGORIES + 1))
                score = float(np.round(rng.random(), 6))
                area = (box[2] - box[0]) * (box[3] - box[1])
                mask = {
                    "segmentation": code(*box),
                    "score": score,
                    "area": area,
                    "bbox": [0, 0, 1, 1],
                    "iscrowd": 0,
                }
                found.append({"image_id": image, "category_id": category, **mask})
    categories = [{"id": c, "name": str(c), "frequency": "rcf"[c % 3]} for c in range(1, CATEGORIES + 1)]
    return {"images": images, "annotations": annotations, "categories": categories}, found


def official(seed: int, at: int, folder: Path) -> dict[str, float]:
    """The scores of the package `lvis`."""
    np.float = float  # type: ignore[attr-defined]
    from lvis import LVIS, LVISEval, LVISResults

    content, found = lvis_scene(seed)
    (folder / "truth.json").write_text(json.dumps(content))
    truth = LVIS(str(folder / "truth.json"))
    plain = [{k: v for k, v in row.items() if k not in ("bbox", "area", "iscrowd")} for row in found]
    evaluation = LVISEval(truth, LVISResults(truth, plain, max_dets=at), "segm")
    evaluation.params.max_dets = at
    evaluation.run()
    return {name: float(evaluation.results[name]) for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")}


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        answers = {s: {at: official(s, at, Path(temporary)) for at in (300, 5)} for s in SEEDS}
    Path(sys.argv[1]).write_text(json.dumps(answers, indent=1) + "\n")
