"""YOLOv8-seg with one class, the network of FastSAM and of MobileSAMv2's object-aware detector.

Written from the published architecture: a backbone of C2f blocks, a feature pyramid down and up again, and a head
that predicts boxes, scores and, as YOLACT does (https://arxiv.org/abs/1904.02689), each mask as 32 coefficients of
prototypes that all masks of the image share.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from lightsam_plugins.models.yolo_head import SegmentHead
from lightsam_plugins.models.yolo_layers import SPPF, C2f, Conv

# Widths, depths and prototype width of the largest, YOLOv8x-seg.
YOLOV8X = ((80, 160, 320, 640, 640), (3, 6, 6, 3, 3), 320)


class YoloSeg(nn.Module):
    """(B, 3, H, W) RGB in 0..1, H and W multiples of 32 -> predictions and prototypes.

    Layers are numbered as in the official checkpoints; the numbers in between are resizes and joins.

    - predictions: (B, 37, A) float32: centre x, centre y, width, height in pixels of the input, the confidence, and
      32 mask coefficients, for the A cells of the maps of stride 8, 16 and 32, row by row;
    - prototypes: (B, 32, H / 4, W / 4): a mask's logits are its coefficients times these.

    Args:
        widths: Channels after each of the five halvings of the resolution.
        depths: Bottlenecks in the four stages of the backbone, and in each block of the pyramid.
        prototype_width: Inner channels of the prototype branch.
    """

    unused_keys: tuple[str, ...] = ()

    def __init__(
        self,
        widths: tuple[int, int, int, int, int],
        depths: tuple[int, int, int, int, int],
        prototype_width: int,
    ) -> None:
        super().__init__()
        w1, w2, w3, w4, w5 = widths
        d2, d3, d4, d5, neck = depths
        self.model = nn.ModuleDict(
            {
                "0": Conv(3, w1, 3, 2),
                "1": Conv(w1, w2, 3, 2),
                "2": C2f(w2, w2, d2, shortcut=True),
                "3": Conv(w2, w3, 3, 2),
                "4": C2f(w3, w3, d3, shortcut=True),
                "5": Conv(w3, w4, 3, 2),
                "6": C2f(w4, w4, d4, shortcut=True),
                "7": Conv(w4, w5, 3, 2),
                "8": C2f(w5, w5, d5, shortcut=True),
                "9": SPPF(w5),
                "12": C2f(w5 + w4, w4, neck, shortcut=False),
                "15": C2f(w4 + w3, w3, neck, shortcut=False),
                "16": Conv(w3, w3, 3, 2),
                "18": C2f(w3 + w4, w4, neck, shortcut=False),
                "19": Conv(w4, w4, 3, 2),
                "21": C2f(w4 + w5, w5, neck, shortcut=False),
                "22": SegmentHead((w3, w4, w5), prototype_width),
            }
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.model["22"](self._maps(images))

    def boxes(self, images: torch.Tensor) -> torch.Tensor:
        """The first five rows (B, 5, A) of the predictions, at less cost: no mask is asked for."""
        head = cast("SegmentHead", self.model["22"])
        return head.boxes(self._maps(images))

    def _maps(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The pyramid: maps of stride 8, 16 and 32."""
        layers = self.model
        x = layers["1"](layers["0"](images.contiguous(memory_format=torch.channels_last)))
        fine = layers["4"](layers["3"](layers["2"](x)))
        middle = layers["6"](layers["5"](fine))
        coarse = layers["9"](layers["8"](layers["7"](middle)))
        middle = layers["12"](_join(_double(coarse), middle))
        fine = layers["15"](_join(_double(middle), fine))
        middle = layers["18"](_join(layers["16"](fine), middle))
        coarse = layers["21"](_join(layers["19"](middle), coarse))
        return fine, middle, coarse


def _double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _join(*maps: torch.Tensor) -> torch.Tensor:
    return torch.cat(maps, 1)
