"""FiftyOne's datasets as those that `lightsam_plugins.evaluation.evaluate` takes."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import fiftyone.core.labels as fol

from lightsam_plugins.errors import InputError
from lightsam_plugins.evaluation import Dataset, Sample, Target
from lightsam_plugins.types import BoolArray


def read_dataset(samples: Any, field: str) -> Dataset:
    """See `lightsam_fiftyone.read_dataset`."""
    categories: dict[str | None, int] = {}
    found, problems, digest = [], [], hashlib.sha256()
    for number, sample in enumerate(samples.select_fields(field)):
        labels = sample[field]
        if labels is not None and not isinstance(labels, fol.Detections):
            raise InputError(
                f"the field {field!r} holds no masks",
                expected="Detections",
                got=type(labels).__name__,
                hint="Evaluation compares masks of objects: pass a field of detections with masks.",
            )
        targets = []
        for row, one in enumerate(labels.detections if labels else ()):
            digest.update(json.dumps([sample.filepath, one.label, one.bounding_box]).encode())
            if not one.has_mask:
                problems.append(f"detection {row} of {sample.filepath}: it has no mask")
                continue
            digest.update(one.get_mask().tobytes())
            category = categories.setdefault(one.label, len(categories) + 1)
            crowd = bool(one["iscrowd"]) if "iscrowd" in one else False
            targets.append(Target(row, category, partial(_whole, one), ignore=crowd))
        found.append(Sample(sample.filepath, Path(sample.filepath), number, tuple(targets)))
    return Dataset(f"{samples.name or 'view'}, {field}", tuple(found), digest.hexdigest(), tuple(problems))


def _whole(detection: Any, size: tuple[int, int]) -> BoolArray:
    mask: BoolArray = detection.to_segmentation(frame_size=size[::-1], target=1).get_mask() > 0
    if not mask.any():
        raise InputError("a mask without a pixel in its image", got=str(detection.bounding_box))
    return mask
