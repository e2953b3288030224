"""The typer application: its commands, `--version`, `--debug`, and how errors end it."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lightsam_plugins.cli import bench, demo, doctor, evaluate, everything, export, models, segment
from lightsam_plugins.cli.output import ERROR, INTERRUPTED, print_error, say
from lightsam_plugins.errors import LightSamError

_DEBUG = "--debug"


class _Group(TyperGroup):
    """Turns the errors of the package into a panel and an exit code, for every command at once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept `--debug` anywhere on the line, since it is typed after the command that failed."""
        options = args[: args.index("--")] if "--" in args else args
        if _DEBUG in options:
            args = [_DEBUG, *(arg for arg in options if arg != _DEBUG), *args[len(options) :]]
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """As typer has it, but a flag shows no type: <bool> reads as if a value had to follow."""
        return _bare_flags(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The same for the flags of a command."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _bare_flags(command.get_params(ctx))
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a `LightSamError` is printed, unless `--debug` asks for the traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except LightSamError as error:
            if ctx.params.get("debug"):
                raise
            print_error(error)
            raise typer.Exit(ERROR) from None


def _bare_flags(options: list[Any]) -> list[Any]:
    for option in options:
        if getattr(option, "is_flag", False):
            option.metavar = ""
    return options


def _print_version(wanted: bool) -> None:
    if wanted:
        from lightsam_plugins._version import __version__

        typer.echo(f"lightsam {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option(_DEBUG, help="Show the traceback of an error. May stand anywhere on the line.")
    ] = False,
) -> None:
    """Segment anything in your photos, with models small enough for a laptop.

    Coordinates are pixels of the photo: x to the right, y down, (0, 0) at the top left corner.
    """


def build_app() -> typer.Typer:
    """The application with all its commands."""
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Start with [bold]lightsam demo[/bold], then lightsam COMMAND --help.\n\n"
        "Exit codes: 0 fine, 1 an error, 2 wrong use, 3 some images failed, 130 interrupted.",
    )
    app.callback()(_root)
    for module in (demo, segment, everything, evaluate, models, export, bench, doctor):
        module.register(app)
    for adapter in sorted(entry_points(group="lightsam_plugins.commands"), key=lambda entry: entry.name):
        app.add_typer(adapter.load(), name=adapter.name)
    return app
