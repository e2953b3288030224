"""`mobilesam-lite`, a packaging of the official MobileSAM code."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from mobilesam_lite.mobile_sam import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry

import lightsam_plugins as ls
from benchmarks.hierarchical import iou
from benchmarks.interleave import Case
from benchmarks.peers.sam_like import encoding, masks_from_logits, predictor_cases
from benchmarks.replay import Answers, Official, replay
from benchmarks.seeded import fill, load, photo
from lightsam_plugins.models.sam_network import SamNetwork

PACKAGES = ["mobilesam-lite", "timm"]


def cases(folder: Path) -> Iterator[Case]:
    """All tasks; checkpoints are written to `folder`."""
    sam = fill(sam_model_registry["vit_t"]())
    ours, predictor = load("mobilesam", sam, folder), SamPredictor(sam)
    bars = {"encode": 1.6, "box": 2.6, "boxes": 3.5}
    yield from predictor_cases(sam, predictor, ours, bars, lambda: predictor.features)
    for dtype, bar, tolerance in (("float32", 2.6, 1e-3), ("bfloat16", 4, 3e-2)):
        engine = load("mobilesam", sam, folder, engine="openvino", dtype=dtype)
        yield encoding(predictor, engine, bar, lambda: predictor.features, tolerance)
    yield masks_from_logits(sam, 15)
    yield everything(sam, ours, 8, rounds=3)
    yield everything(sam, ours, 32, rounds=1)
    for name in ("coffee", "coins"):
        yield hierarchical(sam, folder, name)


def everything(sam: object, ours: ls.Segmenter, side: int, rounds: int) -> Case:
    """Everything mode with `side` x `side` clicks; 8 x 8 are one batch of the official code.

    Seeded weights rate masks at random: the threshold lets about a third through, as real weights do. All are
    stable enough for both, whose measures differ (on the pixels there, on the logits here).
    """
    image = photo(1024, 1024)
    clicks = (np.mgrid[:4, :4].reshape(2, -1).T[:, None, ::-1] + 0.5) * 256
    some = ours.segment(image, points=clicks, multimask=True).scores
    best, stable = float(np.quantile(some, 0.65)), 1e-6
    generator = SamAutomaticMaskGenerator(
        sam, points_per_side=side, pred_iou_thresh=best, stability_score_thresh=stable
    )

    def theirs() -> list[dict[str, npt.NDArray[np.bool_]]]:
        found: list[dict[str, npt.NDArray[np.bool_]]] = generator.generate(image)
        return found

    def work() -> ls.Masks:
        masks = ours.everything(
            image, points_per_side=side, pred_iou_thresh=best, stability_score_thresh=stable
        )
        masks.rle()
        return masks

    def same() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        found = sorted(theirs(), key=lambda one: -float(one["predicted_iou"]))
        return np.stack([one["segmentation"] for one in found]), work().dense()

    return Case(f"everything, {side}x{side} clicks, mobilesam", 4, theirs, work, same, 1e-4, rounds)


def hierarchical(sam: Any, folder: Path, name: str) -> Case:
    """Everything mode of 32 x 32 clicks there, and here without those that promise little.

    Which clicks these are depends on what there is to be found, so both answer with the masks of `nano`, see `replay`.
    Apart is how far the best IoU of each of their masks is from 1, as a relative error of all of them.
    """
    image = photo(1024, 1024, name)
    thresholds: Any = {"pred_iou_thresh": 0.6, "stability_score_thresh": 0.85}  # those of nano
    generator = SamAutomaticMaskGenerator(sam, **thresholds)

    @cache
    def replayed() -> tuple[Official, ls.Segmenter]:
        """Both sides, made when the case is asked for: `nano` takes a while to answer 1024 clicks."""
        answers, ours = Answers(image, 32, thresholds["pred_iou_thresh"]), load("mobilesam", sam, folder)
        replay(cast("SamNetwork", ours._runner.module), answers)
        return Official(sam.mask_decoder, answers), ours

    def theirs() -> list[dict[str, npt.NDArray[np.bool_]]]:
        official = sam.mask_decoder = replayed()[0]
        try:
            found: list[dict[str, npt.NDArray[np.bool_]]] = generator.generate(image)
        finally:
            sam.mask_decoder = official.decoder
        return found

    def work() -> ls.Masks:
        masks = replayed()[1].everything(image, points_per_side=32, hierarchical=True, **thresholds)
        masks.rle()
        return masks

    def same() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        best = iou(np.stack([one["segmentation"] for one in theirs()]), work().dense()).max(axis=1, initial=0)
        return np.ones_like(best), best

    return Case(f"everything, 32x32 clicks, hierarchical, {name}", 10, theirs, work, same, 0.1, rounds=1)
