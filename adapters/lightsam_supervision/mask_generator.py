"""Masks for McByte of the `trackers` package, in the place of its SAM ViT-B; imported where it is asked for only."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

import lightsam_plugins as ls
from lightsam_plugins.adapter_arguments import as_model
from lightsam_plugins.box_masks import segment_boxes

if TYPE_CHECKING:
    from trackers.core.mcbyte.masks import MaskGenerator, MaskOutput, TrackletSnapshot


_PLACES = ("trackers.core.masks", "trackers.core.mcbyte.masks")  # the latter up to version 2.6


def _trackers() -> Any:
    """The module of `trackers` that has the classes."""
    for place in _PLACES:
        try:
            return import_module(place)
        except ModuleNotFoundError as error:
            reason = error
    raise ls.MissingExtra(
        "a mask generator is for McByte of the package trackers",
        expected="trackers 2.6 or newer",
        got=str(reason),
        hint='pip install "trackers>=2.6"',
    ) from reason


if not TYPE_CHECKING:
    MaskGenerator, MaskOutput = _trackers().MaskGenerator, _trackers().MaskOutput


class LightSAMMaskGenerator(MaskGenerator):
    """What `trackers.core.mcbyte.mask_manager.MaskManager` takes as its `mask_generator`.

    Args:
        model: Name of a model, see `lightsam_plugins.list_models`, or one that is loaded already.
        **options: How to load the model, as in `lightsam_plugins.load`: device, weights, dtype and so on.
    """

    def __init__(self, model: str | ls.Segmenter = "nano", **options: Any) -> None:
        self.model = as_model(model, options)

    def generate(self, frame: np.ndarray, tracklets: Sequence[TrackletSnapshot]) -> MaskOutput:
        """One mask a tracklet, in their order; the confidence of a mask is its predicted IoU.

        Args:
            frame: (H, W, 3) uint8 RGB, as McByte wants it.
            tracklets: Ids and boxes; that of one which has left the frame has a mask without pixels.
        """
        boxes = np.array([one.xyxy for one in tracklets], np.float32).reshape(-1, 4)
        masks = segment_boxes(self.model, [frame], [boxes])[0]
        ids = [one.tracker_id for one in tracklets]
        scores = map(float, np.clip(masks.scores, 0, 1))
        return MaskOutput(
            masks.dense(), dict(zip(ids, range(len(ids)), strict=True)), dict(zip(ids, scores, strict=True))
        )
