"""The mask before it is kept: one small layer that is moved to wherever the mask is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from lightsam_napari.layers import candidate_data, moved, new_candidate

if TYPE_CHECKING:
    import numpy.typing as npt
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
        self.shown = False

    def show(self, crop: Crop, plane: Plane) -> None:
        """Show a mask, of the plane's pixels."""
        x0, y0, mask = crop
        if not mask.size:
            self.hide()
            return
        layer = self.layer or self._open(plane)
        origin = moved(self._image, plane.to_data([[x0 + 0.5, y0 + 0.5]])[0])
        self.shown = True
        _put(layer, candidate_data(mask, plane), origin)

    def hide(self) -> None:
        """Show nothing: one transparent pixel, as to take the layer from the scene and back costs a rebuild of it."""
        if self.layer is not None and self.shown:
            self.shown = False
            _put(self.layer, np.zeros((1,) * self.layer.ndim, np.uint8), self.layer.translate)

    def forget(self, layer: Any) -> bool:
        """Let go of the layer where it is that one; whether it was."""
        mine = layer is not None and layer == self.layer
        if mine:
            self.layer, self.shown = None, False
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


def _put(layer: Labels, data: npt.NDArray[np.uint8], translate: npt.NDArray[np.float64]) -> None:
    """Set data and place in one refresh of the scene, instead of one each.

    The viewer works out its extent anew after each of these events; what is put lies in the image, which has that
    extent already.
    """
    with layer.events.blocker_all():
        layer.translate = translate
        layer.data = data
    layer.refresh(extent=False, highlight=False)
