"""Masks as plain values for JSON files, and back as crops to draw."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lightsam_plugins.masks import Masks
    from lightsam_plugins.upsample import Crop


def mask_records(masks: Masks, *, polygons: bool = False) -> list[dict[str, Any]]:
    """One dict a mask.

    Returns:
        ``object``, ``candidate`` (0 is the best), ``score`` (predicted IoU), ``stability``, ``area`` in
        pixels, ``box`` (xyxy, half-open), ``rle`` (COCO) and, if asked for, ``polygons``: rings of (x, y).
    """
    rings = masks.polygons() if polygons else [[] for _ in range(len(masks))]
    scores, stability = masks.scores.tolist(), masks.stability.tolist()
    areas, boxes = masks.areas.tolist(), masks.boxes.astype(int).tolist()
    records = []
    for i, (rle, outline) in enumerate(zip(masks.rle(), rings, strict=True)):
        record = {
            "object": i // masks.candidates,
            "candidate": i % masks.candidates,
            "score": round(scores[i], 4),
            "stability": round(stability[i], 4),
            "area": areas[i],
            "box": boxes[i],
            "rle": rle,
        }
        if polygons:
            record["polygons"] = [np.round(ring.astype(np.float64), 2).tolist() for ring in outline]
        records.append(record)
    return records


def record_crops(records: list[dict[str, Any]]) -> list[Crop]:
    """The masks of `mask_records` as crops; one full-size mask is in memory at a time."""
    from pycocotools import mask as coco_mask

    crops: list[Crop] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools 2.0.11 with numpy 2
        for record in records:
            x0, y0, x1, y1 = record["box"]
            crops.append((x0, y0, coco_mask.decode(record["rle"])[y0:y1, x0:x1].astype(bool)))
    return crops
