"""Boxes and stability from low-resolution logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import frames, logits, smooth_logits

from lightsam_plugins.low_res import content_cells, low_res_boxes, stability_scores
from lightsam_plugins.masks import Masks
from lightsam_plugins.types import FloatArray, Frame


@given(frames(longest=300, fits=("pad",)), logits(count=3))
def test_boxes_are_near(frame: Frame, low: FloatArray) -> None:
    """Estimated boxes contain the true ones to within a cell and a half, and stay inside the image.

    The logits go on into the padding as they are at the image's edge; a sudden change there would reach the last
    pixels by interpolation, which an estimate that leaves the padding out cannot know.
    """
    rows, columns = (np.minimum(np.arange(256), cells - 1) for cells in content_cells(frame))
    low = low[:, rows][:, :, columns]
    boxes, true = low_res_boxes(low, frame), Masks(low, np.zeros(3), frame).boxes
    cell = 1.5 * frame.side / 256 / min(frame.scale) + 1

    assert (boxes >= 0).all()
    assert (boxes <= [frame.width, frame.height] * 2).all()
    seen = true[:, 2] > 0
    assert (boxes[seen, :2] <= true[seen, :2] + cell).all()
    assert (boxes[seen, 2:] >= true[seen, 2:] - cell).all()


def test_box_of_a_rectangle() -> None:
    """A rectangle of cells has the box of these cells: 4 pixels each at 1024."""
    low = np.full((1, 256, 256), -1, np.float32)
    low[0, 10:20, 30:33] = 1

    assert low_res_boxes(low, Frame(1024, 1024, 1024)).tolist() == [[120, 40, 132, 80]]
    assert low_res_boxes(low, Frame(2048, 512, 1024)).tolist() == [[240, 80, 264, 160]]


def test_padding_does_not_count() -> None:
    """What lies in the padding changes neither box nor stability; nothing at all is zeros."""
    frame = Frame(500, 1000, 1024)
    low = np.full((1, 256, 256), -9, np.float32)
    low[:, 130:] = 0.5

    assert content_cells(frame) == (128, 256)
    assert low_res_boxes(low, frame).tolist() == [[0, 0, 0, 0]]
    assert stability_scores(low, frame).tolist() == [0]


@pytest.mark.parametrize("count", [0, 1, 130])
def test_torch_is_numpy(count: int) -> None:
    """Tensors and arrays, few or more than one chunk, give the same boxes and scores."""
    low, frame = smooth_logits(0, count=max(count, 1))[:count], Frame(333, 500, 1024)

    boxes, scores = low_res_boxes(low, frame), stability_scores(low, frame)

    assert boxes.shape == (count, 4)
    assert boxes.dtype == scores.dtype == np.float32
    assert np.array_equal(low_res_boxes(torch.from_numpy(low), frame), boxes)
    assert np.array_equal(stability_scores(torch.from_numpy(low), frame), scores)


@given(frames(longest=2000), logits())
def test_stability_is_an_iou(frame: Frame, low: FloatArray) -> None:
    """Stability is the IoU of the masks at threshold + 1 and threshold - 1 over the cells of the image."""
    rows, columns = content_cells(frame)
    inner, outer = (low[0, :rows, :columns] > 0.3 + offset for offset in (1, -1))
    expected = (inner & outer).sum() / max((inner | outer).sum(), 1)

    assert stability_scores(low, frame, threshold=0.3)[0] == pytest.approx(expected, abs=1e-6)


def test_sharp_and_soft() -> None:
    """A mask with a sharp border is perfectly stable, one that fades is not."""
    sharp = np.where(np.arange(256) < 99, 9.0, -9.0) * np.ones((256, 1))
    soft = np.linspace(2, -2, 256) * np.ones((256, 1))

    scores = stability_scores(np.stack([sharp, soft]).astype(np.float32), Frame(9, 9, 1024))

    assert scores[0] == 1
    assert scores[1] == pytest.approx(1 / 3, abs=0.01)
