"""Boxes of a detector, in the form of COCO's results (``coco_vitdet.json``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightsam_plugins.errors import InputError


@dataclass(frozen=True, slots=True)
class Detection:
    """One box: ``xyxy`` in pixels, the id of its category, and its score."""

    box: tuple[float, float, float, float]
    category: int
    score: float


def read_detections(path: Path) -> tuple[dict[int, list[Detection]], list[str]]:
    """Read a list of ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``.

    Returns:
        The boxes by image id in the order of the file, and what could not be used, one sentence a row.

    Raises:
        InputError: The file cannot be read or is no such list.
    """
    try:
        rows = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot read the boxes {str(path)!r}", got=str(error), hint="Check the path."
        ) from error
    if not isinstance(rows, list):
        raise InputError(
            f"{str(path)!r} holds no boxes of a detector",
            expected='a JSON list of {"image_id", "category_id", "bbox", "score"}',
            got=type(rows).__name__,
            hint="COCO's results have this form.",
        )
    found: dict[int, list[Detection]] = {}
    problems = []
    for number, row in enumerate(rows):
        try:
            x, y, width, height = (float(value) for value in row["bbox"])
            score = float(row["score"])
            if not np.isfinite([x, y, width, height, score]).all() or width <= 0 or height <= 0:
                raise ValueError(f"bbox {row['bbox']} with score {row['score']}")
            one = Detection((x, y, x + width, y + height), int(row["category_id"]), score)
            found.setdefault(int(row["image_id"]), []).append(one)
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"box {number}: not usable: {type(error).__name__}: {error}")
    return found, problems
