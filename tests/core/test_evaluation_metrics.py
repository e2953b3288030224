"""Metrics against brute force, hand-made cases and pycocotools run on files."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from known_answers import SIZE, SQUARES, annotation, square
from lvis_scene import SEEDS, lvis_scene
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage

from lightsam_plugins.errors import InputError
from lightsam_plugins.evaluation.dataset import Sample
from lightsam_plugins.evaluation.detection_scores import precision, recall, row_of
from lightsam_plugins.evaluation.rle import decode, encode
from lightsam_plugins.evaluation.shapes import boundary, boundary_iou, iou

HERE = Path(__file__).parent

# pycocotools 2.0.11 decodes with a call that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def sample(number=1, **more):
    """An image of which only the id and LVIS's fields matter."""
    return Sample(f"{number}.png", None, number, (), **more)


def answer(mask, score, image=1, category=1):
    """A found mask in COCO's form."""
    return row_of(image, category, encode(mask), float(mask.sum()), score=score)


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (square(10, 10, 20, 20), 1.0),
        (square(0, 0, 0, 0), 0.0),
        (square(11, 10, 21, 20), 90 / 110),
        (square(40, 40, 50, 50), 0.0),
        (square(10, 10, 20, 15), 0.5),
    ],
)
def test_iou_of_known_cases(found, value):
    """Perfect, empty, shifted by one pixel, all wrong and half: the IoU is the one counted by hand."""
    assert iou(found, square(10, 10, 20, 20)) == pytest.approx(value)


def random_masks(count, seed):
    """Blobs of any form."""
    noise = np.random.default_rng(seed).standard_normal((count, *SIZE))
    return [ndimage.gaussian_filter(one, 6) > 0.02 for one in noise]


def test_iou_is_that_of_sets_of_pixels():
    """On random masks IoU equals the one of Python's sets."""
    for one, other in zip(random_masks(5, 0), random_masks(5, 1), strict=True):
        a, b = (set(zip(*np.nonzero(mask), strict=True)) for mask in (one, other))

        assert iou(one, other) == pytest.approx(len(a & b) / len(a | b), abs=1e-12)


def test_boundary_is_what_lies_near_the_outline():
    """The band is where the chessboard distance to the outside, border included, is within 2 % of the diagonal."""
    width = round(0.02 * np.hypot(*SIZE))
    for one, other in zip(random_masks(5, 2), random_masks(5, 3), strict=True):
        bands = []
        for mask in (one, other):
            distance = ndimage.distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1]
            bands.append(mask & (distance <= width))
            assert (boundary(mask) == bands[-1]).all()

        assert boundary_iou(one, other) == pytest.approx(iou(*bands))


def test_average_precision_of_a_case_counted_by_hand():
    """A wrong mask first, one object of two found: precision 1/2 up to recall 1/2, i.e. 51 of 101 recall levels."""
    truth = [annotation(i, 1, mask) for i, mask in enumerate(SQUARES[:2])]
    found = [answer(square(95, 80, 115, 95), 0.9), answer(SQUARES[0], 0.8)]

    assert precision(truth, found, [sample()])["AP"] == pytest.approx(0.5 * 51 / 101)
    assert recall(truth, found, [sample()])["AR@10"] == pytest.approx(0.5)


def test_perfect_and_missing_answers():
    """All objects found is 1 everywhere, none found 0, and sizes without objects are None."""
    truth = [annotation(i, 1, mask) for i, mask in enumerate(SQUARES)]
    perfect = [answer(mask, 0.5) for mask in SQUARES]

    scores = precision(truth, perfect, [sample()]) | recall(truth, perfect, [sample()])
    assert {name: value for name, value in scores.items() if value != pytest.approx(1)} == {
        "APl": None,
        "ARl@1000": None,
    }
    assert precision(truth, [], [sample()])["AP"] == 0
    assert recall(truth, [], [sample()])["AR@1000"] == 0


def official(tmp_path, truth, found, **settings):
    """pycocotools' own evaluation, from files as its users run it."""
    content = {
        "images": [
            {"id": 1, "height": SIZE[0], "width": SIZE[1]},
            {"id": 2, "height": SIZE[0], "width": SIZE[1]},
        ],
        "categories": [{"id": 1}, {"id": 2}],
        "annotations": [row | {"id": number} for number, row in enumerate(truth, 1)],
    }
    (tmp_path / "truth.json").write_text(json.dumps(content))
    plain = [{k: row[k] for k in ("image_id", "category_id", "segmentation", "score")} for row in found]
    (tmp_path / "found.json").write_text(json.dumps(plain))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / "truth.json")
        evaluation = COCOeval(coco, coco.loadRes(str(tmp_path / "found.json")), "segm")
        for name, value in settings.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
        if not settings:
            evaluation.summarize()
    return evaluation


def detections():
    """Two images, two categories, a crowd, and answers of all qualities."""
    generator = np.random.default_rng(4)
    truth, found = [], []
    for image in (1, 2):
        for _ in range(8):
            x, y = generator.integers(0, 60, 2)
            w, h = generator.integers(6, 40, 2)
            category = int(generator.integers(1, 3))
            crowd = int(generator.random() < 0.2)
            truth.append(annotation(0, image, square(x, y, x + w, y + h), category, iscrowd=crowd))
            for _ in range(3):
                dx, dy = generator.integers(-4, 5, 2)
                mask = square(max(0, x + dx), max(0, y + dy), x + w, y + h + abs(dy))
                found.append(answer(mask, float(generator.random()), image, category))
    return truth, found


def test_scores_are_those_of_pycocotools(tmp_path):
    """AP, its parts and AR@10, 100, 1000 equal pycocotools run on files to 1e-6, crowds included."""
    truth, found = detections()
    images = [sample(1), sample(2)]

    stats = official(tmp_path, truth, found).stats
    scores = precision(truth, found, images)
    free = official(tmp_path, truth, found, useCats=0, maxDets=[10, 100, 1000]).eval["recall"]

    expected = dict(zip(("AP", "AP50", "AP75", "APs", "APm", "APl"), stats, strict=False))
    assert 0.1 < expected["AP"] < 0.9
    for name, value in expected.items():
        assert (-1 if scores[name] is None else scores[name]) == pytest.approx(value, abs=1e-6)
    for place, count in enumerate((10, 100, 1000)):
        value = free[:, 0, 0, place].mean()
        assert recall(truth, found, images)[f"AR@{count}"] == pytest.approx(value, abs=1e-6)


def test_lvis_rules():
    """What nobody looked for is dropped, and what may be there without an annotation is no error."""
    truth = [annotation(1, 1, SQUARES[0], 1)]
    right, elsewhere = answer(SQUARES[0], 0.5), answer(SQUARES[1], 0.9)
    checked = sample(checked=frozenset({1}))

    assert precision(truth, [right, elsewhere], [checked], 300)["AP"] == pytest.approx(0.5)
    incomplete = sample(checked=frozenset({1}), incomplete=frozenset({1}))
    assert precision(truth, [right, elsewhere], [incomplete], 300)["AP"] == pytest.approx(1)
    assert precision(truth, [right, elsewhere], [checked], 1)["AP"] == 0
    other = answer(SQUARES[1], 0.9, category=2)
    assert precision(truth, [right, other], [checked], 2)["AP"] == pytest.approx(1)
    assert (
        precision(truth, [right, other], [checked], 1)["AP"] == 0
    )  # masks are counted before they are dropped


@pytest.mark.parametrize("at", ["300", "5"])
@pytest.mark.parametrize("seed", SEEDS)
def test_scores_are_those_of_the_lvis_package(seed, at):
    """AP and its parts equal the package `lvis` 0.5.3 on the same scenes to 1e-9; `make lvis` writes its answers."""
    content, found = lvis_scene(seed)
    images = [
        sample(
            image["id"],
            checked=frozenset(image["neg_category_ids"])
            | {row["category_id"] for row in content["annotations"] if row["image_id"] == image["id"]},
            incomplete=frozenset(image["not_exhaustive_category_ids"]),
        )
        for image in content["images"]
    ]

    scores = precision(content["annotations"], found, images, int(at))

    expected = json.loads((HERE / "lvis_answers.json").read_text())[str(seed)][at]
    assert 0.05 < expected["AP"] < 0.95
    assert scores.keys() == expected.keys()
    for name, value in expected.items():
        assert (-1 if scores[name] is None else scores[name]) == pytest.approx(value, abs=1e-9), name


def test_segmentations_of_each_form_are_the_same_mask():
    """Polygons, plain and compressed run-length codes of one square decode to it."""
    mask = SQUARES[0]
    ring = [10, 10, 30, 10, 30, 30, 10, 30]
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.r_[False, flat, False].astype(int)))
    plain = {"size": list(SIZE), "counts": np.diff(np.r_[0, edges, flat.size]).tolist()}

    for one in ([ring], plain, encode(mask), {**encode(mask), "counts": encode(mask)["counts"].encode()}):
        assert (decode(one, SIZE) == mask).all()
    for one in random_masks(4, 5):
        assert (decode(encode(one), SIZE) == one).all()


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "no polygon"),
        ([[1, 2, 3, 4]], "a polygon of 4 numbers"),
        ([[1, 2, 3, float("nan"), 5, 6]], "a polygon of 6 numbers"),
        ([[200, 200, 210, 200, 210, 210]], "no pixel in its image"),
        (
            {"size": [50, 50], "counts": [2500]},
            "a code for .height, width. .50, 50. in an image of .100, 120.",
        ),
        ({"size": list(SIZE), "counts": [5, 7]}, "its runs have 12 pixels, its image 12000"),
        ({"size": list(SIZE), "counts": "\x01\x02"}, "a character that no code has"),
        ({"size": list(SIZE), "counts": "o"}, "broken segmentation"),
        ({"size": list(SIZE), "counts": ""}, "broken segmentation"),
        ({"counts": [3]}, "broken segmentation"),
        (7, "broken segmentation"),
    ],
)
def test_broken_segmentations_are_told(segmentation, message):
    """A segmentation that cannot be a mask of its image is an error that says why, never a wrong mask or a crash."""
    with pytest.raises(InputError, match=message):
        decode(segmentation, SIZE)
