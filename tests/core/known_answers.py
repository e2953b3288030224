"""A stand-in for a model, whose answers are known, and small annotated images for it."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from lightsam_plugins.evaluation.rle import encode
from lightsam_plugins.masks import Masks
from lightsam_plugins.types import Frame

SIZE = (100, 120)
ALL = frozenset({"box", "point", "negative_point", "mask", "everything"})


def square(x0, y0, x1, y1):
    """A mask of one rectangle."""
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


SQUARES = [square(10, 10, 30, 30), square(50, 20, 90, 60), square(5, 60, 15, 70)]


class KnownAnswers:
    """Answers a prompt about true mask i by `change(mask i)`; knows them by their boxes and by first clicks inside."""

    prompts = ALL

    def __init__(self, truth=SQUARES, change=lambda mask: mask, name="known", everything=()):
        self.truth, self.change, self.name, self.found = truth, change, name, everything
        self.prompted = []

    def embed(self, image, *, batch_size=8):
        return image

    def segment(self, image, *, boxes=None, points=None, point_labels=None, mask_input=None):
        self.prompted.append((boxes, points, point_labels, mask_input))
        places = [clicks[0] for clicks in points] if boxes is None else [_middle(box) for box in boxes]
        answers = [self.change(next(m for m in self.truth if m[int(y), int(x)])) for x, y in places]
        return masks_of(answers, np.ones(len(answers)))

    def everything(self, image):
        return masks_of([mask for mask, _ in self.found], [score for _, score in self.found])


def masks_of(arrays, scores):
    """`Masks` with just these pixels."""
    logits = np.zeros((len(arrays), 256, 256), np.float32)
    return Masks(logits, scores, Frame(*SIZE, 256), crops=[(0, 0, mask) for mask in arrays])


def _middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def annotation(number, image, mask, category=1, **more):
    """An annotation in COCO's form."""
    rows, columns = np.nonzero(mask)
    x, y = int(columns.min()), int(rows.min())
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": encode(mask),
        "bbox": [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y],
        "area": int(mask.sum()),
        "iscrowd": 0,
        **more,
    }


def write_dataset(folder, images=3, masks=SQUARES, extra=()):
    """Grey photos and instances.json; returns both paths."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    rows, annotations = [], []
    for number in range(1, images + 1):
        name = f"{number}.png"
        Image.fromarray(np.full((*SIZE, 3), 20 * number, np.uint8)).save(photos / name)
        rows.append({"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        annotations += [annotation(len(annotations) + 1 + i, number, mask) for i, mask in enumerate(masks)]
    content = {"images": rows, "annotations": [*annotations, *extra], "categories": [{"id": 1, "name": "it"}]}
    (folder / "instances.json").write_text(json.dumps(content))
    return photos, folder / "instances.json"
