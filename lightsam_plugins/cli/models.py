"""``lightsam models`` and ``lightsam download``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from lightsam_plugins.cli.output import megabytes, out, print_json, say
from lightsam_plugins.licences import require_licence
from lightsam_plugins.registry import ModelSpec, list_models, model_card

_SHORT = {"point": "point", "negative_point": "±", "box": "box", "mask": "mask", "text": "text"}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples:\n\n  lightsam models\n\n  lightsam models --json | jq '.[].name'",
    )(models)
    app.command(
        epilog="Examples:\n\n  lightsam download mobilesam\n\n"
        "  LIGHTSAM_CACHE=/data/models lightsam download mobilesam",
    )(download)


def models(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the whole card of every model.")
    ] = False,
) -> None:
    """List the models: size, prompts, licence, downloaded."""
    cards = [model_card(name) for name in list_models()]
    if as_json:
        print_json([_as_dict(card) for card in cards])
        return
    table = Table(
        box=box.SIMPLE_HEAD,
        caption="± negative clicks too. Licence: of the weights. lightsam download NAME fetches one.\n"
        "* experimental: not compared with the official implementation yet.\n"
        "† the hash of a file is weak, see --trust of lightsam download.",
        caption_justify="left",
        show_edge=False,
        padding=(0, 0),
    )
    for heading in ("name", "params", "prompts", "licence", "size", "on disk"):
        table.add_column(
            heading,
            justify="right" if heading in ("params", "size") else "left",
            no_wrap=True,  # a name that is cut off cannot be typed
        )
    for card in cards:
        table.add_row(
            card.name + _marks(card),
            f"{card.params / 1e6:.1f} M",
            " ".join(short for prompt, short in _SHORT.items() if prompt in card.prompts),
            card.licence_weights,
            _size(card),
            _where(card),
        )
    out.print(table)


def download(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Models to fetch.", autocompletion=list_models)
    ],
    accept_licence: Annotated[
        str | None,
        typer.Option(metavar="LICENCE", help="Accept this licence, by its name, for models that ask for it."),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Where a hash is weak (others than the authors published it), take the file by its size.",
        ),
    ] = False,
) -> None:
    """Fetch and verify the weights of models, for offline use."""
    from lightsam_plugins.weights import fetch

    cards = [model_card(name) for name in names]
    for card in cards:  # a wrong name, or a licence that is not accepted, stops it before the first byte
        require_licence(card, accept_licence)
    for card in cards:
        for file in card.files:
            if file.weak:
                say(f"{card.name}: the hash of {file.filename} is weak: {file.weak}")
            path = fetch(card, file, trust=trust)
            say(f"{card.name}: {path} ({megabytes(path.stat().st_size)}, {card.licence_weights})")


def _marks(card: ModelSpec) -> str:
    marks = "*" * card.experimental + "†" * any(file.weak for file in card.files)
    return f" {marks}" if marks else ""


def _size(card: ModelSpec) -> str:
    sizes = [file.size for file in card.files]
    return megabytes(sum(sizes)) if all(sizes) else "?"


def _where(card: ModelSpec) -> str:
    from lightsam_plugins.weights import is_downloaded

    if card.weights.bundled:
        return "bundled"
    return "yes" if is_downloaded(card) else "no"


def _as_dict(card: ModelSpec) -> dict[str, Any]:
    from lightsam_plugins.weights import is_downloaded

    path = is_downloaded(card)
    values = {
        key: sorted(value) if isinstance(value, frozenset) else value for key, value in asdict(card).items()
    }
    return values | {"downloaded": None if path is None else str(path)}
