"""Tidying of `nano`'s answers: a click keeps the part it touches, a box keeps what lies near it.

A network of 2.9 M parameters confuses look-alikes: a click on one coin lights up parts of the others. What is not
connected with a positive click, or lies well outside the box, is turned negative. Nothing is ever added.

With an earlier answer handed back, a small correction stays where it was asked for: an answer that is nearly the
earlier one differs from it only in the changed parts that hold a click. The network redraws the whole outline, a
fraction of a cell off where it was right. The idea is FocalClick's "progressive merge" (arXiv 2204.02574).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from lightsam_plugins.types import PromptBatch

BOX_MARGIN = 0.10  # of the box's sides, on each side
BOX_CELLS = 1.5  # cells of the mask, on top of the margin
SMALL_CORRECTION = 0.95  # IoU of two answers from which on the second is a correction of the first


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
    if bool((prompts.labels == 1).any()):
        drop = torch.from_numpy(unconnected((logits > 0).cpu().numpy(), prompts, cells / side))
        logits = torch.where(drop.to(logits.device), -logits.abs(), logits)
    if prompts.masks is not None and bool((prompts.labels >= 0).any()):
        earlier = prompts.masks[:, None].expand_as(logits)
        answers = ((logits > 0).cpu().numpy(), (earlier > 0).cpu().numpy())
        kept = torch.from_numpy(unasked(*answers, prompts, cells / side))
        logits = torch.where(kept.to(logits.device), earlier, logits)
    return logits


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

    places = _places(prompts, scale, answers.shape[-1])
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


def unasked(
    answers: npt.NDArray[np.bool_], earlier: npt.NDArray[np.bool_], prompts: PromptBatch, scale: float
) -> npt.NDArray[np.bool_]:
    """(N, K, H, W) cells to keep as they were: of small corrections, all but the changed parts that hold a click."""
    from scipy import ndimage

    places = _places(prompts, scale, answers.shape[-1])
    used = prompts.labels.cpu().numpy() >= 0
    shared, united = (answers & earlier).sum((2, 3)), (answers | earlier).sum((2, 3))
    keep = np.zeros_like(answers)
    for row, index in np.argwhere((shared >= SMALL_CORRECTION * united) & used.any(1, keepdims=True)):
        changed = answers[row, index] != earlier[row, index]
        parts, _ = ndimage.label(changed)
        asked = [parts[y, x] for x, y in places[row, used[row]]]
        keep[row, index] = ~(changed & np.isin(parts, asked))
    return keep


def _places(prompts: PromptBatch, scale: float, cells: int) -> npt.NDArray[np.int_]:
    """(N, P, 2) cells of the clicks."""
    return np.clip((prompts.points.cpu().numpy() * scale).astype(int), 0, cells - 1)
