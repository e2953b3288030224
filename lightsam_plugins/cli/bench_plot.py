"""The table of ``lightsam bench`` as a picture (extra ``evaluate``)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lightsam_plugins.replacing import replacing


def plot(rows: Sequence[Mapping[str, Any]], work: Mapping[str, str], path: Path) -> None:
    """Write bars of milliseconds, a group for each kind of work and a bar for each model, as PNG.

    Args:
        rows: What was measured of each model; None for what was not.
        work: Key of a row -> heading.
        path: The file.

    Raises:
        InputError: It cannot be written.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(rows)
    for number, row in enumerate(rows):
        places = [place + (number - (len(rows) - 1) / 2) * width for place in range(len(work))]
        bars = axes.bar(
            places, [row[key] or 0 for key in work], width, label=f"{row['model']} ({row['device']})"
        )
        axes.bar_label(bars, [f"{row[key]:.0f}" if row[key] else "" for key in work], fontsize="small")
    axes.set_yscale("log")
    axes.set_xticks(range(len(work)), list(work.values()))
    axes.set_ylabel("ms (median)")
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    with replacing(path) as part:
        part.write_bytes(content.getvalue())
