"""COCO and LVIS JSON as a `Dataset`. Rows that cannot be used are told one by one and left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lightsam_plugins.errors import InputError
from lightsam_plugins.evaluation.dataset import Dataset, Sample, Target
from lightsam_plugins.evaluation.rle import decode
from lightsam_plugins.types import BoolArray

KNOWN = {"instances_val2017.json": "coco", "lvis_v1_val.json": "lvis"}


def read_coco(images: Path, annotations: Path) -> Dataset:
    """Read a COCO or LVIS file of instances.

    Args:
        images: Folder of the images. LVIS names them by the end of ``coco_url``: ``val2017/000000000139.jpg`` is looked
            for below this folder, with and without ``val2017``.
        annotations: The JSON file.

    Raises:
        InputError: The file cannot be read or has another form.
    """
    content = _load(annotations)
    data = _parsed(annotations, content)
    problems: list[str] = []
    targets = _targets(data, problems)
    samples = []
    for row, image in enumerate(data["images"]):
        try:
            samples.append(_sample(images, image, tuple(targets.get(image["id"], ()))))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"image {row} of {annotations.name}: not usable: {_reason(error)}")
    known = {sample.id for sample in samples}
    problems += [
        f"annotations of image {image}: there is no such image in {annotations.name}"
        for image in targets
        if image not in known
    ]
    name = KNOWN.get(annotations.name, annotations.stem)
    return Dataset(name, tuple(samples), hashlib.sha256(content).hexdigest(), tuple(problems))


def _load(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the annotations {str(path)!r}",
            got=error.strerror or str(error),
            hint="Check the path and the folder you are in.",
        ) from error


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    data: Any
    try:
        data = json.loads(content)
    except ValueError as error:
        data = f"no JSON: {error}"
    got = data if isinstance(data, str) else type(data).__name__
    if isinstance(data, dict):
        got = f"an object with {sorted(data)}"
    lists = isinstance(data, dict) and [isinstance(data.get(key), list) for key in ("images", "annotations")]
    if not lists or not all(lists):
        raise InputError(
            f"{str(path)!r} holds no instances of COCO",
            expected="a JSON object with the lists images and annotations",
            got=got,
            hint="Pass instances_val2017.json, lvis_v1_val.json or a file of that form; "
            "a folder of label maps is passed as a folder.",
        )
    return {**data}


def _targets(data: dict[str, Any], problems: list[str]) -> dict[Any, list[Target]]:
    found: dict[Any, list[Target]] = {}
    for row, annotation in enumerate(data["annotations"]):
        try:
            found.setdefault(annotation["image_id"], []).append(_target(row, annotation))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"annotation {row}: not usable: {_reason(error)}")
    return found


def _target(row: int, annotation: dict[str, Any]) -> Target:
    segmentation = annotation["segmentation"]
    if not segmentation:
        raise ValueError("its segmentation is empty")
    box = None
    if annotation.get("bbox") is not None:
        x, y, width, height = (float(value) for value in annotation["bbox"])
        if not np.isfinite([x, y, width, height]).all() or width <= 0 or height <= 0:
            raise ValueError(f"its bbox {annotation['bbox']} is empty")
        box = (x, y, x + width, y + height)
    decoder: Callable[[tuple[int, int]], BoolArray] = partial(decode, segmentation)
    return Target(
        int(annotation.get("id", row)),
        int(annotation.get("category_id", 1)),
        decoder,
        box,
        float(annotation["area"]) if annotation.get("area") is not None else None,
        bool(annotation.get("iscrowd", 0) or annotation.get("ignore", 0)),
    )


def _sample(folder: Path, image: dict[str, Any], targets: tuple[Target, ...]) -> Sample:
    name = image.get("file_name") or "/".join(str(image["coco_url"]).split("/")[-2:])
    path = folder / name
    if not path.exists() and (folder / Path(name).name).exists():
        path = folder / Path(name).name
    size = (int(image["height"]), int(image["width"])) if "height" in image and "width" in image else None
    checked = None
    if "neg_category_ids" in image:
        checked = frozenset(image["neg_category_ids"]) | {target.category for target in targets}
    incomplete = frozenset(image.get("not_exhaustive_category_ids", ()))
    return Sample(str(name), path, int(image["id"]), targets, size, checked, incomplete)


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
