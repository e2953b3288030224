"""Command lines run in this process, and what they leave behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from lightsam_plugins.cli.app import build_app


def lightsam(*args: object) -> Result:
    """Run a command line in this process."""
    return CliRunner().invoke(build_app(), [str(arg) for arg in args])


def flat(text: str) -> str:
    """The words of a text, without the frames and line breaks of a terminal."""
    return " ".join(text.replace("│", " ").split())


def read(path: Path) -> np.ndarray:
    """The pixels of a picture."""
    with Image.open(path) as picture:
        return np.asarray(picture)
