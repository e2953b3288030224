"""All that is known of one model, for ``lightsam models NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightsam_plugins.model_spec import ModelSpec, WeightFile

_PROMPTS = {
    "point": "clicks on the object",
    "negative_point": "clicks beside it",
    "box": "boxes",
    "mask": "an earlier mask",
    "text": "texts",
    "everything": "everything mode",
}


def card_table(card: ModelSpec) -> Table:
    """The card as two columns: what, and its value."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for what, value in _rows(card):
        table.add_row(what, Text(value))
    return table


def _rows(card: ModelSpec) -> Iterator[tuple[str, str]]:
    yield "name", card.name
    yield "parameters", f"{card.params:,}"
    yield (
        "image",
        f"{card.encoder_side} x {card.encoder_side} px, {card.fit}; prompts in {card.prompt_side}",
    )
    yield "prompts", ", ".join(text for prompt, text in _PROMPTS.items() if prompt in card.prompts)
    if card.point_slots:
        yield "", f"at most {card.point_slots} points an object, a box counting as two"
    yield "speed on a CPU", card.speed
    yield "licence of the code", card.licence_code
    yield "licence of the weights", card.licence_weights
    if card.licence_terms:
        yield "", f"to be accepted by name: {card.licence_terms}"
    yield "paper", card.paper
    yield "repository", card.repository
    if card.experimental:
        yield "experimental", "no output of the official implementation was compared"
    for file in card.files:
        yield from _file(file)
    for number, figure in enumerate(card.published):
        yield "" if number else "published", f"{figure.what}: {figure.value:g} ({figure.source})"
    yield "notes", card.notes


def _file(file: WeightFile) -> Iterator[tuple[str, str]]:
    yield (
        file.part or "weights",
        f"{file.filename}, {f'{file.size:,} bytes' if file.size else 'size not published'}",
    )
    if file.bundled:
        yield "", "inside the package"
    if file.repo:
        yield "", f"Hugging Face Hub {file.repo} ({file.revision})"
    if file.url:
        yield "", file.url
    if file.sha256:
        yield "", f"sha256 {file.sha256}"
    if file.git_blob:
        yield "", f"git blob {file.git_blob}"
    if file.weak:
        yield "", f"this hash is weak: {file.weak}"
