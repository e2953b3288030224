"""Which plane of an image a viewer shows, and how a model gets to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from lightsam_napari.pixels import Contrast, Picture, channels, picture

if TYPE_CHECKING:
    from napari.components import ViewerModel

_OF_CHANNELS = {"visible", "colormap", "inserted", "removed"}


class View:
    """The settings of a session on images, which outlive each of them.

    Args:
        viewer: What shows them.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._versions: dict[Image, int] = {}
        self.contrast: Contrast = "as shown"
        self.mix = False  # add the other visible channels, in their colours

    def picture(self, image: Image) -> Picture:
        """The plane of an image that is shown.

        Raises:
            LightSamError: No plane of it is shown, or it cannot be mixed.
        """
        layers = channels(image, self._viewer.layers) if self.mix else [image]
        return picture(layers, self._viewer.dims, self.contrast, self._versions)

    def is_touched(self, event: Any) -> bool:
        """Whether what happened to a layer, or to the list of layers, may change what is shown; it is remembered."""
        if event.type == "data" and isinstance(layer := self._viewer.layers[event.index], Image):
            self._versions[layer] = self._versions.get(layer, 0) + 1
            return True
        return event.type == "contrast_limits" or (self.mix and event.type in _OF_CHANNELS)

    def forget(self, layer: Any) -> None:
        """A layer was removed."""
        self._versions.pop(layer, None)
