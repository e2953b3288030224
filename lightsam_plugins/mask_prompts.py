"""Masks of pixels as prompts: the logits that stand for a mask that no network made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lightsam_plugins.errors import PromptError
from lightsam_plugins.types import LOW_RES, FloatArray, Frame
from lightsam_plugins.upsample import tighten

if TYPE_CHECKING:
    from lightsam_plugins.types import ArrayLike
    from lightsam_plugins.upsample import Crop

LEVEL = 8.0  # logits of a cell that lies inside the mask altogether; about what networks of the family answer


def mask_logits(crops: Sequence[Crop], frame: Frame) -> FloatArray:
    """Logits for `mask_input`, from masks in pixels of the image.

    A cell's logit is proportional to how much of it the mask covers, so that 0 is where half of it is covered.

    Args:
        crops: N masks ``(x0, y0, mask)``, as of `Masks.crops`; in pixels of the image, all inside of it.
        frame: How the image lies in the input frame of the model (`Masks.frame`, `Embedding.frame`).

    Returns:
        (N, 256, 256) float32.
    """
    logits = np.full((len(crops), LOW_RES, LOW_RES), -LEVEL, np.float32)
    for image, crop in zip(logits, crops, strict=True):
        if (tight := tighten(crop))[2].size:
            _draw(image, tight, frame)
    return logits


def rough_logits(masks: ArrayLike, frame: Frame) -> FloatArray:
    """Logits for `mask_input`, from whatever a user has: masks of pixels, or logits.

    Args:
        masks: (N, H, W) or (H, W) in pixels of the image, bool or numbers that are above 0 inside; or floats of
            (N, 256, 256) or (256, 256), which are taken for logits and returned as they are.
        frame: How the image lies in the input frame of the model.

    Returns:
        (N, 256, 256) float32.

    Raises:
        PromptError: Neither of the two.
    """
    array = np.asarray(masks.cpu() if hasattr(masks, "cpu") else masks)
    dense = array[None] if array.ndim == 2 else array
    if array.dtype.kind == "f" and dense.shape[1:] == (LOW_RES, LOW_RES):
        return dense.astype(np.float32)
    if dense.ndim != 3 or dense.shape[1:] != (frame.height, frame.width) or array.dtype.kind not in "bifu":
        raise PromptError(
            "masks do not fit the image",
            expected=f"(N, {frame.height}, {frame.width}) bool, or (N, {LOW_RES}, {LOW_RES}) float logits",
            got=f"{array.shape} {array.dtype}",
            hint="Masks are in pixels of the original image, not of a resized one.",
        )
    return mask_logits([(0, 0, mask > 0) for mask in dense], frame)


def _draw(image: FloatArray, crop: Crop, frame: Frame) -> None:
    x0, y0, mask = crop
    height, width = mask.shape
    box = frame.to_input((x0, y0, x0 + width, y0 + height)) * (LOW_RES / frame.side)
    left, top = (int(np.floor(low + 1e-3)) for low in box[:2])
    right, bottom = (
        max(int(np.ceil(high - 1e-3)), low + 1) for high, low in zip(box[2:], (left, top), strict=True)
    )
    cells = np.array((left, top, right, bottom), np.float64) * (frame.side / LOW_RES)
    # PIL reads inside of its source alone: a border of False as wide as the cells that stick out.
    reach = np.abs(frame.to_image(cells).astype(np.float64) - (x0, y0, x0 + width, y0 + height)).max()
    pad = int(np.ceil(reach)) + 1
    source = Image.fromarray(np.pad(mask, pad).astype(np.float32))
    region = frame.to_image(cells).astype(np.float64) - np.tile((x0, y0), 2) + pad
    size = (right - left, bottom - top)
    part = np.asarray(source.resize(size, Image.Resampling.BILINEAR, tuple(region.tolist())))
    image[top:bottom, left:right] = (2 * part[: LOW_RES - top, : LOW_RES - left] - 1) * LEVEL
