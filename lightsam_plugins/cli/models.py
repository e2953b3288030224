"""``lightsam models`` and ``lightsam download``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from lightsam_plugins.cards import clip
from lightsam_plugins.cli.card import card_table
from lightsam_plugins.cli.output import megabytes, out, print_json, say
from lightsam_plugins.licences import require_licence
from lightsam_plugins.registry import ModelSpec, list_models, model_card

_SHORT = {"point": "clicks", "negative_point": "±", "box": "box", "mask": "mask", "text": "text"}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples:\n\n  lightsam models\n\n  lightsam models mobilesam\n\n"
        "  lightsam models --json | jq '.[].name'",
    )(models)
    app.command(
        epilog="Examples:\n\n  lightsam download mobilesam\n\n  lightsam download text\n\n"
        "  LIGHTSAM_CACHE=/data/models lightsam download mobilesam",
    )(download)


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]", help="Show all that is known of these.", autocompletion=list_models
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the whole card of every model, or of those named.")
    ] = False,
) -> None:
    """List the models: size, prompts, licence, downloaded."""
    cards = [model_card(name) for name in names or list_models()]
    if as_json:
        print_json([_as_dict(card) for card in cards])
    elif names:
        for card in cards:
            out.print(card_table(card))
    else:
        _list(cards)


def _list(cards: list[ModelSpec]) -> None:
    table = Table(
        box=box.SIMPLE_HEAD,
        caption="M par.: millions of parameters. ±: clicks beside the object too.\n"
        "Licence: of the weights. † the hash of a file is weak, see download --trust.\n"
        "* experimental: not compared with the official implementation yet.\n"
        "lightsam models NAME shows all that is known, lightsam download NAME fetches\n"
        "one, lightsam download text what text prompts need.",
        caption_justify="left",
        show_edge=False,
        padding=(0, 0),
    )
    for heading in ("name", "M par.", "prompts", "licence", "MB", "disk"):
        table.add_column(
            heading,
            justify="right" if heading in ("M par.", "MB") else "left",
            no_wrap=True,  # a name that is cut off cannot be typed
        )
    for card in cards:
        table.add_row(
            card.name + _marks(card),
            f"{card.params / 1e6:.1f}",
            " ".join(short for prompt, short in _SHORT.items() if prompt in card.prompts),
            card.licence_weights,
            _size(card),
            _where(card),
        )
    out.print(table)


def download(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Models to fetch; text is CLIP, for text prompts.",
            autocompletion=lambda: [*list_models(), clip.NAME],
        ),
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

    cards = [clip.CLIP if name == clip.NAME else model_card(name) for name in names]
    for card in cards:  # a wrong name, or a licence that is not accepted, stops it before the first byte
        require_licence(card, accept_licence)
    for card in cards:
        for file in card.files:
            if file.weak:
                say(f"{card.name}: the hash of {file.filename} is weak: {file.weak}")
            path = fetch(card, file, trust=trust, by_hand=clip.BY_HAND if card is clip.CLIP else None)
            say(f"{card.name}: {path} ({megabytes(path.stat().st_size)}, {card.licence_weights})")


def _marks(card: ModelSpec) -> str:
    marks = "*" * card.experimental + "†" * any(file.weak for file in card.files)
    return f" {marks}" if marks else ""


def _size(card: ModelSpec) -> str:
    sizes = [file.size for file in card.files]
    return f"{sum(sizes) / 1e6:.0f}" if all(sizes) else "?"


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
