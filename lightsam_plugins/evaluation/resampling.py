"""AP and AR of images drawn with replacement: pycocotools matches masks once, what it found is added up anew a draw.

A draw is a number of times that each image counts. Counting an image twice is what pycocotools would give for the image
and a copy of it, so that nothing has to be matched again.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lightsam_plugins.evaluation.detection_scores import RECALL_AT

Counts: TypeAlias = npt.NDArray[np.int_]  # (rounds, images): how often each image was drawn
Drawn: TypeAlias = dict[str, npt.NDArray[np.float64]]  # metric -> (rounds,)
LEVELS = np.linspace(0, 1, 101)  # of recall, as COCO has them


def precision_columns(evaluation: Any) -> dict[str, Any]:
    """What AP is added up from, as JSON can hold it.

    Args:
        evaluation: From `detection_scores.precision_matches`.

    Returns:
        ``images``: ids; ``masks``: columns image, category, score, and hit and miss, whose bit t is set where the mask
        counts as right or as wrong at the t-th IoU; ``objects``: columns image, category, count.
    """
    masks: dict[str, list[Any]] = {name: [] for name in ("image", "category", "score", "hit", "miss")}
    objects: dict[str, list[int]] = {name: [] for name in ("image", "category", "count")}
    for category, image, one in _of_all_sizes(evaluation):
        matched, ignored = one["dtMatches"] > 0, one["dtIgnore"].astype(bool)
        masks["image"] += [image] * len(one["dtScores"])
        masks["category"] += [category] * len(one["dtScores"])
        masks["score"] += [float(score) for score in one["dtScores"]]
        masks["hit"] += _bits(matched & ~ignored)
        masks["miss"] += _bits(~matched & ~ignored)
        objects["image"].append(image)
        objects["category"].append(category)
        objects["count"].append(int((one["gtIgnore"] == 0).sum()))
    return {"images": [int(image) for image in evaluation.params.imgIds], "masks": masks, "objects": objects}


def recall_columns(evaluation: Any) -> dict[str, Any]:
    """What AR is added up from, as JSON can hold it.

    Args:
        evaluation: From `detection_scores.recall_matches`.

    Returns:
        ``images``: ids; ``count``: objects of each; ``found``: for each number of masks, right answers of each image,
        summed over the ten IoUs.
    """
    images = [int(image) for image in evaluation.params.imgIds]
    count = [0] * len(images)
    found = {str(at): [0] * len(images) for at in RECALL_AT}
    for _, image, one in _of_all_sizes(evaluation):
        right = (one["dtMatches"] > 0) & ~one["dtIgnore"].astype(bool)
        count[image] = int((one["gtIgnore"] == 0).sum())
        for at in RECALL_AT:
            found[str(at)][image] = int(right[:, :at].sum())
    return {"images": images, "count": count, "found": found}


def drawn_precision(columns: dict[str, Any], counts: Counts) -> Drawn:
    """AP, AP50 and AP75 of each draw; NaN of a draw without any object."""
    masks = {name: np.asarray(values) for name, values in columns["masks"].items()}
    objects = {name: np.asarray(values, int) for name, values in columns["objects"].items()}
    sums, categories = np.zeros((len(counts), 10)), np.zeros(len(counts))
    for category in np.unique(objects["category"]):
        of = objects["category"] == category
        wanted = counts[:, objects["image"][of]] @ objects["count"][of]
        of = np.flatnonzero(masks["category"] == category)
        order = of[np.argsort(-masks["score"][of], kind="stable")]
        steps = 1 << np.arange(10)[:, None]
        hit, miss = ((masks[name][order].astype(int) & steps) > 0 for name in ("hit", "miss"))
        categories += wanted > 0
        for row in np.flatnonzero(wanted) if len(order) else ():
            weight = counts[row, masks["image"][order]]
            sums[row] += _average_precision((hit * weight).cumsum(1), (miss * weight).cumsum(1), wanted[row])
    with np.errstate(invalid="ignore"):
        means = sums / categories[:, None]
    return {"AP": means.mean(1), "AP50": means[:, 0], "AP75": means[:, 5]}


def drawn_recall(columns: dict[str, Any], counts: Counts) -> Drawn:
    """AR@10, @100 and @1000 of each draw; NaN of a draw without any object."""
    wanted = counts @ np.asarray(columns["count"], int)
    with np.errstate(invalid="ignore"):
        return {
            f"AR@{at}": counts @ np.asarray(columns["found"][str(at)], int) / (10 * wanted)
            for at in RECALL_AT
        }


def _average_precision(
    hits: npt.NDArray[np.int_], misses: npt.NDArray[np.int_], wanted: int
) -> npt.NDArray[np.float64]:
    """(T,) mean over the levels of recall of the best precision at that recall or a higher one."""
    precision = hits / np.maximum(hits + misses, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    places = np.stack([np.searchsorted(row, LEVELS, side="left") for row in hits / wanted])
    reached = np.take_along_axis(best, np.minimum(places, best.shape[1] - 1), 1) * (places < best.shape[1])
    means: npt.NDArray[np.float64] = reached.mean(1)
    return means


def _of_all_sizes(evaluation: Any) -> list[tuple[int, int, Any]]:
    """Place of the category, place of the image, and pycocotools' record of the two, objects of all sizes."""
    params = evaluation.params
    categories, sizes, images = (
        len(params.catIds) if params.useCats else 1,
        len(params.areaRng),
        len(params.imgIds),
    )
    return [
        (category, image, one)
        for category in range(categories)
        for image in range(images)
        if (one := evaluation.evalImgs[category * sizes * images + image]) is not None
    ]


def _bits(flags: npt.NDArray[np.bool_]) -> list[int]:
    """(T, N) flags as N numbers."""
    numbers: list[int] = (flags * (1 << np.arange(len(flags)))[:, None]).sum(0).tolist()
    return numbers
