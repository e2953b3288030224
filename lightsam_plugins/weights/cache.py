"""Where downloaded checkpoints live, and whether the network may be used."""

from __future__ import annotations

import os
from pathlib import Path

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_OFFLINE = ("LIGHTSAM_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def cache_dir() -> Path:
    """Folder of the files this package downloads itself: LIGHTSAM_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("LIGHTSAM_CACHE"):
        return Path(chosen).expanduser()
    return _user_cache() / "lightsam"


def hub_dir(chosen: Path | None = None) -> Path:
    """Folder of the files from the Hugging Face Hub, in the layout of huggingface_hub.

    The variables are read at every call, while huggingface_hub reads them once, when it is imported.

    Args:
        chosen: A cache folder that the caller asked for; it holds both kinds of files.
    """
    if chosen is not None:
        return chosen / "hub"
    if os.environ.get("LIGHTSAM_CACHE"):
        return cache_dir() / "hub"
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if place := os.environ.get(variable):
            return Path(os.path.expandvars(place)).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(os.path.expandvars(home)).expanduser() / "hub"
    return _user_cache() / "huggingface" / "hub"


def offline_variable() -> str | None:
    """The environment variable that forbids the network; None where none does."""
    return next((name for name in _OFFLINE if os.environ.get(name, "").upper() in _TRUE), None)


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
