"""Options that several commands share, and how coordinates are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lightsam_plugins.engines import ENGINES
from lightsam_plugins.registry import list_models

if TYPE_CHECKING:
    from lightsam_plugins.segmenter import Segmenter

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help="The model; [bold]lightsam models[/bold] lists them.",
        autocompletion=list_models,
        rich_help_panel="Model",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto, cpu, cuda, cuda:1 or mps; auto takes the fastest that is there.",
        rich_help_panel="Model",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A checkpoint of this model to use instead of its own; a folder where there are several.",
        rich_help_panel="Model",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What encodes images: torch; compile (slow start); openvino or onnxruntime, which are extras.",
        autocompletion=lambda: list(ENGINES),
        rich_help_panel="Model",
    ),
]


def load_model(name: str, device: str, weights: Path | None = None, engine: str = "torch") -> Segmenter:
    """The model, ready; torch is imported here and not before."""
    import lightsam_plugins

    return lightsam_plugins.load(name, device=device, weights=weights, engine=engine)


def refuse_extra(words: list[str]) -> None:
    """Refuse what is left over on the command line.

    Raises:
        typer.BadParameter: Something is; where it holds numbers, the message tells of the commas.
    """
    if not words:
        return
    numbers = any(word.replace(".", "", 1).isdecimal() for word in words)
    commas = "; coordinates are joined by commas, without spaces: --box 40,60,200,180 or --point 220,150"
    raise typer.BadParameter(f"unexpected: {' '.join(words)}{commas if numbers else ''}")


def parse_box(text: str) -> list[float]:
    """``x0,y0,x1,y1`` as four numbers.

    Raises:
        typer.BadParameter: It has another form.
    """
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a box; expected x0,y0,x1,y1 in pixels, such as 40,60,200,180",
            param_hint="--box",
        ) from None
    return [x0, y0, x1, y1]


def parse_point(text: str) -> tuple[list[float], int]:
    """``x,y`` or ``x,y,label`` as a position and a label: 1 on the object (default), 0 not on it.

    Raises:
        typer.BadParameter: It has another form.
    """
    x, y, label = (*text.split(","), "1")[:3] if text.count(",") in (1, 2) else ("", "", "")
    try:
        return [float(x), float(y)], {"1": 1, "0": 0}[label.strip()]
    except (ValueError, KeyError):
        raise typer.BadParameter(
            f"{text!r} is not a point; expected x,y for a click on the object or x,y,0 for one beside it",
            param_hint="--point",
        ) from None
