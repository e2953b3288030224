"""Commands of the menus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightsam_napari.preferences import PLUGIN

if TYPE_CHECKING:
    import napari.viewer


def segment_everything(viewer: napari.viewer.Viewer) -> None:
    """Open the panel and find all objects of the plane that is shown."""
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, "LightSAM")
    panel.controller.batch.everything()
