"""`mobilesam-lite`, a packaging of the official MobileSAM code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mobilesam_lite.mobile_sam import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry

import lightsam_plugins as ls
from benchmarks.interleave import Case
from benchmarks.peers.sam_like import encoding, masks_from_logits, predictor_cases
from benchmarks.seeded import fill, load, photo

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
