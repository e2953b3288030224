"""The held-out sets of the final table: images that training never saw, with their objects.

    python -m training.holdout --data DIR --out SETS

writes each set as a folder of PNG images and a COCO file beside it, for `lightsam evaluate`; and NAME-boxes.json, what
a detector might find: the true boxes with every edge moved, the better the higher the score, and as many at random.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from lightsam_plugins.evaluation.rle import encode
from lightsam_plugins.evaluation.shapes import box_of
from training.photos import collage
from training.scenes import Sample, cutouts_on_texture, packed
from training.sources import Labels, Sources, UInt8

MIN_SHARE = 0.003  # of the image or tile; smaller objects are not counted
TILE = 256  # pixels; microscopy images larger than WHOLE are cut into tiles of this side
WHOLE = 400
PER_IMAGE = 6  # objects an image, spread evenly over its labels
COMPOSITES = 60


@dataclass(frozen=True)
class Case:
    """One image and the masks of the objects to be found.

    Args:
        name: For reports.
        image: (H, W, 3) uint8 RGB.
        masks: (N, H, W) bool.
    """

    name: str
    image: UInt8
    masks: npt.NDArray[np.bool_]


def choose(masks: list[npt.NDArray[np.bool_]], per_image: int = PER_IMAGE) -> npt.NDArray[np.bool_]:
    """The masks that are large enough, at most `per_image`, evenly spread."""
    large = [mask for mask in masks if mask.mean() >= MIN_SHARE]
    if len(large) > per_image:
        large = [large[index] for index in np.linspace(0, len(large) - 1, per_image).round().astype(int)]
    return np.stack(large) if large else np.zeros((0, 1, 1), bool)


def separate(labels: Labels) -> list[npt.NDArray[np.bool_]]:
    """A label map as one mask an object."""
    return [labels == value for value in np.unique(labels) if value]


def tiles(image: UInt8, labels: Labels) -> Iterator[tuple[UInt8, Labels]]:
    """The image itself, or its two tiles with the most objects."""
    height, width = labels.shape
    if max(height, width) <= WHOLE:
        yield image, labels
        return
    corners = [
        (y, x)
        for y in range(0, max(height - TILE, 0) + 1, TILE)
        for x in range(0, max(width - TILE, 0) + 1, TILE)
    ]
    windows = [np.s_[y : y + TILE, x : x + TILE] for y, x in corners]
    windows.sort(key=lambda window: -len(np.unique(labels[window])))
    for window in windows[:2]:
        yield image[window], labels[window]


def microscopy(sources: Sources, *, grey: bool) -> Iterator[Case]:
    """Held-out nuclei, or the grey cytology that is a modality of its own."""
    for name in sorted(sources.names("dsb2018")):
        if (name in sources.grey_cytology) != grey:
            continue
        for index, (image, labels) in enumerate(tiles(*sources.nuclei(name))):
            masks = choose(separate(labels), 4)
            if len(masks):
                yield Case(f"{name}-{index}", np.ascontiguousarray(image), masks)


def photos(sources: Sources) -> Iterator[Case]:
    """Natural photos with several objects each."""
    for name in sorted(sources.names("coco_clean")):
        image, masks = sources.photo(name)
        chosen = choose([mask.astype(bool) for mask in masks])
        if len(chosen):
            yield Case(str(name), image, chosen)


def composites(sources: Sources, *, apart: bool = True) -> Iterator[Case]:
    """Held-out cut-outs on held-out textures, drawn from fixed seeds."""
    for seed in range(COMPOSITES):
        sample = cutouts_on_texture(sources, np.random.default_rng(90_000 + seed), 320, apart=apart)
        masks = choose(separate(sample.labels), 4)
        if len(masks):
            yield Case(str(seed), sample.image, masks)


def drawn(sources: Sources, maker: Callable[[Sources, Generator, int], Sample], count: int) -> Iterator[Case]:
    """Scenes of one kind of training sample, of the images of a split, from fixed seeds."""
    for seed in range(count):
        sample = maker(sources, np.random.default_rng(70_000 + seed), 384)
        masks = choose(separate(sample.labels), 4)
        if len(masks):
            yield Case(str(seed), sample.image, masks)


def coin_labels(image: npt.NDArray[np.uint8]) -> Labels:
    """scikit-image's coins: Otsu's threshold on the flattened photo, closed, filled, opened; whole coins only."""
    from scipy import ndimage

    grey = image.astype(np.float32)
    flat = cv2.normalize(grey - cv2.GaussianBlur(grey, (0, 0), 40), None, 0, 255, cv2.NORM_MINMAX)
    level, _ = cv2.threshold(flat.astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    binary = ndimage.binary_fill_holes(ndimage.binary_closing(flat > level, iterations=3))
    labels, _ = ndimage.label(ndimage.binary_opening(binary, iterations=4))
    areas = np.bincount(labels.ravel())
    middle = np.median(areas[1:])
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    for value in range(1, len(areas)):
        if value in border or not 0.25 * middle <= areas[value] <= 4 * middle:
            labels[labels == value] = 0
    return labels.astype(np.int32)


def coins() -> Iterator[Case]:
    """scikit-image's photo of 24 coins."""
    from skimage import data

    image = data.coins()
    yield Case("coins", np.dstack([image] * 3), choose(separate(coin_labels(image)), 99))


def all_sets(root: Path) -> dict[str, list[Case]]:
    """Every set of the table, by name."""
    sources = Sources(root, "holdout")
    return {
        "nuclei": list(microscopy(sources, grey=False)),
        "grey cytology": list(microscopy(sources, grey=True)),
        "natural photos": list(photos(sources)),
        "composites": list(composites(sources)),
        "overlapping composites": list(composites(sources, apart=False)),
        "coins": list(coins()),
    }


def validation_sets(root: Path) -> dict[str, list[Case]]:
    """The same kinds from the validation part of `train`: for choosing, never for the table."""
    sources = Sources(root, "val")
    return {
        "val nuclei": list(microscopy(sources, grey=False)),
        "val photos": list(photos(sources)),
        "val composites": list(composites(sources)),
        "val overlapping composites": list(composites(sources, apart=False)),
        "val collages": list(drawn(sources, collage, COMPOSITES)),
        "val packed": list(drawn(sources, packed, COMPOSITES // 2)),
    }


def write_set(cases: list[Case], folder: Path) -> None:
    """One set: images in `folder`, annotations in a JSON file of its name beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, case in enumerate(cases, 1):
        height, width = case.image.shape[:2]
        file = f"{case.name}.png"
        cv2.imwrite(str(folder / file), cv2.cvtColor(case.image, cv2.COLOR_RGB2BGR))
        images.append({"id": number, "file_name": file, "height": height, "width": width})
        for mask in case.masks:
            x0, y0, x1, y1 = box_of(mask)
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            place = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": int(mask.sum())}
            annotations.append(one | place | {"segmentation": encode(mask)})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "object"}],
    }
    folder.with_suffix(".json").write_text(json.dumps(content))
    boxes = pretended_boxes(images, annotations)
    folder.with_name(f"{folder.name}-boxes.json").write_text(json.dumps(boxes))


def pretended_boxes(images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Boxes in the form of COCO's results. Edges are moved by a tenth of the sides (one standard deviation).

    The score of a moved box is its IoU with the true one; that of a box at random is drawn from 0 to 0.5.
    """
    rng = np.random.default_rng(0)
    sizes = {image["id"]: (image["width"], image["height"]) for image in images}
    found = []
    for one in annotations:
        x, y, w, h = one["bbox"]
        true = np.array([x, y, x + w, y + h], float)
        limits = np.array(sizes[one["image_id"]] * 2, float)
        moved = np.clip(true + rng.normal(0, 0.1, 4) * [w, h, w, h], 0, limits)
        if (moved[2:] - moved[:2] < 2).any():
            moved = true
        corner = rng.uniform(0, 0.9, 2) * limits[:2]
        free = np.minimum(np.concatenate([corner, corner + rng.uniform(0.05, 0.4, 2) * limits[:2]]), limits)
        for box, score in ((moved, overlap(moved, true)), (free, float(rng.uniform(0, 0.5)))):
            place = [*box[:2].round(2).tolist(), *(box[2:] - box[:2]).round(2).tolist()]
            found.append(
                {"image_id": one["image_id"], "category_id": 1, "bbox": place, "score": round(score, 4)}
            )
    return found


def overlap(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """IoU of two ``xyxy`` boxes."""
    inner = np.prod(np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None))
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(inner / (sum(areas) - inner))


def main() -> None:
    """Write all sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for name, cases in all_sets(options.data).items():
        write_set(cases, options.out / name.replace(" ", "-"))


if __name__ == "__main__":
    main()
