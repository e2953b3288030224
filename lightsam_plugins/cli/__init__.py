"""The command line, ``lightsam``. Nothing here imports torch before a command needs it."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the entry of the console script."""
    from lightsam_plugins.cli.app import build_app

    build_app()(prog_name="lightsam")
