"""From YOLO's predictions to the objects of an image: the confident ones, each once."""

from __future__ import annotations

import numpy as np
import torch

from lightsam_plugins.boxes import nms

CONFIDENCE = 0.4  # FastSAM's and MobileSAMv2's thresholds
OVERLAP = 0.9
LIMIT = 300  # objects an image


def proposals(predictions: torch.Tensor) -> torch.Tensor:
    """The objects of each image, most confident first.

    Predictions above `CONFIDENCE`, less those whose box overlaps a better one by an IoU above `OVERLAP`. There is
    no limit of time, after which the official code leaves out what it has not looked at.

    Args:
        predictions: (B, 37, A) of `YoloSeg`, or its first rows, at least the 5 of `YoloSeg.boxes`.

    Returns:
        (B, 300, 37) float32: box ``xyxy`` in pixels of the network's input, confidence,
        32 mask coefficients, or as many columns as there were rows. Rows that are not needed are zero.
    """
    found = predictions.new_zeros((len(predictions), LIMIT, predictions.shape[1]))
    for image, rows in zip(predictions, found, strict=True):
        likely = image[:, image[4] > CONFIDENCE].T
        centre, half = likely[:, :2], likely[:, 2:4] / 2
        likely = torch.cat([centre - half, centre + half, likely[:, 4:]], 1)
        boxes, scores = likely[:, :4].cpu().numpy(), likely[:, 4].cpu().numpy()
        kept = nms(boxes.astype(np.float32), scores, OVERLAP, limit=LIMIT)
        rows[: len(kept)] = likely[torch.from_numpy(kept).to(likely.device)]
    return found
