"""``lightsam export``: a model as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lightsam_plugins.cli.options import Weights, load_model
from lightsam_plugins.cli.output import megabytes, out, say
from lightsam_plugins.engines import PACKAGES
from lightsam_plugins.extras import require_packages
from lightsam_plugins.registry import list_models, model_card


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog="Examples:\n\n  lightsam export mobilesam --out mobilesam-onnx")(export)


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model.", autocompletion=list_models)],
    folder: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the files; it is made if needed.")
    ],
    weights: Weights = None,
) -> None:
    """Write a model as ONNX files, for programs without torch.

    These are the encoder, the decoder, and JSON that tells how to use them. Both are run by ONNX Runtime and compared
    with torch; a difference above 0.001 is an error.
    """
    model_card(name)  # a wrong name and a missing extra are told before torch is imported
    require_packages("export", PACKAGES["onnxruntime"])
    from lightsam_plugins.export import export_onnx

    say(f"{name}: exporting, which takes a minute")
    table = Table("file", "size", "largest difference from torch", box=None, padding=(0, 2, 0, 0))
    for one in export_onnx(load_model(name, "cpu", weights), folder):
        table.add_row(str(one.path), megabytes(one.path.stat().st_size), f"{one.difference:.1e}")
    out.print(table)
    say(f"wrote {folder / 'model.json'}, which says how to use them")
