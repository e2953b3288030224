"""How alike the masks of a student and of its teacher are, and the curve of its learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lightsam_plugins.evaluation.protocols import agreement
from lightsam_plugins.evaluation.shapes import iou
from lightsam_plugins.segmenter import Segmenter

GRID = (0.25, 0.5, 0.75)  # of width and height: where images are clicked


def agreement_with(teacher: Segmenter, student: Segmenter, files: list[Path]) -> dict[str, float]:
    """Mean IoU of both models' masks: of 3 x 3 clicks, of boxes around the teacher's masks, of pairs of clicks.

    The pairs are those of `lightsam evaluate --protocol teacher`, on the teacher's mask of a click in the middle.
    """
    found: dict[str, list[float]] = {}
    for path in files:
        taught, learnt = teacher.embed(path), student.embed(path)
        height, width = taught.size
        points = [[[x * width, y * height]] for y in GRID for x in GRID]
        wanted = teacher.segment(taught, points=points)
        answers = student.segment(learnt, points=points).dense()
        found.setdefault("clicks", []).extend(map(iou, answers, wanted.dense()))
        filled = [mask for mask in wanted if mask.areas[0] > 0]
        if filled:
            boxes = np.concatenate([mask.boxes for mask in filled])
            pairs = zip(
                student.segment(learnt, boxes=boxes).dense(),
                teacher.segment(taught, boxes=boxes).dense(),
                strict=True,
            )
            found.setdefault("boxes", []).extend(iou(one, other) for one, other in pairs)
        middle = wanted.dense()[len(points) // 2]
        if middle.any():
            for name, value in agreement(student, teacher, (learnt, taught), middle).items():
                found.setdefault(name.replace("teacher", "pairs at"), []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def draw(curve: list[dict[str, float]], path: Path, title: str) -> None:
    """The share of the teacher's features that the student does not explain, over the images it has seen."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([p["images"] for p in curve], [p["unexplained"] for p in curve], marker="o", markersize=3)
    axes.set(
        xlabel="images seen (with repeats)",
        ylabel="unexplained share of the features",
        yscale="log",
        title=title,
    )
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=120)
