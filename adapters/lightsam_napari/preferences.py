"""What a user sets once, in napari's Preferences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightsam_napari.controller import Controller

PLUGIN = "lightsam-plugins"


@dataclass(slots=True)
class Preferences:
    """The page "Segmentation" of the plugin's preferences.

    Args:
        model: Name of the model at the start.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        threads: Threads of the CPU that the model uses; 0 takes all cores but one.
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
    page = _page()
    if page is None:
        return Preferences()
    return Preferences(**{name: getattr(page, name) for name in Preferences.__slots__})


def adopt(controller: Controller, preferences: Preferences) -> None:
    """Let a controller go on with other preferences; a model that is not on the machine is only spoken of."""
    before, controller.preferences = controller.preferences, preferences
    controller.models.threads = preferences.threads
    controller.engine.cache.limit = preferences.cache_mb * 1_000_000
    if preferences.hover != before.hover and preferences.hover != controller.hover.on:
        controller.hover.toggle()
    model, device = preferences.model, preferences.device
    if (model, device) == (before.model, before.device):
        return
    if controller.models.missing(model):
        controller.message.emit(f"{model} is not on this machine: choose it in the panel to download it.")
    else:
        controller.change_model(model, device)


def watch_preferences(changed: Callable[[Preferences], None]) -> Callable[[], None]:
    """Tell of each change that a user makes while the panel is open.

    Returns:
        Ends it.
    """
    page = _page()
    if page is None:
        return lambda: None

    def tell() -> None:
        changed(read_preferences())

    signals = [getattr(page.events, name) for name in Preferences.__slots__]
    for signal in signals:
        signal.connect(tell)

    def end() -> None:
        for signal in signals:
            signal.disconnect(tell)

    return end


def _page() -> Any:
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(PLUGIN).segmentation
    except (ImportError, AttributeError, KeyError, ValueError):
        return None
