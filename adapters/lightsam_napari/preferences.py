"""What a user sets once, in napari's Preferences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PLUGIN = "lightsam-plugins"


@dataclass(slots=True)
class Preferences:
    """The page "Segmentation" of the plugin's preferences.

    Args:
        model: Name of the model at the start.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        threads: Threads of the CPU that the model uses; 0 leaves it to torch.
        cache_mb: Memory for planes that were read, in MB.
        hover: Show the mask under the mouse before it is clicked.
    """

    model: str = "nano"
    device: str = "auto"
    threads: int = 0
    cache_mb: int = 500
    hover: bool = True


def read_preferences() -> Preferences:
    """The user's preferences; the defaults where this napari (before 0.9) has none for plugins, or none were made."""
    try:
        from napari.settings import get_plugin_settings

        page: Any = get_plugin_settings(PLUGIN).segmentation
    except (ImportError, AttributeError, KeyError, ValueError):
        return Preferences()
    return Preferences(**{name: getattr(page, name) for name in Preferences.__slots__})
