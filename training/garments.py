"""Masks for the garment photos, which come without any: GrabCut twice, kept where both runs agree."""

from __future__ import annotations

import cv2
import numpy as np

from training.sources import UInt8

SIDE = 112  # pixels; GrabCut's cost grows with the area, and the mask is smoothed when scaled back
AGREE = 0.9


def grabcut(image: UInt8, box: tuple[int, int, int, int], rounds: int) -> UInt8:
    """GrabCut from a box (x, y, width, height); 1 where it says foreground."""
    mask = np.zeros(image.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(image, mask, box, *models, rounds, cv2.GC_INIT_WITH_RECT)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)


def pseudo_mask(image: UInt8) -> UInt8 | None:
    """(H, W) mask of the garment, or None where the two runs disagree or the mask is implausible."""
    scale = SIDE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    masks = []
    for margin in (0.03, 0.09):
        x, y = int(width * margin) + 1, int(height * margin) + 1
        masks.append(grabcut(small, (x, y, width - 2 * x, height - 2 * y), 3))
    both, either = (masks[0] & masks[1]).sum(), (masks[0] | masks[1]).sum()
    share = either / small[..., 0].size
    if either == 0 or both / either < AGREE or not 0.08 < share < 0.75:
        return None
    count, parts, stats, _ = cv2.connectedComponentsWithStats(masks[0])
    main = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if count > 1 else 0
    if main == 0 or stats[main, cv2.CC_STAT_AREA] < 0.85 * masks[0].sum():
        return None
    soft = cv2.resize((parts == main).astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return (cv2.GaussianBlur(soft, (0, 0), 1) > 0.5).astype(np.uint8)
