"""AP and AR of drawn images equal pycocotools' on images copied as often as they were drawn; their intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known_answers import SQUARES, KnownAnswers, annotation, square, write_dataset

from lightsam_plugins.evaluation import compare, evaluate, read_annotations, read_report
from lightsam_plugins.evaluation.dataset import Sample
from lightsam_plugins.evaluation.detection_scores import (
    precision,
    precision_matches,
    recall,
    recall_matches,
    row_of,
)
from lightsam_plugins.evaluation.resampling import (
    drawn_precision,
    drawn_recall,
    precision_columns,
    recall_columns,
)
from lightsam_plugins.evaluation.rle import encode

IMAGES = 6


def scene():
    """Six images, three categories, crowds, answers of all qualities; scores that are the same now and then."""
    generator = np.random.default_rng(11)
    truth, found = [], []
    for image in range(1, IMAGES + 1):
        for _ in range(int(generator.integers(0, 7))):
            x, y = generator.integers(0, 60, 2)
            w, h = generator.integers(6, 40, 2)
            category, crowd = int(generator.integers(1, 4)), int(generator.random() < 0.2)
            truth.append(annotation(0, image, square(x, y, x + w, y + h), category, iscrowd=crowd))
            for _ in range(3):
                dx, dy = generator.integers(-4, 5, 2)
                mask = square(max(0, x + dx), max(0, y + dy), x + w, y + h + abs(dy))
                score = float(generator.integers(0, 30)) / 30
                found.append(row_of(image, category, encode(mask), float(mask.sum()), score=score))
    return truth, found


def samples(count=IMAGES):
    """Images of which only the id matters."""
    return [Sample(f"{number}.png", None, number, ()) for number in range(1, count + 1)]


def copied(rows, counts):
    """The rows of images that are there as often as they were drawn, numbered anew in their order."""
    first = np.cumsum([0, *counts])
    return [
        row | {"image_id": int(first[row["image_id"] - 1]) + copy + 1}
        for row in sorted(rows, key=lambda row: row["image_id"])
        for copy in range(counts[row["image_id"] - 1])
    ]


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_a_draw_is_what_pycocotools_makes_of_the_copies(seed):
    """AP, AP50, AP75, AR@10, 100, 1000 of a draw equal pycocotools on copied images to 1e-9; None draws each once."""
    truth, found = scene()
    generator = np.random.default_rng(seed)
    counts = [1] * IMAGES if seed is None else generator.multinomial(IMAGES, [1 / IMAGES] * IMAGES).tolist()
    columns = precision_columns(precision_matches(truth, found, samples()))
    parts = recall_columns(recall_matches(truth, found, samples()))

    drawn = drawn_precision(columns, np.array([counts])) | drawn_recall(parts, np.array([counts]))

    rows = copied(truth, counts), copied(found, counts), samples(sum(counts))
    expected = precision(*rows) | recall(*rows)
    assert 0.05 < expected["AP"] < 0.95
    for name, values in drawn.items():
        assert values[0] == pytest.approx(expected[name], abs=1e-9), name


def test_images_without_objects_have_no_score():
    """A draw that holds no object at all is NaN, so that it cannot count as zero."""
    truth, found = [annotation(0, 1, SQUARES[0])], [row_of(1, 1, encode(SQUARES[0]), 400.0, score=1.0)]
    columns = precision_columns(precision_matches(truth, found, samples(2)))
    parts = recall_columns(recall_matches(truth, found, samples(2)))
    counts = np.array([[0, 2], [1, 1]])

    assert np.isnan(drawn_precision(columns, counts)["AP"]).tolist() == [True, False]
    assert np.isnan(drawn_recall(parts, counts)["AR@10"]).tolist() == [True, False]


def test_reports_are_compared_with_intervals(tmp_path):
    """A model that finds two of three objects against one that finds one: +1/3 in every draw, also read from disk."""
    dataset = read_annotations(*write_dataset(tmp_path, images=5))
    reports = []
    for count in (1, 2):
        model = KnownAnswers(everything=[(mask, 0.9) for mask in SQUARES[:count]])
        report = evaluate(model, dataset, "everything", out=tmp_path / str(count))
        report.write(tmp_path / str(count))
        reports.append(read_report(tmp_path / str(count)))

    rows = {row.protocol: row for row in compare(*reports)}

    gain = rows["AR@1000"]
    assert (gain.low, gain.high) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert (gain.verdict, gain.images) == ("better", 5)
    assert rows["ARs@1000"].low is None
    old = [replace(report, matches={}) for report in reports]
    assert {row.protocol: row.low for row in compare(*old)}["AR@1000"] is None
