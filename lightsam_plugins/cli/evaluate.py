"""``lightsam evaluate`` and ``lightsam compare``: how good masks are, by the protocols of the papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lightsam_plugins.cli.options import Device, Engine, Weights

_EPILOG = """Examples:

  lightsam evaluate --model nano --images val2017 --annotations instances_val2017.json --limit 100 --out nano-report

  lightsam evaluate -m nano --images nuclei --annotations nuclei-labels --protocol box,1click,3click --out nuclei-report

  lightsam evaluate -m grabcut --images val2017 --annotations instances_val2017.json --protocol box --out grabcut-report

Stopped half-way, the same command goes on where it was. Exit codes: 0 done, 3 some images or annotations could not \
be used, 130 interrupted, 2 wrong use, 1 another error."""
_COMPARE = """Examples:

  lightsam compare nano-report grabcut-report --out nano-grabcut"""
_DATA, _WHAT, _OUT = "Data", "What is measured", "Output"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(epilog=_EPILOG)(evaluate)
    app.command(epilog=_COMPARE)(compare)


def _option(panel: str, text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=text, metavar=metavar, rich_help_panel=panel)


def evaluate(
    images: Annotated[Path, _option(_DATA, "Folder of the images.", metavar="DIR")],
    annotations: Annotated[
        Path, _option(_DATA, "COCO or LVIS JSON, or a folder of label maps (PNG, TIFF).", metavar="FILE|DIR")
    ],
    out: Annotated[
        Path, _option(_OUT, "Folder of the report; made if it is not there.", "--out", "-o", metavar="DIR")
    ],
    model: Annotated[
        str,
        _option(
            "Model",
            "A model, or filled-box, grabcut or random-walker, which models have to beat.",
            "--model",
            "-m",
            metavar="NAME",
        ),
    ] = "nano",
    protocol: Annotated[
        str,
        _option(
            _WHAT,
            "Joined by commas: box, 1click, 3click (any number), everything, boxes-from, teacher.",
            metavar="NAMES",
        ),
    ] = "box,1click,3click",
    boxes_from: Annotated[
        Path | None, _option(_WHAT, "Boxes of a detector (COCO results); adds boxes-from.", metavar="FILE")
    ] = None,
    teacher: Annotated[
        str | None, _option(_WHAT, "A model to agree with; adds teacher.", metavar="NAME")
    ] = None,
    everything: Annotated[
        str | None,
        _option(
            _WHAT, "Its options, such as pred_iou_thresh=0.3,hierarchical=true.", metavar="NAME=VALUE,..."
        ),
    ] = None,
    limit: Annotated[
        int | None, _option(_DATA, "Only so many images, from the beginning.", metavar="N")
    ] = None,
    dataset: Annotated[
        str | None,
        _option(_DATA, "coco or lvis, to see what papers say of a file of another name.", metavar="NAME"),
    ] = None,
    batch_size: Annotated[int, _option("Model", "Images encoded at once.")] = 4,
    restart: Annotated[bool, _option(_OUT, "Forget what is finished and start over.", "--restart")] = False,
    device: Device = "auto",
    weights: Weights = None,
    engine: Engine = "torch",
) -> None:
    """Measure a model on annotated images; write a report.

    The report is JSON and Markdown, with plots and a grid of the worst answers.
    """
    from lightsam_plugins.cli.evaluate_run import Job, run

    job = Job(
        images,
        annotations,
        out,
        model,
        protocol,
        boxes_from,
        teacher,
        everything,
        limit,
        dataset,
        batch_size,
        restart,
        device,
        weights,
        engine,
    )
    if code := run(job):
        raise typer.Exit(code)


def compare(
    first: Annotated[Path, typer.Argument(metavar="REPORT", help="Folder of a report.")],
    second: Annotated[Path, typer.Argument(metavar="REPORT", help="Folder of another, of the same images.")],
    out: Annotated[
        Path | None, _option(_OUT, "Also write comparison.md and plots here.", "--out", "-o", metavar="DIR")
    ] = None,
) -> None:
    """Compare two reports, with 95 % confidence intervals."""
    from lightsam_plugins.cli.evaluate_run import run_compare

    run_compare(first, second, out)
