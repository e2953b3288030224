"""Average precision and average recall of masks, by pycocotools, with LVIS's rules where an image has them."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from lightsam_plugins.evaluation.dataset import Sample

Row: TypeAlias = dict[str, Any]

SIZES = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
RECALL_AT = (10, 100, 1000)


def precision(truth: Sequence[Row], found: Sequence[Row], samples: Iterable[Sample], at: int = 100) -> Row:
    """Mask AP, averaged over IoU 0.50 to 0.95 and over categories; by size, and at IoU 0.50 and 0.75.

    Arguments are as in `precision_matches`.

    Returns:
        ``AP, AP50, AP75, APs, APm, APl`` in 0..1; None where there is nothing to be found.
    """
    return precision_scores(precision_matches(truth, found, samples, at))


def precision_matches(
    truth: Sequence[Row], found: Sequence[Row], samples: Iterable[Sample], at: int = 100
) -> Any:
    """Which mask matches what, image by image and category by category: pycocotools' evaluation.

    Args:
        truth: Annotations in COCO's form, with run-length codes, see `row_of`.
        found: Masks in the form of COCO's results: image_id, category_id, segmentation, score.
        samples: The images. Where LVIS's fields are there, `at` counts all masks of an image; of these, masks of
            categories that nobody looked for in it are dropped, and those of incompletely annotated ones are no error.
        at: Masks that count, an image and category. COCO has 100, LVIS 300.
    """
    images = {sample.id: sample for sample in samples}
    lvis = any(sample.checked is not None for sample in images.values())
    counted = _best_of_image(found, at) if lvis else found
    kept = [row for row in counted if _looked_for(images[row["image_id"]], row["category_id"])]
    return _evaluated(truth, kept, images, at=(at,), categories=True)


def precision_scores(evaluation: Any) -> Row:
    """The numbers of `precision` from pycocotools' evaluation."""
    scores = evaluation.eval["precision"]  # T, R, K, A, M
    steps = {"AP": (slice(None), 0), "AP50": (0, 0), "AP75": (5, 0)}
    sizes = {f"AP{name[0]}": (slice(None), index) for index, name in enumerate(SIZES) if index}
    return {name: _mean(scores[t][..., :, a, 0]) for name, (t, a) in (steps | sizes).items()}


def recall(truth: Sequence[Row], found: Sequence[Row], samples: Iterable[Sample]) -> Row:
    """Mask AR@10, @100 and @1000 without categories, averaged over IoU 0.50 to 0.95; AR@1000 by size too.

    Arguments are as in `precision_matches`.
    """
    return recall_scores(recall_matches(truth, found, samples))


def recall_matches(truth: Sequence[Row], found: Sequence[Row], samples: Iterable[Sample]) -> Any:
    """As `precision_matches`, without categories and for the numbers of `RECALL_AT`."""
    images = {sample.id: sample for sample in samples}
    return _evaluated(truth, found, images, at=RECALL_AT, categories=False)


def recall_scores(evaluation: Any) -> Row:
    """The numbers of `recall` from pycocotools' evaluation."""
    scores = evaluation.eval["recall"]  # T, K, A, M
    result = {f"AR@{count}": _mean(scores[:, :, 0, index]) for index, count in enumerate(RECALL_AT)}
    sizes = list(SIZES)[1:]
    return result | {f"AR{name[0]}@1000": _mean(scores[:, :, 1 + i, -1]) for i, name in enumerate(sizes)}


def _looked_for(sample: Sample, category: int) -> bool:
    return sample.checked is None or category in sample.checked


def _best_of_image(found: Sequence[Row], at: int) -> list[Row]:
    groups: dict[int, list[Row]] = {}
    for row in found:
        groups.setdefault(row["image_id"], []).append(row)
    return [row for rows in groups.values() for row in sorted(rows, key=lambda row: -row["score"])[:at]]


def _evaluated(
    truth: Sequence[Row],
    found: Sequence[Row],
    images: dict[int, Sample],
    *,
    at: tuple[int, ...],
    categories: bool,
) -> Any:
    from pycocotools.cocoeval import COCOeval

    class Rules(COCOeval):
        """COCO's evaluation; a mask of an incompletely annotated category that matches nothing is ignored."""

        def evaluateImg(self, imgId: int, catId: int, aRng: Any, maxDet: int) -> Any:  # noqa: N802
            result: Any = super().evaluateImg(imgId, catId, aRng, maxDet)
            if result is not None and catId in images[imgId].incomplete:
                result["dtIgnore"] |= result["dtMatches"] == 0
            return result

    names = {row["category_id"] for row in (*truth, *found)}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools 2.0.11 with numpy 2
        evaluation: Any = Rules(_table(truth, images, names), _table(found, images, names), iouType="segm")
        evaluation.params.maxDets = list(at)
        evaluation.params.areaRng = [list(pair) for pair in SIZES.values()]
        evaluation.params.areaRngLbl = list(SIZES)
        evaluation.params.useCats = int(categories)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _table(rows: Sequence[Row], images: Iterable[int], categories: Iterable[int]) -> Any:
    from pycocotools.coco import COCO

    table: Any = COCO()
    table.dataset = {
        "images": [{"id": image, "height": 0, "width": 0} for image in images],
        "categories": [{"id": category} for category in sorted(categories)],
        # pycocotools takes a match with the id 0 for none: ids count from 1. Sizes are in the run-length codes.
        "annotations": [row | {"id": number} for number, row in enumerate(rows, 1)],
    }
    table.createIndex()
    return table


def _mean(scores: Any) -> float | None:
    """The mean of what is there: pycocotools writes -1 where there is nothing to be found."""
    there = scores[scores > -1]
    return float(there.mean()) if there.size else None


def row_of(image: int, category: int, rle: Any, area: float, **more: Any) -> Row:
    """A mask in COCO's form; `more` are score, iscrowd and the like."""
    return {
        "image_id": image,
        "category_id": category,
        "segmentation": rle,
        "area": area,
        "bbox": [0, 0, 1, 1],
        "iscrowd": 0,
        **more,
    }


def best_overlaps(masks: Sequence[Any], wanted: Sequence[Any]) -> list[float]:
    """For each wanted run-length code the highest IoU that any of the masks has with it; 0 where there are none."""
    from pycocotools import mask as coco

    if not masks or not wanted:
        return [0.0] * len(wanted)
    overlaps: Any = coco.iou(list(masks), list(wanted), [0] * len(wanted))
    return [float(value) for value in np.asarray(overlaps).max(0)]
