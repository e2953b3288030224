"""A report as a page of Markdown, with what papers say beside what was measured."""

from __future__ import annotations

from typing import Any

_SHOWN = 50  # problems; all are in the JSON


def markdown(report: dict[str, Any]) -> str:
    """The page of a report, given as a dict of its fields."""
    parts = [
        f"# {report['model']} on {report['dataset']}",
        f"{report['images']} of {report['whole']} images. Quality in percent, times in milliseconds.",
    ]
    if report["means"]:
        parts.append(_means(report))
    if report["precision"]:
        parts.append("Average precision with the boxes of a detector:\n\n" + _row(report["precision"]))
    if report["recall"]:
        parts.append("Average recall of everything mode, without categories:\n\n" + _row(report["recall"]))
    if report["published"]:
        parts.append(_published(report))
    if report["milliseconds"]:
        times = "; ".join(f"{name} {value:.0f}" for name, value in report["milliseconds"].items())
        parts.append(f"Median milliseconds an image, all prompts of a protocol together: {times}.")
    if report["left_out"]:
        parts.append("Not measured: " + "; ".join(report["left_out"]) + ".")
    if report["problems"]:
        listed = "\n".join(f"- {text}" for text in report["problems"][:_SHOWN])
        more = len(report["problems"]) - _SHOWN
        parts.append(f"Not usable:\n\n{listed}" + (f"\n- and {more} more" if more > 0 else ""))
    return "\n\n".join(parts) + "\n"


def percent(value: float | None) -> str:
    """A number of 0..1 in percent, with one digit."""
    return "–" if value is None else f"{100 * value:.1f}"


def _means(report: dict[str, Any]) -> str:
    lines = ["| protocol | mIoU | boundary IoU | small | medium | large | objects |", "|---" * 7 + "|"]
    for name, row in report["means"].items():
        cells = [percent(row[key]) for key in ("iou", "boundary", "small", "medium", "large")]
        lines.append(f"| {name} | {' | '.join(cells)} | {row['objects']} |")
    return "\n".join(lines)


def _row(scores: dict[str, float | None]) -> str:
    return "\n".join(
        [
            "| " + " | ".join(scores) + " |",
            "|---" * len(scores) + "|",
            "| " + " | ".join(map(percent, scores.values())) + " |",
        ]
    )


def measured(report: dict[str, Any], entry: dict[str, Any]) -> float | None:
    """The measured number that a published one is about, in 0..1; None if it was not measured."""
    protocol, metric = entry["protocol"], entry["metric"]
    if protocol == "boxes-from":
        found: float | None = report["precision"].get(metric)
    elif protocol == "everything":
        found = report["recall"].get(metric)
    else:
        found = report["means"].get(protocol, {}).get("iou" if metric == "mIoU" else metric.split()[-1])
    return found


def _published(report: dict[str, Any]) -> str:
    lines = ["| protocol | metric | published | measured | source |", "|---" * 5 + "|"]
    for entry in report["published"]:
        number = measured(report, entry)
        value = "not measured" if number is None else percent(number)
        lines.append(
            f"| {entry['protocol']} | {entry['metric']} | {entry['value']} | {value} | {entry['source']} |"
        )
    text = (
        "Published numbers are on the whole validation set; AP depends on the detector whose boxes were used."
    )
    return text + "\n\n" + "\n".join(lines)
