"""`Report`: what was measured, as JSON and Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightsam_plugins._version import __version__
from lightsam_plugins.errors import InputError
from lightsam_plugins.evaluation.dataset import Dataset, Sample
from lightsam_plugins.evaluation.detection_scores import (
    SIZES,
    precision_matches,
    precision_scores,
    recall_matches,
    recall_scores,
)
from lightsam_plugins.evaluation.markdown import markdown
from lightsam_plugins.evaluation.plan import Plan
from lightsam_plugins.evaluation.published import published
from lightsam_plugins.evaluation.resampling import precision_columns, recall_columns
from lightsam_plugins.replacing import replacing

FORMAT = "lightsam evaluation 1"
COCO_MASKS, LVIS_MASKS = 100, 300


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `evaluate`. All quality is in 0..1, all times in milliseconds.

    Args:
        model: Name of what was measured.
        dataset: Name of the annotations.
        settings: What the numbers depend on.
        images: Finished images.
        whole: Images asked for; those that could not be read are in `problems`.
        means: By protocol: mean ``iou`` and ``boundary`` IoU, the number of ``objects``, and ``small``, ``medium`` and
            ``large``: mean IoU of objects below 32 x 32, below 96 x 96 and of more pixels; None where there are none.
        precision: AP with the boxes of a detector, see `detection_scores.precision`; empty if not measured.
        recall: AR of everything mode, see `detection_scores.recall`; empty if not measured.
        milliseconds: Median an image: to encode it, and of all prompts of a protocol.
        published: What papers say of this model on this dataset: protocol, metric, value in percent, source.
        objects: Columns ``image``, ``id``, ``area``, and ``values``: the IoU of each object by protocol.
        problems: What could not be used, one sentence each.
        left_out: Protocols that the model cannot do.
        matches: What `precision` and `recall` are added up from, see `resampling`; `compare` draws from it.
    """

    model: str
    dataset: str
    settings: dict[str, Any]
    images: int
    whole: int
    means: dict[str, dict[str, float | None]]
    precision: dict[str, float | None]
    recall: dict[str, float | None]
    milliseconds: dict[str, float]
    published: list[dict[str, Any]]
    objects: dict[str, Any]
    problems: list[str]
    left_out: list[str]
    matches: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        samples: Sequence[Sample],
        records: dict[str, dict[str, Any]],
        settings: dict[str, Any],
        plan: Plan,
        problems: Sequence[str],
        *,
        whole: int,
    ) -> Report:
        """The report of finished images, from their records in the order of `samples`."""
        ordered = [records[sample.name] for sample in samples]
        rows = [
            (sample.name, row)
            for sample, record in zip(samples, ordered, strict=True)
            for row in record["objects"]
        ]
        names = list(dict.fromkeys(name for _, row in rows for name in row["values"]))
        truth = [row for record in ordered for row in record.get("truth", [])]
        found = {key: [row for r in ordered for row in r.get(key, [])] for key in ("found", "everything")}
        at = LVIS_MASKS if any(sample.checked is not None for sample in samples) else COCO_MASKS
        precise = precision_matches(truth, found["found"], samples, at) if plan.boxes_from else None
        recalled = recall_matches(truth, found["everything"], samples) if plan.everything else None
        return cls(
            model=settings["model"],
            dataset=dataset.name,
            settings=settings,
            images=len(samples),
            whole=whole,
            means={name: _mean(name, [row for _, row in rows]) for name in names},
            precision={} if precise is None else precision_scores(precise),
            recall={} if recalled is None else recall_scores(recalled),
            milliseconds=_medians(ordered),
            published=published(settings["model"], dataset.name, settings["teacher"]),
            objects={
                "image": [image for image, _ in rows],
                "id": [row["id"] for _, row in rows],
                "area": [row["area"] for _, row in rows],
                "values": {n: [row["values"].get(n, [None])[0] for _, row in rows] for n in names},
            },
            problems=list(problems),
            left_out=list(plan.left_out),
            matches=({} if precise is None else {"precision": precision_columns(precise)})
            | ({} if recalled is None else {"recall": recall_columns(recalled)}),
        )

    def markdown(self) -> str:
        """The report as a page."""
        return markdown(asdict(self))

    def write(self, folder: str | Path) -> None:
        """Write ``report.json`` and ``report.md``; plots and pictures are `plots.write_plots` and `worst.write_worst`.

        Raises:
            InputError: The folder cannot be written.
        """
        content = {"format": FORMAT, "lightsam_plugins": __version__, **asdict(self)}
        for name, text in (("report.json", json.dumps(content)), ("report.md", self.markdown())):
            with replacing(Path(folder) / name) as part:
                part.write_text(text, "utf-8")


def read_report(path: str | Path) -> Report:
    """A report that was written before.

    Args:
        path: The folder, or its ``report.json``.

    Raises:
        InputError: There is none.
    """
    file = Path(path) / "report.json" if Path(path).is_dir() else Path(path)
    try:
        content = json.loads(file.read_bytes())
        if content.pop("format") != FORMAT:
            raise ValueError("of another format")
        content.pop("lightsam_plugins")
        return Report(**content)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{str(file)!r} is no report of lightsam evaluate",
            got=str(error),
            hint="Pass the folder of its --out.",
        ) from error


def _mean(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    there = [(row["area"], row["values"][name]) for row in rows if name in row["values"]]
    result: dict[str, float | None] = {
        "iou": statistics.fmean(values[0] for _, values in there),
        "boundary": statistics.fmean(v[1] for _, v in there) if len(there[0][1]) > 1 else None,
        "objects": len(there),
    }
    for size, (low, high) in list(SIZES.items())[1:]:
        inside = [values[0] for area, values in there if low <= area < high]
        result[size] = statistics.fmean(inside) if inside else None
    return result


def _medians(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    names = dict.fromkeys(name for record in records for name in record["ms"])
    return {name: statistics.median(r["ms"][name] for r in records if name in r["ms"]) for name in names}
