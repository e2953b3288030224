"""Plots of a report or of two: quality against latency, and quality by the size of the objects."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from lightsam_plugins.evaluation.report import Report
from lightsam_plugins.replacing import replacing

_DPI = 120
_CLICKS = "clicks"


def write_plots(reports: Sequence[Report], folder: str | Path) -> list[Path]:
    """Write ``quality-latency.png`` and ``quality-size.png``.

    Args:
        reports: One report, or several to be seen beside each other.
        folder: Where to.

    Returns:
        The files: none if no protocol with masks of single objects was measured.
    """
    if not any(report.means for report in reports):
        return []
    written = []
    for name, figure in (("quality-latency", latency(reports)), ("quality-size", sizes(reports))):
        path, content = Path(folder) / f"{name}.png", io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI)
        with replacing(path) as part:
            part.write_bytes(content.getvalue())
        written.append(path)
    return written


def prompt_time(report: Report, protocol: str) -> float | None:
    """Median milliseconds an image: encoding, and all prompts of a protocol; None where that was not timed.

    Clicks are timed together: after k of K clicks, k / K of it have passed.
    """
    times = report.milliseconds
    if protocol.endswith("click") and _CLICKS in times:
        part = int(protocol.split(maxsplit=1)[0]) / max(map(int, report.settings["protocols"]["clicks"]))
        return times["encode"] + times[_CLICKS] * part
    return times["encode"] + times[protocol] if protocol in times else None


def latency(reports: Sequence[Report]) -> Figure:
    """Mean IoU of each protocol against the time of an image, a line of dots a model."""
    figure = Figure((7, 4.5), layout="constrained")
    axes = figure.subplots()
    for report in reports:
        dots = [
            (time, 100 * float(row["iou"] or 0), name)
            for name, row in report.means.items()
            if (time := prompt_time(report, name)) is not None
        ]
        axes.plot([x for x, _, _ in dots], [y for _, y, _ in dots], "o", label=report.model)
        for x, y, name in dots:
            axes.annotate(name, (x, y), textcoords="offset points", xytext=(6, 4), fontsize=8)
    axes.set(xscale="log", ylim=(0, 100), xlabel="milliseconds an image (median)", ylabel="mIoU, %")
    axes.margins(x=0.25)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    _finish(axes, reports)
    return figure


def sizes(reports: Sequence[Report]) -> Figure:
    """Mean IoU by the size of the objects, bars of each protocol and model."""
    figure = Figure((7, 4.5), layout="constrained")
    axes = figure.subplots()
    groups = ("small", "medium", "large")
    rows = [(report, name) for report in reports for name in report.means]
    width = 0.8 / len(rows)
    for index, (report, name) in enumerate(rows):
        heights = [100 * (report.means[name][size] or 0) for size in groups]
        label = f"{report.model}, {name}" if len(reports) > 1 else name
        axes.bar([place + index * width for place in range(3)], heights, width * 0.92, label=label)
    centre = width * (len(rows) - 1) / 2
    axes.set_xticks([place + centre for place in range(3)], ["small, < 32²", "medium, < 96²", "large"])
    axes.set(ylim=(0, 100), xlabel="pixels of the object", ylabel="mIoU, %")
    _finish(axes, reports)
    return figure


def _finish(axes: Any, reports: Sequence[Report]) -> None:
    axes.set_title(reports[0].dataset)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
