"""`evaluate`: a model, annotated images and protocols in, a `Report` out. Resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lightsam_plugins.errors import Cancelled, ImageError, InputError, OptionError
from lightsam_plugins.evaluation.coco_files import read_coco
from lightsam_plugins.evaluation.dataset import Dataset, Sample
from lightsam_plugins.evaluation.detector_boxes import read_detections
from lightsam_plugins.evaluation.extra import require_extra
from lightsam_plugins.evaluation.label_maps import read_label_maps
from lightsam_plugins.evaluation.measuring import Measurement
from lightsam_plugins.evaluation.plan import Plan, read_plan
from lightsam_plugins.evaluation.report import Report
from lightsam_plugins.evaluation.subject import Subject, prompts_of
from lightsam_plugins.everything_options import everything_options
from lightsam_plugins.images import load_image
from lightsam_plugins.journal import Journal, stamp_of
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.timing import timed

JOURNAL = "journal.jsonl"


def read_annotations(images: str | Path, annotations: str | Path) -> Dataset:
    """Read annotated images: COCO or LVIS JSON, or a folder of label maps.

    Args:
        images: Folder of the images.
        annotations: ``instances.json``, or a folder of label maps (PNG, TIFF), see `label_maps.read_label_maps`.

    Raises:
        InputError: Nothing there that can be read.
    """
    folder, path = Path(images), Path(annotations)
    if not folder.is_dir():
        raise InputError(f"no folder {str(folder)!r}", hint="Pass the folder that holds the images.")
    return read_label_maps(folder, path) if path.is_dir() else read_coco(folder, path)


def evaluate(
    subject: Subject,
    dataset: Dataset,
    protocols: str = "box,1click,3click",
    *,
    out: str | Path,
    boxes_from: str | Path | None = None,
    teacher: Subject | None = None,
    everything: Mapping[str, Any] | None = None,
    weights: str = "",
    limit: int | None = None,
    batch_size: int = 4,
    progress: Callable[[int, str], Any] | None = None,
) -> Report:
    """Measure a model. What is finished is kept in `out`: the same call goes on after an interruption.

    Args:
        subject: A loaded model, a baseline, or what answers the same calls.
        dataset: From `read_annotations`.
        protocols: Names joined by commas: box, 1click, 3click (any number), everything, boxes-from, teacher.
        out: Folder of the finished images.
        boxes_from: Boxes of a detector in the form of COCO's results, for the protocol boxes-from.
        teacher: The other model of the protocol teacher.
        everything: Options of everything mode, in place of the model's own; as of `Segmenter.everything`.
        weights: Tells different weights of one model apart: a folder begun with others is refused.
        limit: Take this many images from the beginning.
        batch_size: Images encoded at once.
        progress: Called with the number of the image, from 0, and its name, before each; returning False stops.

    Returns:
        The report of all finished images. `report.write` puts it into a folder.

    Raises:
        MissingExtra: The extra ``evaluate`` is not installed.
        OptionError: An unknown protocol, or one that lacks what it needs; an unknown option of everything mode, or one
            without the protocol.
        InputError: `out` holds results with other settings, or a file cannot be read.
        Cancelled: `progress` returned False; what is finished is in `out`, as it is after Ctrl-C.
    """
    require_extra()
    plan = read_plan(protocols, prompts_of(subject))
    _complete(plan, boxes_from, teacher)
    options = _options(subject, plan, everything or {})
    detections, problems = ({}, []) if boxes_from is None else read_detections(Path(boxes_from))
    samples = _first(dataset.samples, limit)
    settings = {
        "model": subject.name,
        "weights": weights,
        "annotations": dataset.digest,
        "protocols": {k: v for k, v in asdict(plan).items() if k != "left_out"}
        | {"clicks": list(plan.clicks)},
        "boxes": hashlib.sha256(Path(boxes_from).read_bytes()).hexdigest() if boxes_from else None,
        "teacher": teacher.name if teacher is not None else None,
        **({"everything": options} if options else {}),
    }
    journal = Journal(Path(out) / JOURNAL, settings, "evaluate")
    measurement = Measurement(subject, plan, detections, teacher, options)
    failed = _measure(measurement, samples, journal, batch_size, progress)
    return collect(dataset, samples, journal, settings, plan, [*problems, *failed])


def _complete(plan: Plan, boxes_from: str | Path | None, teacher: Subject | None) -> None:
    if plan.boxes_from and boxes_from is None:
        raise OptionError(
            "boxes-from", expected="a file of boxes", hint="Pass boxes_from=, --boxes-from FILE."
        )
    if plan.teacher and teacher is None:
        raise OptionError("teacher", expected="another model", hint="Pass teacher=, --teacher NAME.")


def _options(subject: Subject, plan: Plan, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of everything mode, checked before the first image."""
    if given and not plan.everything:
        raise OptionError(
            f"options of everything mode: {', '.join(given)}",
            expected="the protocol everything with them",
            hint="Add it to the protocols: box,everything.",
        )
    if given and isinstance(subject, Segmenter):
        everything_options(subject.spec, given)
    return dict(given)


def _first(samples: Sequence[Sample], limit: int | None) -> Sequence[Sample]:
    if limit is not None and limit < 1:
        raise OptionError("limit", expected="a whole number >= 1", got=str(limit))
    if not samples:
        raise InputError("the annotations name no image", hint="Check the annotation file.")
    return samples[:limit]


def _measure(
    measurement: Measurement,
    samples: Sequence[Sample],
    journal: Journal,
    batch_size: int,
    progress: Callable[[int, str], Any] | None,
) -> list[str]:
    """Measure what the journal does not hold; returns what could not be read."""
    failed: list[str] = []
    todo = [
        (number, sample)
        for number, sample in enumerate(samples)
        if not (sample.path.is_file() and journal.has(sample.name, stamp_of(sample.path)))
    ]
    for start in range(0, len(todo), batch_size):
        opened = []
        for number, sample in todo[start : start + batch_size]:
            try:
                pixels = _pixels(sample)
                opened.append((number, sample, stamp_of(sample.path), pixels))
            except (InputError, OSError) as error:
                failed.append(f"image {sample.name}: {error}")
        if not opened:
            continue
        embeddings, ms = timed(partial(measurement.subject.embed, [row[3] for row in opened]))
        for (number, sample, stamp, image), embedding in zip(opened, embeddings, strict=True):
            if progress is not None and progress(number, sample.name) is False:
                raise Cancelled(f"evaluation stopped at image {number} of {len(samples)}")
            record = measurement.record(sample, image, embedding)
            record["ms"]["encode"] = ms / len(opened)
            journal.add({"file": sample.name, "stamp": stamp, **record})
    return failed


def _pixels(sample: Sample) -> Any:
    image = load_image(sample.path)
    if sample.size is not None and image.shape[:2] != sample.size:
        raise ImageError(
            "the annotations are about an image of another size",
            expected=f"(height, width) {sample.size}",
            got=str(image.shape[:2]),
        )
    return image


def collect(
    dataset: Dataset,
    samples: Sequence[Sample],
    journal: Journal,
    settings: dict[str, Any],
    plan: Plan,
    failed: Sequence[str],
) -> Report:
    """The report of the finished images among `samples`."""
    done = [
        sample
        for sample in samples
        if sample.path.is_file() and journal.has(sample.name, stamp_of(sample.path))
    ]
    records = {sample.name: journal.read(sample.name) for sample in done}
    problems = [*dataset.problems, *failed, *(text for r in records.values() for text in r["problems"])]
    return Report.of(dataset, done, records, settings, plan, problems, whole=len(samples))
