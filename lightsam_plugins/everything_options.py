"""The options of everything mode: names and meaning as in SAM's automatic mask generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import isqrt
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import OptionError, check_flags, check_names
from lightsam_plugins.point_grid import coarse_to_fine, layer_grids

if TYPE_CHECKING:
    from lightsam_plugins.registry import ModelSpec
    from lightsam_plugins.types import FloatArray


class EverythingKeywords(TypedDict, total=False):
    """The fields of `EverythingOptions` as keyword arguments; None means "not given"."""

    points_per_side: int | None
    points_per_batch: int | None
    pred_iou_thresh: float | None
    stability_score_thresh: float | None
    stability_score_offset: float | None
    box_nms_thresh: float | None
    crop_n_layers: int | None
    crop_nms_thresh: float | None
    crop_overlap_ratio: float | None
    crop_n_points_downscale_factor: int | None
    point_grids: Sequence[npt.ArrayLike] | None
    min_mask_region_area: float | None
    hierarchical: bool | None
    detector_bgr: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EverythingOptions:
    """How the image is covered with clicks and which of their masks are kept.

    Args:
        points_per_side: Clicks along each side of the image; ignored where `point_grids` is given.
        points_per_batch: Clicks decoded at once. A CPU takes fewer where the network asks for it.
        pred_iou_thresh: Keep masks whose predicted IoU is above this (0..1).
        stability_score_thresh: Keep masks at least this stable (0..1); see `stability_score_offset`.
        stability_score_offset: The stability of a mask is the IoU between it cut at +offset and at
            -offset around the threshold, in logits.
        box_nms_thresh: Of two masks whose boxes overlap by more than this IoU the better is kept.
        crop_n_layers: Also run on 2x2, 4x4, ... crops, for small objects; 0 is the image alone.
        crop_nms_thresh: As `box_nms_thresh`, between the masks of different crops.
        crop_overlap_ratio: Overlap of the crops, as a fraction of the shorter side.
        crop_n_points_downscale_factor: Each crop layer has this many times fewer clicks a side.
        point_grids: One (K, 2) array of ``(x, y)`` in 0..1 for each layer, instead of regular grids.
        min_mask_region_area: Islands and holes smaller than this many pixels are removed; 0 leaves all.
        hierarchical: Click coarsely first, and leave out clicks that then promise little, see `hierarchy`: up to
            twice as fast, and some small parts of objects are missed. Of K points of one of the `point_grids` the first
            ``(isqrt(K) // 2) ** 2``, about a quarter, are coarse and should cover the image.
        detector_bgr: Of MobileSAMv2, show its detector the image with red and blue swapped, as the official
            code does by mistake: its boxes are reproduced by it, and are others in the right colours.
    """

    points_per_side: int = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    point_grids: Sequence[npt.ArrayLike] | None = None
    min_mask_region_area: float = 0
    hierarchical: bool = False
    detector_bgr: bool = False

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            _check_number(name, getattr(self, name), low, high, whole=name in _WHOLE)
        check_flags(hierarchical=self.hierarchical, detector_bgr=self.detector_bgr)
        if self.point_grids is not None:
            object.__setattr__(self, "point_grids", self._checked_grids(self.point_grids))

    def _checked_grids(self, grids: Sequence[npt.ArrayLike]) -> list[FloatArray]:
        expected = f"{self.crop_n_layers + 1} arrays of shape (K, 2) with values in 0..1"
        try:
            checked = [np.asarray(grid, np.float32) for grid in grids]
        except (TypeError, ValueError) as error:
            raise OptionError("point_grids", expected=expected, got=str(error)) from None
        shapes = [grid.shape for grid in checked]
        if len(checked) != self.crop_n_layers + 1:
            raise OptionError("point_grids", expected=f"{expected}, one a crop layer", got=f"{len(checked)}")
        if any(len(shape) != 2 or shape[1] != 2 for shape in shapes):
            raise OptionError("point_grids", expected=expected, got=f"shapes {shapes}")
        if not all(((grid >= 0) & (grid <= 1)).all() for grid in checked):
            raise OptionError("point_grids", expected=expected, got="values outside 0..1 or NaN")
        return checked

    def grids(self) -> list[FloatArray]:
        """The (K, 2) clicks of each crop layer, as fractions of the crop."""
        if self.point_grids is not None:
            return [np.asarray(grid, np.float32) for grid in self.point_grids]
        grids = layer_grids(self.points_per_side, self.crop_n_layers, self.crop_n_points_downscale_factor)
        return [grid[coarse_to_fine(isqrt(len(grid)))] for grid in grids] if self.hierarchical else grids


# Highest values keep a slip of the keyboard from asking for millions of clicks.
_RANGES: dict[str, tuple[float, float]] = {
    "points_per_side": (1, 1024),
    "points_per_batch": (1, 65536),
    "pred_iou_thresh": (0, 1),
    "stability_score_thresh": (0, 1),
    "stability_score_offset": (0, 100),
    "box_nms_thresh": (0, 1),
    "crop_n_layers": (0, 5),
    "crop_nms_thresh": (0, 1),
    "crop_overlap_ratio": (0, 0.9),
    "crop_n_points_downscale_factor": (1, 32),
    "min_mask_region_area": (0, float("inf")),
}
_WHOLE = {"points_per_side", "points_per_batch", "crop_n_layers", "crop_n_points_downscale_factor"}


def _check_number(name: str, value: Any, low: float, high: float, *, whole: bool) -> None:
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    # `not (low <= value <= high)` also refuses NaN.
    if isinstance(value, bool) or not isinstance(value, kinds) or not (low <= value <= high):
        span = f">= {low}" if high == float("inf") else f"{low}..{high}"
        raise OptionError(
            name, expected=f"{'a whole number' if whole else 'a number'} {span}", got=repr(value)
        )


def everything_options(spec: ModelSpec, given: Mapping[str, Any]) -> EverythingOptions:
    """Options as given, else the model's own defaults, else SAM's.

    Args:
        spec: The model; ``everything_defaults`` holds what it does differently from SAM.
        given: Options by name; None means "not given".

    Raises:
        OptionError: A name that is no option, a value outside its range, or one the model has no use for.
    """
    names = [field.name for field in fields(EverythingOptions)]
    check_names(given, names, where=" of everything mode")
    chosen = {name: value for name, value in given.items() if value is not None}
    if chosen.get("detector_bgr") and all(file.part != "detector" for file in spec.files):
        raise OptionError(
            f"{spec.name} has no detector of its own",
            expected="detector_bgr with MobileSAMv2 only",
            hint="Leave detector_bgr out.",
        )
    return EverythingOptions(**{**spec.everything_defaults, **chosen})
