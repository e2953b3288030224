"""`dataset.apply_model` with boxes, clicks and masks as prompts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from helpers import COINS, boxes, clicks, full, iou, relative, sample

import lightsam_fiftyone
import lightsam_plugins as ls

Photos = dict[str, Path]


def expected(nano: Any, path: Path, **prompts: Any) -> np.ndarray:
    """The masks of the core, (N, H, W)."""
    return nano.segmenter.segment(str(path), **prompts).dense()


def test_a_batch_of_good_empty_missing_and_outside_prompts(dataset: Any, nano: Any, photos: Photos) -> None:
    """Each sample of a batch gets its label: a row a prompt, those of good boxes with the masks of the core."""
    outside = boxes([-40, -30, 60, 60], [500, 50, 600, 90], [10, 10, 10, 40])
    for prompts in (boxes(*COINS), boxes(), None, outside):
        dataset.add_sample(sample(photos["coins"], prompts=prompts))

    dataset.apply_model(nano, "masks", box_prompt_field="prompts", batch_size=4, skip_failures=False)

    good, empty, missing, off = dataset.values("masks.detections")
    assert [len(found) for found in (good, empty, missing, off)] == [2, 0, 0, 3]
    core = nano.segmenter.segment(str(photos["coins"]), boxes=COINS)
    for detection, box, dense, score in zip(good, COINS, core.dense(), core.scores, strict=True):
        inside = np.zeros_like(dense)
        x0, y0, x1, y1 = box.astype(int)
        inside[y0:y1, x0:x1] = dense[y0:y1, x0:x1]
        assert inside.sum() > 1000
        np.testing.assert_array_equal(full(detection), inside)
        assert detection.confidence == pytest.approx(min(score, 1))
        np.testing.assert_allclose(detection.bounding_box, relative(box))
    np.testing.assert_allclose(off[0].bounding_box, relative([0, 0, 60, 60]), atol=1e-9)
    assert off[0].mask.shape == (60, 60)
    assert [(one.mask, one.confidence) for one in off[1:]] == [(None, None)] * 2
    np.testing.assert_allclose(off[1].bounding_box, relative([500, 50, 600, 90]))


def test_labels_are_carried_over(dataset: Any, nano: Any, photos: Photos) -> None:
    """Label, index, instance, tags and chosen attributes of a prompt are those of its mask; the id is new."""
    prompts = boxes(*COINS, tags=["checked"], worth=2, mint="A")
    for index, detection in enumerate(prompts.detections):
        detection.index, detection.instance = 7 - index, fo.Instance()
    dataset.add_sample(sample(photos["coins"], prompts=prompts))
    model = lightsam_fiftyone.load_model("nano", device="cpu", keep_attributes=["worth", "missing"])

    dataset.apply_model(model, "masks", box_prompt_field="prompts")

    found = dataset.first().masks.detections
    assert [(one.label, one.index, one.tags, one["worth"]) for one in found] == [
        ("coin", 7, ["checked"], 2),
        ("coin", 6, ["checked"], 2),
    ]
    assert [one.instance.id for one in found] == [one.instance.id for one in prompts.detections]
    assert not any("mint" in one for one in found)
    assert not {one.id for one in found} & {one.id for one in prompts.detections}


def test_a_mask_outside_its_box_is_kept_by_bbox_mode(dataset: Any, photos: Photos) -> None:
    """With `bbox_mode="mask"` a detection has the whole mask of the core in its tight box."""
    dataset.add_sample(sample(photos["coins"], prompts=boxes([320, 160, 376, 212])))
    model = lightsam_fiftyone.load_model("nano", device="cpu", bbox_mode="mask")

    dataset.apply_model(model, "masks", box_prompt_field="prompts")

    found = dataset.first().masks.detections[0]
    core = model.segmenter.segment(str(photos["coins"]), boxes=[[320, 160, 376, 212]])
    np.testing.assert_allclose(found.bounding_box, relative(core.boxes[0]), atol=1e-6)
    np.testing.assert_array_equal(full(found), core.dense()[0])
    assert core.boxes[0][2] > 376


def test_a_broken_image_costs_its_neighbours_nothing(
    dataset: Any, nano: Any, photos: Photos, caplog: pytest.LogCaptureFixture
) -> None:
    """In a batch the broken one has no label and is logged by name; alone it raises where failures count."""
    for name in ("coins", "broken", "coins"):
        dataset.add_sample(sample(photos[name], prompts=boxes(COINS[0])))

    with caplog.at_level(logging.WARNING):
        dataset.apply_model(nano, "masks", box_prompt_field="prompts", batch_size=3)

    counts = [None if masks is None else len(masks.detections) for masks in dataset.values("masks")]
    assert counts == [1, None, 1]
    assert [r for r in caplog.records if "broken.png" in r.getMessage() and "it is broken" in r.getMessage()]
    with pytest.raises(ls.ImageError, match="broken.png.*it is broken"):
        dataset.apply_model(nano, "again", box_prompt_field="prompts", skip_failures=False)
    dataset.apply_model(nano, "again", box_prompt_field="prompts")
    assert [masks is None for masks in dataset.values("again")] == [False, True, False]


def test_boxes_in_pixels_are_told(
    dataset: Any, nano: Any, photos: Photos, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no prompt of an image points at anything, its name and FiftyOne's units are in the log."""
    pixels = fo.Detections(detections=[fo.Detection(label="coin", bounding_box=[315, 155, 67, 64])])
    dataset.add_sample(sample(photos["coins"], prompts=pixels))

    with caplog.at_level(logging.WARNING):
        dataset.apply_model(nano, "masks", box_prompt_field="prompts")

    assert [one.mask for one in dataset.first().masks.detections] == [None]
    (told,) = [one.getMessage() for one in caplog.records if "no prompt of" in one.getMessage()]
    assert "coins.png" in told
    assert "in parts of the image, 0 to 1" in told


def test_clicks_with_negatives_and_missing_ones(dataset: Any, nano: Any, photos: Photos) -> None:
    """`sam_labels` are the labels of the clicks, NaN is no click, and a keypoint without any keeps its row."""
    points = clicks([[348, 187], [np.nan, np.nan], [300, 187]], [[44, 54]], [[np.nan, np.nan]])
    points.keypoints[0]["sam_labels"] = [1, 1, 0]
    dataset.add_sample(sample(photos["coins"], prompts=points))

    dataset.apply_model(nano, "masks", point_prompt_field="prompts", skip_failures=False)

    found = dataset.first().masks.detections
    xy = [[[348, 187], [300, 187]], [[44, 54], [0, 0]]]
    core = nano.segmenter.segment(
        str(photos["coins"]), points=xy, point_labels=[[1, 0], [1, -1]], multimask=True
    ).best()
    for detection, dense, box in zip(found[:2], core.dense(), core.boxes, strict=True):
        np.testing.assert_array_equal(full(detection), dense)
        np.testing.assert_allclose(detection.bounding_box, relative(box), atol=1e-6)
    assert (found[2].mask, found[2].label) == (None, "coin")


def test_clicks_far_outside_or_with_odd_labels_are_told(dataset: Any, nano: Any, photos: Photos) -> None:
    """A click far outside the image and labels of another number are errors of their sample."""
    odd = clicks([[44, 54]])
    odd.keypoints[0]["sam_labels"] = [1, 0]
    dataset.add_sample(sample(photos["coins"], far=clicks([[900, 54]]), odd=odd))

    for field, message in (
        ("far", "a click of object 0 lies outside the image"),
        ("odd", "sam_labels: expected 1"),
    ):
        with pytest.raises(ls.PromptError, match=message):
            dataset.apply_model(nano, "masks", point_prompt_field=field, skip_failures=False)


def test_boxes_and_clicks_together(dataset: Any, nano: Any, photos: Photos) -> None:
    """They are paired in order; another number of them is an error of that sample alone."""
    one, two = sample(photos["coins"], boxes=boxes(*COINS)), sample(photos["coins"], boxes=boxes(*COINS))
    one["clicks"], two["clicks"] = clicks([[348, 187]], [[44, 54]]), clicks([[348, 187]])
    dataset.add_samples([one, two])

    dataset.apply_model(nano, "masks", box_prompt_field="boxes", point_prompt_field="clicks", batch_size=2)

    masks = dataset.values("masks")
    core = expected(nano, photos["coins"], boxes=COINS, points=[[[348, 187]], [[44, 54]]])
    assert masks[1] is None
    assert min(iou(full(one), dense) for one, dense in zip(masks[0].detections, core, strict=True)) > 0.98
    with pytest.raises(ls.PromptError, match="2 in box_prompt_field, 1 in point_prompt_field"):
        dataset.select(two.id).apply_model(
            nano, "masks", box_prompt_field="boxes", point_prompt_field="clicks", skip_failures=False
        )


def test_masks_of_an_earlier_pass_are_prompts(
    dataset: Any, nano: Any, photos: Photos, tmp_path: Path
) -> None:
    """A mask, in the database or on disk, gives about itself again; a row without one stays so."""
    dataset.add_sample(sample(photos["coins"], prompts=boxes(*COINS, [500, 50, 600, 90])))
    dataset.apply_model(nano, "masks", box_prompt_field="prompts", output_dir=str(tmp_path))

    dataset.apply_model(nano, "finer", mask_prompt_field="masks", skip_failures=False)

    before, after = dataset.first().masks.detections, dataset.first().finer.detections
    assert len(list(tmp_path.glob("*.png"))) == 2
    assert [one.mask is None and one.mask_path is not None for one in before] == [True, True, False]
    assert min(iou(full(old), full(new)) for old, new in zip(before[:2], after[:2], strict=True)) > 0.95
    assert (after[2].mask, after[2].label) == (None, "coin")


def test_masks_of_a_patches_view_reach_the_dataset(dataset: Any, nano: Any, photos: Photos) -> None:
    """Applied to the boxes of a patches view, which is saved, masks are in the dataset's boxes, which stay the same."""
    dataset.add_sample(sample(photos["coins"], boxes=boxes(*COINS)))
    ids = dataset.values("boxes.detections.id", unwind=True)

    patches = dataset.to_patches("boxes")
    patches.apply_model(nano, "boxes", box_prompt_field="boxes", batch_size=2)
    patches.save("boxes")  # FiftyOne writes as it goes, but loses some of several patches of one image

    dataset.reload()
    found = dataset.first().boxes.detections
    assert [one.id for one in found] == ids
    core = nano.segmenter.segment(str(photos["coins"]), boxes=COINS).dense()
    for one, whole in zip(found, core, strict=True):
        assert iou(full(one), whole) > 0.98


def test_prompt_field_takes_either_kind_and_patches_views(dataset: Any, nano: Any, photos: Photos) -> None:
    """`prompt_field` goes by what the field holds; of a patches view, whose samples hold one box, too."""
    dataset.add_sample(
        sample(photos["coins"], boxes=boxes(*COINS), clicks=clicks([[348, 187]]), other=fo.Classification())
    )
    dataset.apply_model(nano, "of_boxes", prompt_field="boxes")
    dataset.apply_model(nano, "of_clicks", prompt_field="clicks")
    patches = dataset.to_patches("boxes")
    patches.apply_model(nano, "of_patches", box_prompt_field="boxes", batch_size=2)

    found = dataset.first()
    assert [one.label for one in found.of_clicks.detections] == ["coin"]
    for whole, part in zip(found.of_boxes.detections, patches.values("of_patches"), strict=True):
        np.testing.assert_array_equal(full(whole), full(part))
    with pytest.raises(
        ls.PromptError, match="holds no prompts: expected Detections or Keypoints, got Classification"
    ):
        dataset.apply_model(nano, "x", prompt_field="other", skip_failures=False)
    with pytest.raises(
        ls.PromptError, match="box_prompt_field holds no prompts: expected Detections, got Keypoints"
    ):
        dataset.apply_model(nano, "x", box_prompt_field="clicks", skip_failures=False)
