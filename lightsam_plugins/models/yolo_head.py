"""The head of YOLOv8-seg: boxes, scores, mask coefficients and mask prototypes from three maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lightsam_plugins.models.yolo_layers import Conv

STRIDES = (8, 16, 32)  # pixels of the input a cell of each map
BINS = 16  # a side of a box is a distribution over distances of 0..15 cells
PROTOTYPES = 32


class Distances(nn.Module):
    """Expected distances from (B, 4 * 16, A) logits, one distribution a side: (B, 4, A) in cells."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(BINS, 1, 1, bias=False)
        self.conv.weight = nn.Parameter(torch.arange(BINS, dtype=torch.float32).view(1, BINS, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, anchors = x.shape
        return self.conv(x.view(batch, 4, BINS, anchors).transpose(1, 2).softmax(1)).view(batch, 4, anchors)


class Prototypes(nn.Module):
    """Mask prototypes from the finest map: (B, C, H, W) -> (B, 32, 2 H, 2 W)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.cv1 = Conv(in_channels, width, 3)
        self.upsample = nn.ConvTranspose2d(width, width, 2, 2)
        self.cv2 = Conv(width, width, 3)
        self.cv3 = Conv(width, PROTOTYPES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv3(self.cv2(self.upsample(self.cv1(x))))


def branch(in_channels: int, width: int, out_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions and the 1x1 one that gives the numbers of one kind."""
    return nn.Sequential(
        Conv(in_channels, width, 3), Conv(width, width, 3), nn.Conv2d(width, out_channels, 1)
    )


class SegmentHead(nn.Module):
    """One object class, 32 coefficients; boxes without anchors, by their distances from the cell's centre.

    Args:
        channels: Channels of the three maps, finest first.
        prototype_width: Inner channels of the prototype branch.
    """

    def __init__(self, channels: Sequence[int], prototype_width: int) -> None:
        super().__init__()
        finest = channels[0]
        box_width, coefficient_width = max(finest // 4, 4 * BINS), max(finest // 4, PROTOTYPES)
        self.cv2 = nn.ModuleList(branch(c, box_width, 4 * BINS) for c in channels)
        self.cv3 = nn.ModuleList(branch(c, finest, 1) for c in channels)
        self.cv4 = nn.ModuleList(branch(c, coefficient_width, PROTOTYPES) for c in channels)
        self.dfl = Distances()
        self.proto = Prototypes(finest, prototype_width)

    def forward(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Three maps -> predictions (B, 37, A) and prototypes (B, 32, H, W), as `YoloSeg` describes them."""
        predictions = torch.cat([self.boxes(maps), _flat(self.cv4, maps).float()], 1)
        return predictions, self.proto(maps[0])

    def boxes(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """The first five rows (B, 5, A) of the predictions, without the cost of what masks need."""
        sides, scores = _flat(self.cv2, maps), _flat(self.cv3, maps)
        # Coordinates in float32: half precision would round them to half a pixel, bfloat16 to four.
        left_top, right_bottom = self.dfl(sides).float().chunk(2, 1)
        centres, strides = _anchors(maps)
        low, high = centres - left_top, centres + right_bottom
        boxes = torch.cat([(low + high) / 2, high - low], 1) * strides
        return torch.cat([boxes, scores.float().sigmoid()], 1)


def _flat(layers: nn.ModuleList, maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """What each branch makes of its map, cell by cell: (B, C, A)."""
    return torch.cat([layer(x).flatten(2) for layer, x in zip(layers, maps, strict=True)], 2)


def _anchors(maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (2, A) of all cells, ``(x, y)`` in cells of their own map, and the stride (A,) of each."""
    centres, strides = [], []
    for x, stride in zip(maps, STRIDES, strict=True):
        rows, columns = (
            torch.arange(size, device=x.device, dtype=torch.float32) + 0.5 for size in x.shape[2:]
        )
        y, x_ = torch.meshgrid(rows, columns, indexing="ij")
        centres.append(torch.stack([x_, y]).flatten(1))
        strides.append(torch.full_like(centres[-1][0], stride))
    return torch.cat(centres, 1), torch.cat(strides)
