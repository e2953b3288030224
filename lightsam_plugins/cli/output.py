"""What the commands share to talk to the user."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lightsam_plugins.errors import LightSamError

ERROR, SOME_FAILED, INTERRUPTED = 1, 3, 130  # exit codes; 2 is typer's, for wrong use

out = Console(highlight=False)  # results, so that they can be piped
err = Console(stderr=True, highlight=False)  # everything else


def say(text: str) -> None:
    """Print one line of status to stderr, unwrapped and without markup."""
    err.print(Text(text), soft_wrap=True)


def print_error(error: LightSamError) -> None:
    """Print an error as a short panel: what, expected, got, next step."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    for name, value in (("expected", error.expected), ("got", error.got), ("next", error.hint)):
        if value:
            rows.add_row(name, Text(value))
    content = Table.grid()
    content.add_row(Text(error.what, style="bold"))
    if rows.row_count:
        content.add_row(rows)
    title = Text(f"error: {type(error).__name__}", style="red")
    err.print(Panel(content, title=title, title_align="left", border_style="red"))


@contextmanager
def telling_warnings() -> Iterator[None]:
    """Print the warnings that come up as one line each, without the place in the source."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        say(f"warning: {warning.message}")


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout, and nothing else."""
    typer.echo(json.dumps(value, indent=2))


def megabytes(count: int) -> str:
    """A size for people: ``40.7 MB``."""
    return f"{count / 1e6:.1f} MB"
