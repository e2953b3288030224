"""Tidying of `nano`'s answers: a click keeps the part it touches, a box keeps what lies near it.

A network of 2.9 M parameters confuses look-alikes: a click on one coin lights up parts of the others. What is not
connected with a positive click, or lies well outside the box, is turned negative. Nothing is ever added.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from lightsam_plugins.types import PromptBatch

BOX_MARGIN = 0.10  # of the box's sides, on each side
BOX_CELLS = 1.5  # cells of the mask, on top of the margin


def clean(logits: torch.Tensor, prompts: PromptBatch, side: int) -> torch.Tensor:
    """(N, K, H, W) logits without unconnected parts (where there are positive clicks) and without parts off the box.

    Args:
        logits: (N, K, H, W) over the whole input frame.
        prompts: N prompts in input-frame pixels.
        side: Side of the input frame in pixels.
    """
    cells = logits.shape[-1]
    off = outside_box(prompts, cells, side / cells)
    if off is not None:
        logits = torch.where(off[:, None], -logits.abs(), logits)
    clicked = (prompts.labels == 1).any(1)
    if not bool(clicked.any()):
        return logits
    drop = torch.from_numpy(unconnected((logits > 0).cpu().numpy(), prompts, cells / side))
    return torch.where(drop.to(logits.device), -logits.abs(), logits)


def outside_box(prompts: PromptBatch, cells: int, stride: float) -> torch.Tensor | None:
    """(N, H, W) cells beyond the box and its margin; none of an object whose box is empty; None without boxes."""
    if prompts.boxes is None:
        return None
    centres = (torch.arange(cells, device=prompts.boxes.device, dtype=torch.float32) + 0.5) * stride
    x0, y0, x1, y1 = (edge[:, None] for edge in prompts.boxes.unbind(1))
    reach_x, reach_y = (BOX_MARGIN * (high - low) + BOX_CELLS * stride for low, high in ((x0, x1), (y0, y1)))
    off_x = (centres < x0 - reach_x) | (centres > x1 + reach_x)
    off_y = (centres < y0 - reach_y) | (centres > y1 + reach_y)
    return (off_x[:, None, :] | off_y[:, :, None]) & (x1 > x0)[..., None]


def unconnected(answers: npt.NDArray[np.bool_], prompts: PromptBatch, scale: float) -> npt.NDArray[np.bool_]:
    """(N, K, H, W) positive cells that no positive click touches, of the masks that some positive click does touch."""
    from scipy import ndimage

    cells = answers.shape[-1]
    places = np.clip((prompts.points.cpu().numpy() * scale).astype(int), 0, cells - 1)
    positive = prompts.labels.cpu().numpy() == 1
    drop = np.zeros_like(answers)
    for row, (points, wanted) in enumerate(zip(places, positive, strict=True)):
        for index in range(answers.shape[1]) if wanted.any() else ():
            parts, _ = ndimage.label(answers[row, index])
            touched = np.unique([parts[y, x] for x, y in points[wanted]])
            touched = touched[touched > 0]
            if len(touched):
                drop[row, index] = answers[row, index] & ~np.isin(parts, touched)
    return drop
