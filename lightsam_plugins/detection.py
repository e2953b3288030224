"""From an image to what an object detector sees, and from what it finds back to the image.

MobileSAMv2 (https://arxiv.org/abs/2312.09579) takes the boxes of a detector of its own as prompts. That sees the image
as YOLO does, whatever the frame of the prompts is: resized without antialiasing, in the middle of grey.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lightsam_plugins.transforms import preprocess
from lightsam_plugins.types import FloatArray, Frame

if TYPE_CHECKING:
    import torch

    from lightsam_plugins.pixel_values import UInt8Array

SIDE = 1024  # pixels of the longest side of the detector's image
BORDER = 20  # pixels; sides of boxes nearer to the border of the image are moved onto it


def detector_image(image: UInt8Array) -> torch.Tensor:
    """The letterbox (3, H, W) uint8 of an (H, W, 3) RGB image; its longest side is 1024."""
    import torch

    frame = Frame(image.shape[0], image.shape[1], SIDE, "letterbox")
    return preprocess(image, frame, side=SIDE, mean=(0, 0, 0), std=(1, 1, 1)).to(torch.uint8)


def boxes_in_image(found: FloatArray, frame: Frame) -> FloatArray:
    """The objects a detector found, in pixels of the image.

    Sides of boxes less than 20 pixels from the border of the image are moved onto it, as in the official code.

    Args:
        found: (K, 5) boxes ``xyxy`` in pixels of the letterbox, and confidence; zero rows are none.
        frame: How the image lies in the frame of the prompts.

    Returns:
        (P, 5) float32, P <= K: those inside the image, in their order.
    """
    found = found[found[:, 4] > 0]
    size = frame.box[2:]
    boxes = replace(frame, side=SIDE, fit="letterbox").to_image(found[:, :4])
    low, high = np.clip(boxes[:, :2], 0, size), np.clip(boxes[:, 2:], 0, size)
    inside = (low < high).all(axis=1)
    low = np.where(low < BORDER, 0, low)
    high = np.where(high > size - BORDER, size, high)
    return np.concatenate([low, high, found[:, 4:]], axis=1, dtype=np.float32)[inside]
