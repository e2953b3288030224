"""A writer for File > Save: the objects of a labels layer as COCO JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightsam_napari.layers import IMAGE
from lightsam_plugins.mask_exports import crop_rle

CATEGORY = {"id": 1, "name": "object", "supercategory": ""}


def write_coco(path: str, data: npt.NDArray[Any], meta: dict[str, Any]) -> list[str]:
    """Write each 2D plane of the layer (its last two axes) that has objects as one image.

    Args:
        path: Where to.
        data: The labels.
        meta: napari's description of the layer; its table gives each object's score and model, its metadata the image.

    Returns:
        The file that was written.
    """
    path = path if path.lower().endswith(".json") else f"{path}.json"
    labels, name = np.asarray(data), str(meta.get("name", "labels"))
    table = _table(meta.get("features"))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    file = str(meta.get("metadata", {}).get(IMAGE, name))
    height, width = labels.shape[-2:]
    for place in np.ndindex(labels.shape[:-2]):
        found = _objects(labels[place], table)
        if found or labels.ndim == 2:
            title = file + "".join(f"[{index}]" for index in place)
            images.append({"id": len(images) + 1, "file_name": title, "width": width, "height": height})
            for one in found:
                annotations.append({"id": len(annotations) + 1, "image_id": len(images), **one})
    content = {"images": images, "categories": [CATEGORY], "annotations": annotations}
    Path(path).write_text(json.dumps({"info": {"description": name}, "licenses": [], **content}), "utf-8")
    return [path]


def _objects(plane: npt.NDArray[Any], table: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """One annotation a number, without ids."""
    from scipy.ndimage import find_objects

    numbers, places = np.unique(plane, return_inverse=True)
    found = []
    # By their rank, as numbers may be as high as they like.
    for number, window in zip(numbers, find_objects(places.reshape(plane.shape) + 1), strict=True):
        if number == 0:
            continue
        mask = plane[window] == number
        y0, x0 = int(window[0].start), int(window[1].start)
        height, width = mask.shape
        found.append(
            {
                "category_id": CATEGORY["id"],
                "segmentation": crop_rle((x0, y0, mask), *plane.shape),
                "bbox": [x0, y0, width, height],
                "area": int(mask.sum()),
                "iscrowd": 0,
                "label": int(number),
                **table.get(int(number), {}),
            }
        )
    return found


def _table(features: Any) -> dict[int, dict[str, Any]]:
    """Number of an object -> score and model, where the layer's table has them."""
    if features is None or not {"index", "score", "model"} <= set(features):
        return {}
    rows = zip(features["index"], features["score"], features["model"], strict=True)
    return {
        int(index): {"score": float(score), "model": str(model)}
        for index, score, model in rows
        if score == score
    }
