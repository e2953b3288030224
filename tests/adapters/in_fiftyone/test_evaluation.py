"""A dataset of FiftyOne is evaluated as the same masks in a COCO file would be."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from helpers import COINS, SIZE, boxes, relative, sample

import lightsam_fiftyone
import lightsam_plugins as ls
from lightsam_plugins.errors import InputError
from lightsam_plugins.evaluation import evaluate
from lightsam_plugins.evaluation.shapes import iou


def ellipse(box: Any) -> np.ndarray:
    """(h, w) bool: what fills a box as a coin does."""
    x0, y0, x1, y1 = box.astype(int)
    y, x = np.mgrid[0 : y1 - y0, 0 : x1 - x0] + 0.5
    inside: np.ndarray = (2 * x / (x1 - x0) - 1) ** 2 + (2 * y / (y1 - y0) - 1) ** 2 < 1
    return inside


def coins() -> list[fo.Detection]:
    """Two coins with masks."""
    return [fo.Detection(label="coin", bounding_box=relative(box), mask=ellipse(box)) for box in COINS]


def test_masks_of_a_dataset_are_measured(dataset, photos, tmp_path):
    """Masks lie where their boxes lie, nano's IoU by box is that of its answers to these, and views are taken too."""
    dataset.add_sample(sample(photos["coins"], truth=fo.Detections(detections=coins())))
    dataset.add_sample(sample(photos["cell"]))

    read = lightsam_fiftyone.read_dataset(dataset, "truth")
    report = evaluate(ls.load("nano", "cpu"), read, "box", out=tmp_path / "out")

    targets = read.samples[0].targets
    for target, box in zip(targets, COINS.astype(int), strict=True):
        x0, y0, x1, y1 = box
        expected = np.zeros(SIZE[::-1], bool)
        expected[y0:y1, x0:x1] = ellipse(box)
        assert (target.mask(SIZE[::-1]) == expected).all()
    model = ls.load("nano", "cpu")
    answers = model.segment(photos["coins"], boxes=COINS).dense()
    wanted = [iou(one, target.mask(SIZE[::-1])) for one, target in zip(answers, targets, strict=True)]
    assert report.objects["values"]["box"] == pytest.approx(wanted)
    assert report.means["box"]["iou"] > 0.85
    assert [len(one.targets) for one in read.samples] == [2, 0]
    view = lightsam_fiftyone.read_dataset(dataset.limit(1), "truth")
    assert [one.path for one in view.samples] == [photos["coins"]]


def test_what_cannot_be_used_is_told(dataset, photos):
    """Detections without masks are named and left out, crowds are not asked for, other labels are an error."""
    first, second = coins()
    second["iscrowd"] = 1
    plain = boxes(COINS[0]).detections[0]
    kind = fo.Classification(label="coins")
    dataset.add_sample(
        sample(photos["coins"], truth=fo.Detections(detections=[first, plain, second]), kind=kind)
    )

    read = lightsam_fiftyone.read_dataset(dataset, "truth")

    assert [target.ignore for target in read.samples[0].targets] == [False, True]
    assert read.problems == (f"detection 1 of {photos['coins']}: it has no mask",)
    with pytest.raises(
        InputError, match="field 'kind' holds no masks: expected Detections, got Classification"
    ):
        lightsam_fiftyone.read_dataset(dataset, "kind")


def test_other_masks_have_another_digest(dataset, photos):
    """Reports of different annotations are not compared: one pixel more changes the digest, reading again does not."""
    dataset.add_sample(sample(photos["coins"], truth=fo.Detections(detections=coins())))
    first, again = (lightsam_fiftyone.read_dataset(dataset, "truth").digest for _ in range(2))
    one = dataset.first()
    mask = one["truth"].detections[0].mask.copy()
    mask[0, 0] = True
    one["truth"].detections[0].mask = mask
    one.save()

    assert first == again
    assert lightsam_fiftyone.read_dataset(dataset, "truth").digest != first
