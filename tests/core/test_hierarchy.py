"""Which clicks of a grid are left out, on answers that are given."""

import numpy as np
import pytest

from lightsam_plugins.hierarchy import LARGE, MARGIN, Hierarchy
from lightsam_plugins.point_grid import coarse_to_fine, point_grid
from lightsam_plugins.types import Frame

SIDE, THRESHOLD = 8, 0.6
FRAME = Frame(80, 160, 1024)  # 10 x 20 pixels a click
ORDER = coarse_to_fine(SIDE)
COARSE = 16
NO_MASKS = np.zeros((0, 256, 256), np.float32)


def hierarchy() -> Hierarchy:
    """Of 8 x 8 clicks."""
    return Hierarchy(point_grid(SIDE)[ORDER] * np.float32([160, 80]), FRAME, THRESHOLD)


def places(clicks: np.ndarray) -> set[tuple[int, int]]:
    """(row, column) in the grid of clicks by their number."""
    return {divmod(int(ORDER[click]), SIDE) for click in clicks}


def mask(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """(1, 256, 256) logits of a rectangle in pixels of the image; a pixel is 1.6 cells."""
    logits = np.full((1, 256, 256), -5, np.float32)
    logits[0, int(y0 * 1.6) : int(y1 * 1.6), int(x0 * 1.6) : int(x1 * 1.6)] = 5
    return logits


def test_a_quarter_is_always_clicked() -> None:
    """Every second click of either direction is coarse."""
    assert hierarchy().coarse == COARSE
    assert places(np.arange(COARSE)) == {(row, column) for row in (1, 3, 5, 7) for column in (1, 3, 5, 7)}


def test_only_the_surroundings_of_a_promising_click_are_clicked() -> None:
    """Around the one coarse click that is rated near the threshold the eight next to it are made, and no other."""
    some = hierarchy()
    best = np.full(COARSE, THRESHOLD - MARGIN - 0.01, np.float32)
    best[5] = THRESHOLD - MARGIN + 0.01  # row 3, column 3
    some.note(np.arange(COARSE), best, NO_MASKS, np.zeros(0, np.float32))

    assert places(some.needed()) == {(row, column) for row in (2, 3, 4) for column in (2, 3, 4)} - {(3, 3)}


def test_clicks_in_a_mask_that_was_found_are_left_out() -> None:
    """Where a small mask lies no fine click is made; all others are, where every coarse click promises something."""
    some = hierarchy()
    found = mask(40, 0, 80, 20)  # columns 2 and 3, rows 0 and 1
    some.note(np.arange(COARSE), np.ones(COARSE, np.float32), found, np.ones(1, np.float32))

    left = {(row, column) for row in range(SIDE) for column in range(SIDE)} - places(np.arange(COARSE))
    assert places(some.needed()) == left - {(0, 2), (0, 3), (1, 2)}


@pytest.mark.parametrize(("score", "left_out"), [(0.89, 0), (0.91, 3)])
def test_a_mask_that_may_be_wrong_keeps_no_click_away(score: float, left_out: int) -> None:
    """Only what is rated in the upper quarter between the threshold and 1 counts: 0.9 and more of 0.6."""
    some = hierarchy()
    some.note(np.arange(COARSE), np.ones(COARSE, np.float32), mask(40, 0, 80, 20), np.float32([score]))

    assert len(some.needed()) == SIDE * SIDE - COARSE - left_out


def test_a_large_mask_keeps_no_click_away() -> None:
    """A background may have objects in it: what covers more than a tenth of the image does not count."""
    some = hierarchy()
    found = mask(0, 0, 160, 9)
    assert (found > 0).sum() > LARGE * 128 * 256
    some.note(np.arange(COARSE), np.ones(COARSE, np.float32), found, np.ones(1, np.float32))

    assert len(some.needed()) == SIDE * SIDE - COARSE


@pytest.mark.parametrize(("side", "coarse"), [(1, 0), (2, 1), (3, 1), (5, 4)])
def test_small_grids(side: int, coarse: int) -> None:
    """With a side that is odd, or too small to have a coarse grid, no click without a neighbour is lost."""
    order = coarse_to_fine(side)
    some = Hierarchy(point_grid(side)[order] * np.float32([160, 80]), FRAME, THRESHOLD)
    some.note(np.arange(coarse), np.zeros(coarse, np.float32), NO_MASKS, np.zeros(0, np.float32))

    assert some.coarse == coarse
    assert len(some.needed()) == (1 if coarse == 0 else 0)


def test_a_click_far_from_all_coarse_ones_is_made() -> None:
    """Of points that are no grid, one that no coarse click can tell anything about is not left out."""
    points = np.float32([[10, 10], [12, 12], [150, 70], [14, 10]])
    some = Hierarchy(points, FRAME, THRESHOLD)
    some.note(np.arange(1), np.zeros(1, np.float32), NO_MASKS, np.zeros(0, np.float32))

    assert some.coarse == 1
    assert some.needed().tolist() == [2]
