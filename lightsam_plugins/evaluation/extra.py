"""The extra that evaluation needs, asked for before any work is done."""

from __future__ import annotations

from importlib import import_module

from lightsam_plugins.errors import MissingExtra

PACKAGES = ("cv2", "matplotlib", "skimage")


def require_extra() -> None:
    """Check that everything of the extra ``evaluate`` is installed.

    Raises:
        MissingExtra: Something is not.
    """
    for package in PACKAGES:
        try:
            import_module(package)
        except ImportError as error:
            raise MissingExtra(
                f"evaluation needs {package}, which is not installed",
                got=str(error),
                hint='pip install "lightsam-plugins[evaluate]"',
            ) from error
