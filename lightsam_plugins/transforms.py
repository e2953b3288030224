"""From an image to what a network sees: its frame and the resized, normalised, padded square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lightsam_plugins.images import load_image
from lightsam_plugins.pixel_values import UInt8Array, strips
from lightsam_plugins.plain_resize import resize_plain
from lightsam_plugins.types import Fit, Frame

if TYPE_CHECKING:
    import torch

__all__ = ["frame_for", "load_image", "preprocess", "resize"]

_GREY = 114  # YOLO's letterbox around the image, of 255


def frame_for(image: UInt8Array, *, side: int, fit: Fit) -> Frame:
    """How an (H, W, 3) image lies in an input frame of `side` pixels."""
    height, width = image.shape[:2]
    return Frame(height, width, side, fit)


def preprocess(
    image: UInt8Array, frame: Frame, *, side: int, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """The input of an encoder, as the official code of SAM makes it, or that of YOLO for a letterbox.

    Args:
        image: (H, W, 3) uint8 RGB.
        frame: How the image lies in the frame of the prompts.
        side: Side of the encoder's input in pixels; it may differ from ``frame.side``.
        mean: Channel means on the 0..255 scale.
        std: Channel standard deviations on that scale.

    Returns:
        (3, side, side) float32: the resized image less `mean` over `std`, at the top left; zeros elsewhere.
        For a letterbox (3, H, W), see `Frame.canvas`: the image in the middle of grey.
    """
    import torch

    fitted = replace(frame, side=side)
    (height, width), (left, top) = fitted.resized, fitted.offset
    shrink = resize_plain if frame.fit == "letterbox" else resize
    small = shrink(image, height, width).transpose(2, 0, 1).astype(np.float32)
    means, stds = (np.array(values, np.float32)[:, None, None] for values in (mean, std))
    canvas = torch.zeros(3, *fitted.canvas)
    if frame.fit == "letterbox":
        canvas += torch.from_numpy((_GREY - means) / stds)
    canvas[:, top : top + height, left : left + width] = torch.from_numpy((small - means) / stds)
    return canvas


def resize(image: UInt8Array, height: int, width: int) -> UInt8Array:
    """PIL's antialiased bilinear resize, without PIL's own copy of the whole image.

    Along x first and then along y, as PIL did when SAM was trained; since version 13 it swaps the two where
    the height shrinks far more than the width, which moves some values by one.

    Args:
        image: (H, W, 3) uint8.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        (height, width, 3) uint8.
    """
    # PIL rounds between the two, so that every strip of rows can be resized along x by itself.
    narrow = np.empty((image.shape[0], width, 3), np.uint8)
    for rows in strips(*image.shape[:2]):
        narrow[rows] = _resized(image[rows], rows.stop - rows.start, width)
    return _resized(narrow, height, width)


def _resized(image: UInt8Array, height: int, width: int) -> UInt8Array:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
