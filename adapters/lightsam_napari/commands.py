"""Commands of the menus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightsam_napari.widget import LightSam

if TYPE_CHECKING:
    import napari.viewer


# Of the dock that napari's menus open, which look for it by this title.
_TITLE = "LightSAM (LightSAM)"


def segment_everything(viewer: napari.viewer.Viewer) -> None:
    """Find all objects of the plane that is shown, in the panel that is open, or in one that is opened."""
    docked = getattr(viewer.window, "dock_widgets", {}).values()
    panel = next((one for one in docked if isinstance(one, LightSam)), None)
    if panel is None:
        panel = LightSam(viewer)
        viewer.window.add_dock_widget(panel, name=_TITLE)
    panel.controller.batch.everything()
