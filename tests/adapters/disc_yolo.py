"""A YOLO that finds the discs of `clips`: Ultralytics' own network of three layers, its weights set by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clips
import torch
import yaml

_STRIDE, _WIDTH, _KERNEL = (
    8,
    23,
    31,
)  # pixels: a cell; the window that is averaged, and the kernel that holds it
_ARCHITECTURE = {
    "nc": 2,
    "backbone": [[-1, 1, "Conv", [8, 1, 1]], [-1, 1, "Conv", [8, _KERNEL, _STRIDE]]],
    "head": [[[1], 1, "Detect", ["nc"]]],
}


def disc_yolo(folder: Path) -> Any:
    """A `YOLO` whose class 0 is the red disc and whose class 1 the blue one; boxes have the size of a disc."""
    from ultralytics import YOLO

    path = folder / "disc.yaml"
    path.write_text(yaml.safe_dump(_ARCHITECTURE))
    yolo = YOLO(str(path), task="detect")
    colour, window, head = yolo.model.model
    for module in yolo.model.modules():
        if isinstance(module, torch.nn.Conv2d) and module is not head.dfl.conv:
            _hand_on(module)
    with torch.no_grad():
        for channel, sign in enumerate((1, -1)):  # red - blue, and blue - red
            colour.conv.weight[channel, :, 0, 0] = 20 * torch.tensor([sign, 0, -sign])
            # The centre of a cell lies half a cell behind the middle of the kernel.
            start = (_KERNEL - _WIDTH) // 2 + _STRIDE // 2
            window.conv.weight[channel, channel] = 0
            window.conv.weight[channel, channel, start : start + _WIDTH, start : start + _WIDTH] = _WIDTH**-2
        sides, classes = head.cv2[0][-1], head.cv3[0][-1]
        sides.weight.zero_()
        distances = torch.full((4, head.reg_max), -20.0)
        cells = clips.RADIUS / _STRIDE
        distances[:, int(cells)], distances[:, int(cells) + 1] = 0, torch.logit(torch.tensor(cells % 1))
        sides.bias.copy_(distances.ravel())
        classes.bias.fill_(-8)
    return yolo


@torch.no_grad()
def _hand_on(convolution: torch.nn.Conv2d) -> None:
    """Let each channel out as it came in."""
    torch.nn.init.dirac_(convolution.weight, groups=convolution.groups)
