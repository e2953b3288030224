"""``lightsam bench``: how fast the models are on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lightsam_plugins.cli.options import Device, Engine, load_model
from lightsam_plugins.cli.output import out, print_json, say
from lightsam_plugins.extras import require_packages
from lightsam_plugins.registry import list_models

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightsam_plugins.segmenter import Segmenter

_EPILOG = """Examples:

  lightsam bench

  lightsam bench nano mobilesam --rounds 20

  lightsam bench --no-everything --json > bench.json"""

_COLUMNS = {
    "encode": "encode",
    "box": "1 box",
    "boxes": "100 boxes",
    "everything": "everything",
}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=_EPILOG)(bench)


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Models; nano if left out.", autocompletion=list_models),
    ] = None,
    device: Device = "auto",
    engine: Engine = "torch",
    rounds: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Calls of each kind; the median counts.")
    ] = 5,
    everything: Annotated[bool, typer.Option(help="Also time everything mode, which takes long.")] = True,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Also draw the times, as PNG. Needs lightsam-plugins\\[evaluate]."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in milliseconds and bytes.")] = False,
) -> None:
    """Time models on a photo that comes with the package."""
    if picture is not None:
        require_packages("evaluate", ("matplotlib",))
    rows = []
    for name in names or ["nano"]:
        say(f"{name}: loading")
        model = load_model(name, device, engine=engine)
        say(f"{name}: timing on {model.device}")
        rows.append(
            {"model": name, "device": str(model.device), **_measure(model, rounds, everything=everything)}
        )
    if picture is not None:
        from lightsam_plugins.cli.bench_plot import plot

        plot(rows, _COLUMNS, picture)
        say(f"wrote {picture}")
    if as_json:
        print_json(rows)
    else:
        out.print(_table(rows))


def _measure(model: Segmenter, rounds: int, *, everything: bool) -> dict[str, float | int | None]:
    """Milliseconds of each kind of work, masks cut out at full size included, and the peak of memory in bytes."""
    from lightsam_plugins.cli.demo_cases import load_photo

    photo = load_photo("coffee")
    embedding = model.embed(photo)
    boxes = _grid_of_boxes(*embedding.size)
    return {
        "encode": _milliseconds(lambda: model.embed(photo), rounds),
        "box": _milliseconds(lambda: model.segment(embedding, boxes=boxes[:1]).crops(), rounds),
        "boxes": _milliseconds(lambda: model.segment(embedding, boxes=boxes).crops(), rounds),
        "everything": _milliseconds(lambda: model.everything(photo).crops(), 1) if everything else None,
        "peak_bytes": _peak(str(model.device)),
    }


def _grid_of_boxes(height: int, width: int) -> list[list[float]]:
    """The image cut into 10 x 10 boxes."""
    return [
        [width * x / 10, height * y / 10, width * (x + 1) / 10, height * (y + 1) / 10]
        for y in range(10)
        for x in range(10)
    ]


def _milliseconds(work: Callable[[], object], rounds: int) -> float:
    from lightsam_plugins.timing import timed

    if rounds > 1:  # the first call of a kind also pays for memory and compiled kernels
        work()
    return median(timed(work)[1] for _ in range(rounds))


def _peak(device: str) -> int | None:
    """The most memory so far: of the GPU on CUDA, else of the whole process; None where the system does not tell."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        box=None,
        padding=(0, 2, 0, 0),
        caption="Medians in ms, the photo of 600 x 400 px; boxes without encoding, everything with it. The peak is\n"
        "that of the process so far (on CUDA: of the GPU): measure one model at a time to compare it.",
        caption_justify="left",
    )
    table.add_column("model", no_wrap=True)
    for heading in (*_COLUMNS.values(), "images/s", "peak memory"):
        table.add_column(heading, justify="right")
    for row in rows:
        times = ["–" if row[key] is None else f"{row[key]:.1f}" for key in _COLUMNS]
        peak = "–" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:.0f} MB"
        table.add_row(f"{row['model']} ({row['device']})", *times, f"{1e3 / row['encode']:.1f}", peak)
    return table
