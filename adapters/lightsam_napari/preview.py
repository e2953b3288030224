"""The mask before it is kept: one small layer that is moved to wherever the mask is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lightsam_napari.layers import candidate_data, moved, new_candidate

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from lightsam_napari.planes import Plane
    from lightsam_plugins.upsample import Crop


class Preview:
    """Shows one mask over an image.

    Args:
        viewer: Where.
        image: Which image masks are of.
    """

    def __init__(self, viewer: ViewerModel, image: Image) -> None:
        self._viewer, self._image = viewer, image
        self.layer: Labels | None = None

    def show(self, crop: Crop, plane: Plane) -> None:
        """Show a mask, of the plane's pixels."""
        x0, y0, mask = crop
        if not mask.size:
            self.hide()
            return
        layer = self.layer or self._open(plane)
        origin = plane.to_data([[x0 + 0.5, y0 + 0.5]])[0]
        layer.data = candidate_data(mask, plane)
        layer.translate = moved(self._image, origin)
        if not layer.visible:
            layer.visible = True

    def hide(self) -> None:
        """Show nothing."""
        if self.layer is not None and self.layer.visible:
            self.layer.visible = False

    def forget(self, layer: Any) -> bool:
        """Let go of the layer where it is that one; whether it was."""
        mine = layer is not None and layer == self.layer
        if mine:
            self.layer = None
        return mine

    def close(self) -> None:
        """Remove the layer."""
        if self.layer is not None:
            layer, self.layer = self.layer, None
            with suppress(ValueError):  # it is gone already
                self._viewer.layers.remove(layer)

    def _open(self, plane: Plane) -> Labels:
        active = self._viewer.layers.selection.active
        self.layer = new_candidate(self._image, plane)
        self._viewer.add_layer(self.layer)
        # Below the prompts, which would be covered by it.
        self._viewer.layers.move(len(self._viewer.layers) - 1, self._viewer.layers.index(self._image) + 1)
        self._viewer.layers.selection.active = active
        return self.layer
