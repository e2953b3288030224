"""One image measured by all protocols that were asked for, as a record that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lightsam_plugins.errors import InputError
from lightsam_plugins.evaluation.dataset import Sample, Target
from lightsam_plugins.evaluation.detection_scores import Row, best_overlaps, row_of
from lightsam_plugins.evaluation.detector_boxes import Detection
from lightsam_plugins.evaluation.plan import Plan
from lightsam_plugins.evaluation.protocols import (
    CHUNK,
    agreement,
    box_answers,
    click_answers,
    clipped,
    prompt_box,
    scores,
)
from lightsam_plugins.evaluation.rle import encode
from lightsam_plugins.evaluation.subject import Subject
from lightsam_plugins.pixel_values import UInt8Array
from lightsam_plugins.timing import timed
from lightsam_plugins.types import BoolArray

EVERYTHING = 1000  # masks of an image that can count


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured, with what.

    Args:
        subject: The model.
        plan: The protocols.
        detections: Boxes of a detector by image id, for "boxes-from".
        teacher: The other model of "teacher".
        everything: Options of everything mode.
    """

    subject: Subject
    plan: Plan
    detections: dict[int, list[Detection]] = field(default_factory=dict)
    teacher: Subject | None = None
    everything: Mapping[str, Any] = field(default_factory=dict)

    def record(self, sample: Sample, image: UInt8Array, embedding: Any) -> dict[str, Any]:
        """Everything that is to be known of one image.

        Returns:
            ``objects``: id, area in pixels, and ``values``, IoU and boundary IoU by protocol; ``truth``, ``found`` and
            ``everything``: rows for pycocotools; ``ms``: milliseconds by protocol; ``problems``: annotations left out.
        """
        size = image.shape[0], image.shape[1]
        targets, masks, problems = _decoded(sample, size)
        prompted = [(t, m) for t, m in zip(targets, masks, strict=True) if not t.ignore]
        times: dict[str, float] = {}
        objects: list[dict[str, Any]] = [
            {"id": target.id, "area": _area(target, mask), "values": {}} for target, mask in prompted
        ]
        result: dict[str, Any] = {"objects": objects, "problems": problems, "ms": times}
        self._prompts(embedding, prompted, objects, times)
        if self.plan.teacher and self.teacher is not None:
            other = self.teacher.embed([image])[0]
            for row, (_, mask) in zip(objects, prompted, strict=True):
                pairs = agreement(self.subject, self.teacher, (embedding, other), mask)
                row["values"] |= {name: [value] for name, value in pairs.items()}
        if self.plan.everything or self.plan.boxes_from:
            result["truth"] = _truth(sample, targets, masks)
        if self.plan.boxes_from:
            result["found"] = self._found(sample, embedding, size, problems, times)
        if self.plan.everything:
            result["everything"] = self._everything(sample, embedding, times)
            wanted = [encode(mask) for _, mask in prompted]
            best = best_overlaps([row["segmentation"] for row in result["everything"]], wanted)
            for row, value in zip(objects, best, strict=True):
                row["values"]["everything, best mask"] = [value]
        return result

    def _prompts(
        self,
        embedding: Any,
        prompted: Sequence[tuple[Target, BoolArray]],
        objects: list[dict[str, Any]],
        times: dict[str, float],
    ) -> None:
        """Boxes and clicks, added to the values of the objects."""
        plan, subject = self.plan, self.subject
        for start in range(0, len(prompted), CHUNK):
            some, rows = prompted[start : start + CHUNK], objects[start : start + CHUNK]
            wanted = [mask for _, mask in some]
            if plan.box:
                boxes = [prompt_box(target.box, mask) for target, mask in some]
                answers, ms = timed(partial(_listed, subject, embedding, boxes))
                times["box"] = times.get("box", 0.0) + ms
                for row, answer, mask in zip(rows, answers, wanted, strict=True):
                    row["values"]["box"] = scores(answer, mask)
            if plan.clicks:
                rounds, ms = timed(partial(click_answers, subject, embedding, wanted, plan.clicks[-1]))
                times["clicks"] = times.get("clicks", 0.0) + ms
                for number in plan.clicks:
                    for row, answer, mask in zip(rows, rounds[number - 1], wanted, strict=True):
                        row["values"][f"{number} click"] = scores(answer, mask)

    def _found(
        self,
        sample: Sample,
        embedding: Any,
        size: tuple[int, int],
        problems: list[str],
        times: dict[str, float],
    ) -> list[Row]:
        detections, boxes = [], []
        for detection in self.detections.get(sample.id, []):
            box = clipped(detection.box, size)
            if box is None:
                problems.append(f"box {list(detection.box)} of the detector lies outside of {sample.name}")
            else:
                detections.append(detection)
                boxes.append(box)
        answers, times["boxes-from"] = timed(
            lambda: [encode(mask) for mask in box_answers(self.subject, embedding, boxes)]
        )
        return [
            row_of(sample.id, one.category, rle, _pixels(rle), score=one.score)
            for one, rle in zip(detections, answers, strict=True)
        ]

    def _everything(self, sample: Sample, embedding: Any, times: dict[str, float]) -> list[Row]:
        masks, times["everything"] = timed(lambda: self.subject.everything(embedding, **self.everything))
        masks = masks[:EVERYTHING]
        parts = zip(masks.rle(), masks.scores.tolist(), masks.areas.tolist(), strict=True)
        return [row_of(sample.id, 1, rle, area, score=round(score, 6)) for rle, score, area in parts]


def _listed(subject: Subject, embedding: Any, boxes: Sequence[Sequence[float]]) -> list[BoolArray]:
    return list(box_answers(subject, embedding, boxes))


def _decoded(sample: Sample, size: tuple[int, int]) -> tuple[list[Target], list[BoolArray], list[str]]:
    targets, masks, problems = [], [], []
    for target in sample.targets:
        try:
            mask = target.mask(size)
        except InputError as error:
            problems.append(f"object {target.id} of {sample.name}: {error}")
            continue
        targets.append(target)
        masks.append(mask)
    return targets, masks, problems


def _area(target: Target, mask: BoolArray) -> float:
    return float(mask.sum()) if target.area is None else target.area


def _truth(sample: Sample, targets: Sequence[Target], masks: Sequence[BoolArray]) -> list[Row]:
    return [
        row_of(sample.id, target.category, encode(mask), _area(target, mask), iscrowd=int(target.ignore))
        for target, mask in zip(targets, masks, strict=True)
    ]


def _pixels(rle: Any) -> float:
    from pycocotools import mask as coco

    return float(coco.area(rle))
