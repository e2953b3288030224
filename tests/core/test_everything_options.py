"""The options of everything mode."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from fake_network import spec

from lightsam_plugins.errors import OptionError
from lightsam_plugins.everything_options import EverythingKeywords, EverythingOptions, everything_options


def test_defaults_are_sams() -> None:
    """Without options the values are those of SAM's automatic mask generator."""
    assert dataclasses.asdict(everything_options(spec(), {})) == {
        "points_per_side": 32,
        "points_per_batch": 64,
        "pred_iou_thresh": 0.88,
        "stability_score_thresh": 0.95,
        "stability_score_offset": 1.0,
        "box_nms_thresh": 0.7,
        "crop_n_layers": 0,
        "crop_nms_thresh": 0.7,
        "crop_overlap_ratio": 512 / 1500,
        "crop_n_points_downscale_factor": 1,
        "point_grids": None,
        "min_mask_region_area": 0,
        "hierarchical": False,
        "detector_bgr": False,
    }


def test_keywords_are_the_options() -> None:
    """What `Segmenter.everything` takes by keyword are the fields of the options, no more and no less."""
    fields = [field.name for field in dataclasses.fields(EverythingOptions)]

    assert sorted(EverythingKeywords.__annotations__) == sorted(fields)


def test_given_over_models_default_over_sams() -> None:
    """A model's own default beats SAM's, and what the caller gives beats both; None is not given."""
    model = spec(everything_defaults={"pred_iou_thresh": 0.7, "points_per_side": 16})
    options = everything_options(model, {"points_per_side": 8, "pred_iou_thresh": None})

    assert (options.points_per_side, options.pred_iou_thresh, options.box_nms_thresh) == (8, 0.7, 0.7)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("points_per_side", 0, "points_per_side: expected a whole number 1..1024, got 0"),
        ("points_per_side", 3.5, "points_per_side: expected a whole number"),
        ("points_per_side", True, "points_per_side: .* got True"),
        ("points_per_batch", 0, "points_per_batch: expected a whole number 1..65536"),
        ("pred_iou_thresh", 1.5, "pred_iou_thresh: expected a number 0..1, got 1.5"),
        ("pred_iou_thresh", float("nan"), "pred_iou_thresh: .* got nan"),
        ("stability_score_thresh", -0.1, "stability_score_thresh: expected a number 0..1"),
        ("stability_score_offset", -1, "stability_score_offset: expected a number 0..100"),
        ("box_nms_thresh", "0.7", "box_nms_thresh: expected a number 0..1, got '0.7'"),
        ("crop_n_layers", 6, "crop_n_layers: expected a whole number 0..5"),
        ("crop_nms_thresh", 2, "crop_nms_thresh: expected a number 0..1"),
        ("crop_overlap_ratio", 1.0, "crop_overlap_ratio: expected a number 0..0.9"),
        (
            "crop_n_points_downscale_factor",
            0,
            "crop_n_points_downscale_factor: expected a whole number 1..32",
        ),
        ("min_mask_region_area", -5, "min_mask_region_area: expected a number >= 0"),
        ("point_grids", 7, r"point_grids: expected 1 arrays of shape \(K, 2\)"),
        ("point_grids", [[[0.5, 0.5]], [[0.5, 0.5]]], "point_grids: .* one a crop layer, got 2"),
        ("point_grids", [[0.5, 0.5]], r"point_grids: .* got shapes \[\(2,\)\]"),
        ("point_grids", [[[0.5, 1.5]]], "point_grids: .* got values outside 0..1 or NaN"),
        ("point_grids", [[["a", "b"]]], "point_grids: .* got could not convert"),
        ("point_per_side", 8, "unknown option 'point_per_side' .* Did you mean 'points_per_side'"),
    ],
)
def test_bad_options_are_named(name: str, value: Any, message: str) -> None:
    """An option outside its range is refused, naming it, the range and the value."""
    with pytest.raises(OptionError, match=message):
        everything_options(spec(), {name: value})


def test_own_grids_replace_the_regular_one() -> None:
    """`point_grids` wins over `points_per_side`; numpy numbers are numbers."""
    options = everything_options(spec(), {"point_grids": [[[0.5, 0.25]]], "points_per_side": np.int64(4)})

    assert [grid.tolist() for grid in options.grids()] == [[[0.5, 0.25]]]
