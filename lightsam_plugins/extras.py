"""What the extras of this package bring, asked for before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from lightsam_plugins.errors import MissingExtra


def require_packages(extra: str, packages: Sequence[str], what: str | None = None) -> None:
    """Check that packages are installed.

    Args:
        extra: The extra that brings them.
        packages: By the names that are imported.
        what: Who needs them, for the error; the extra where None.

    Raises:
        MissingExtra: One of them is not; the hint installs the extra.
    """
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise MissingExtra(
                f"{what or extra} needs {package}, which is not installed",
                got=str(error),
                hint=f'pip install "lightsam-plugins[{extra}]"',
            ) from error
