"""Box arithmetic, grids and crops of everything mode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightsam_plugins.boxes import box_areas, cut_by_crop, nms
from lightsam_plugins.point_grid import crop_boxes, layer_grids, point_grid


def slow_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """The definition: best first, each kept unless a kept one overlaps it by more than the threshold."""
    kept: list[int] = []
    for row in sorted(range(len(boxes)), key=lambda row: -scores[row]):
        overlaps = [iou(boxes[row], boxes[other]) for other in kept]
        if all(overlap <= threshold for overlap in overlaps):
            kept.append(row)
    return kept


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two boxes of whole numbers."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = float(max(width, 0) * max(height, 0))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - both
    return both / union if union else 0.0


@given(st.integers(0, 40), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 999))
def test_nms_is_the_greedy_definition(count: int, threshold: float, seed: int) -> None:
    """The fast suppression keeps what the definition keeps, in its order, ties and empty boxes included."""
    random = np.random.default_rng(seed)
    corner = random.integers(0, 12, (count, 2))
    boxes = np.concatenate([corner, corner + random.integers(0, 8, (count, 2))], 1).astype(np.float32)
    scores = random.integers(0, 6, count) / 6

    assert nms(boxes, scores, threshold).tolist() == slow_nms(boxes, scores, threshold)
    assert nms(boxes, scores, threshold, limit=5).tolist() == slow_nms(boxes, scores, threshold)[:5]


def test_equal_scores_keep_their_order() -> None:
    """Of equal boxes with equal scores the first one stays."""
    boxes = np.array([[0, 0, 4, 4], [20, 0, 24, 4], [0, 0, 4, 4]], np.float32)

    assert nms(boxes, np.ones(3), 0.5).tolist() == [0, 1]


def test_areas_of_inverted_boxes_are_zero() -> None:
    """A box that ends before it starts has no area."""
    assert box_areas(np.array([[0, 0, 3, 2], [5, 5, 4, 9]], np.float32)).tolist() == [6, 0]


def test_masks_cut_by_a_crop() -> None:
    """A box counts as cut where it ends near a side of the crop that is no side of the image."""
    boxes = np.array([[0, 0, 50, 50], [30, 30, 195, 80], [60, 60, 120, 120], [0, 0, 200, 50]], np.float32)

    assert cut_by_crop(boxes, (0, 0, 200, 200), 200, 400).tolist() == [False, True, False, True]
    assert not cut_by_crop(boxes, (0, 0, 200, 200), 200, 200).any()


def test_grid_points_are_cell_centres() -> None:
    """A grid of 2 has its points at quarters, row by row; a grid of 1 is the centre."""
    assert point_grid(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert point_grid(1).tolist() == [[0.5, 0.5]]


def test_crop_layers_have_sparser_grids() -> None:
    """Each crop layer has its clicks a side divided once more, never fewer than one."""
    assert [len(grid) for grid in layer_grids(8, 3, 3)] == [64, 4, 1, 1]


def test_crops_as_in_sams_generator() -> None:
    """The crops of a 1500x2250 image have the corners that SAM's rule gives."""
    boxes = crop_boxes(1500, 2250, 1, 512 / 1500)

    assert boxes == [
        (0, (0, 0, 2250, 1500)),
        (1, (0, 0, 1381, 1006)),
        (1, (0, 494, 1381, 1500)),
        (1, (869, 0, 2250, 1006)),
        (1, (869, 494, 2250, 1500)),
    ]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 3), st.floats(0, 0.9))
def test_crops_of_each_layer_cover_the_image(height: int, width: int, layers: int, overlap: float) -> None:
    """Crops lie inside the image, are never empty, and those of each layer cover every pixel."""
    crops = crop_boxes(height, width, layers, overlap)

    for layer in range(layers + 1):
        covered = np.zeros((height, width), bool)
        for _, (x0, y0, x1, y1) in (crop for crop in crops if crop[0] == layer):
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            covered[y0:y1, x0:x1] = True
        assert covered.all()


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_layer_counts(layers: int) -> None:
    """Layer i has 4**i crops."""
    assert len(crop_boxes(64, 64, layers, 0.3)) == sum(4**layer for layer in range(layers + 1))
