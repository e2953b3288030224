"""Checkpoints: fetched and verified, read without running anything in them, put into networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightsam_plugins.weights.cache import cache_dir
from lightsam_plugins.weights.fetching import fetch, is_downloaded

if TYPE_CHECKING:
    from lightsam_plugins.weights.fitting import load_into
    from lightsam_plugins.weights.reading import read_tensors

__all__ = ["cache_dir", "fetch", "is_downloaded", "load_into", "read_tensors"]


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use only: listing and downloading models does without."""
    if name == "load_into":
        from lightsam_plugins.weights.fitting import load_into

        return load_into
    if name == "read_tensors":
        from lightsam_plugins.weights.reading import read_tensors

        return read_tensors
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
