"""From the pixels of a layer, of any type and range, to the (H, W, 3) uint8 RGB that models see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lightsam_napari.layers import same_place
from lightsam_napari.planes import Plane, level_zero, shown_plane
from lightsam_plugins.errors import ImageError
from lightsam_plugins.images import load_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import Dims
    from napari.layers import Image, Layer
    from napari.utils import Colormap

    from lightsam_plugins.pixel_values import UInt8Array

Contrast = Literal["as shown", "percentiles"]
CONTRASTS: tuple[Contrast, ...] = get_args(Contrast)
_PERCENTILES = (1, 99)


@dataclass(frozen=True, eq=False, slots=True)
class Channel:
    """What is needed of one layer to make its part of the picture; read later, on another thread.

    Args:
        data: Its data at full resolution.
        plane: The plane in it.
        rgb: Whether the last axis is colours.
        limits: (low, high) that become black and white; None takes percentiles of the plane.
        colormap: The colours of a mix; None for grey.
    """

    data: Any
    plane: Plane
    rgb: bool
    limits: tuple[float, float] | None
    colormap: Colormap | None

    def picture(self) -> UInt8Array:
        """(H, W, 3) uint8 RGB."""
        pixels = self.plane.read(self.data)
        if pixels.dtype.kind not in "buif":
            raise ImageError("pixels of this type cannot be shown", expected="numbers", got=str(pixels.dtype))
        if self.rgb:
            return _colours(pixels)
        values = _scaled(pixels, self.limits)
        if self.colormap is None:
            return load_image(_bytes(values))
        colours = np.asarray(self.colormap.map(values.ravel()))[:, :3]
        return _bytes(colours.reshape(*values.shape, 3))


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """A plane to be encoded: one layer, or several in their colours, one added to another.

    Args:
        channels: At least one.
        key: Equal for equal pictures, and only then.
    """

    channels: tuple[Channel, ...]
    key: tuple[Any, ...]

    @property
    def plane(self) -> Plane:
        """The plane of the first layer, which prompts and masks refer to."""
        return self.channels[0].plane

    def read(self) -> UInt8Array:
        """(H, W, 3) uint8 RGB; the data is read here."""
        first, *others = (channel.picture() for channel in self.channels)
        if not others:
            return first
        total = first.astype(np.uint16)
        for other in others:
            total += other
        return np.minimum(total, 255).astype(np.uint8)


def picture(
    layers: Sequence[Image], dims: Dims, contrast: Contrast, versions: dict[Image, int] | None = None
) -> Picture:
    """What a viewer shows of some layers, ready to be read.

    Args:
        layers: One, or several of one shape that are mixed in their colours.
        dims: Those of the viewer.
        contrast: ``"as shown"`` takes the layer's contrast limits, ``"percentiles"`` the 1st and 99th of the plane.
        versions: How often the data of each layer was changed, for the key.

    Raises:
        ImageError: A layer shows no plane, or those of a mix have different shapes.
    """
    planes = [shown_plane(layer, dims) for layer in layers]
    if len({plane.shape for plane in planes}) > 1:
        raise ImageError(
            "the layers of a mix have different shapes",
            expected=f"all {planes[0].shape}",
            got=", ".join(f"{layer.name} {plane.shape}" for layer, plane in zip(layers, planes, strict=True)),
            hint="Hide those that do not belong to the image.",
        )
    channels, keys = [], []
    for layer, plane in zip(layers, planes, strict=True):
        low, high = layer.contrast_limits if not layer.rgb else (0.0, 1.0)
        limits = (float(low), float(high)) if contrast == "as shown" else None
        colormap = layer.colormap if len(layers) > 1 and not layer.rgb else None
        channels.append(Channel(level_zero(layer), plane, bool(layer.rgb), limits, colormap))
        name = None if colormap is None else colormap.name
        keys.append((layer.unique_id, (versions or {}).get(layer, 0), plane, layer.rgb or limits, name))
    return Picture(tuple(channels), tuple(keys))


def channels(image: Image, layers: Sequence[Layer]) -> list[Image]:
    """An image and the visible ones among some layers that have its shape: the channels of a mix.

    Raises:
        ImageError: One of them lies elsewhere, so that its pixels are not those of the image.
    """
    from napari.layers import Image

    found = [
        layer
        for layer in layers
        if isinstance(layer, Image) and layer != image and layer.visible
        and not layer.multiscale and layer.data.shape == image.data.shape
    ]  # fmt: skip
    for layer in found:
        if not same_place(layer, image) or tuple(layer.units) != tuple(image.units):
            raise ImageError(
                f"the channel {layer.name!r} does not lie on {image.name!r}",
                expected="the same scale, position, rotation and units",
                hint='Hide it, or take "mix visible channels" off.',
            )
    return [image, *found]


def _scaled(pixels: npt.NDArray[Any], limits: tuple[float, float] | None) -> npt.NDArray[np.float32]:
    """Values between the limits as 0..1; NaN is black, infinity black or white."""
    values = pixels.astype(np.float32)
    if limits is None:
        finite = values[np.isfinite(values)]
        limits = tuple(np.percentile(finite, _PERCENTILES)) if finite.size else (0.0, 1.0)
    low, high = limits
    if high <= low:
        return np.zeros(values.shape, np.float32)
    scaled = np.nan_to_num((values - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    return np.asarray(scaled.clip(0, 1), np.float32)


def _colours(pixels: npt.NDArray[Any]) -> UInt8Array:
    """RGB or RGBA pixels; floats are 0..1, as napari has them."""
    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    return load_image(pixels)


def _bytes(values: npt.NDArray[Any]) -> UInt8Array:
    return (values * 255 + 0.5).astype(np.uint8)
