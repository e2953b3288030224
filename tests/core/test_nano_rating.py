"""What `nano` looks at when it rates its own masks."""

from __future__ import annotations

import torch

from lightsam_plugins.models.nano_rating import Rating, fit, given, overlaps, pooled, shape
from lightsam_plugins.types import LOW_RES, PromptBatch

CELLS = 24  # side of the masks, at stride 4 of a frame of 96 px


def squares(*corners: tuple[int, int, int, int]) -> torch.Tensor:
    """Logits of one object with a mask for each square (x0, y0, x1, y1) in cells: 8 inside, -8 outside."""
    masks = torch.full((1, len(corners), CELLS, CELLS), -8.0)
    for index, (x0, y0, x1, y1) in enumerate(corners):
        masks[0, index, y0:y1, x0:x1] = 8.0
    return masks


def soft(*corners: tuple[int, int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The same as probabilities, at strides 4 and 8."""
    fine = torch.sigmoid(squares(*corners))
    return fine, torch.nn.functional.avg_pool2d(fine, 2)


def test_features_are_averaged_under_each_mask() -> None:
    """A map that is 1 in the left half gives 1 under a mask there, 0 under one on the right, 0.5 under both."""
    left = torch.zeros(1, 1, CELLS, CELLS)
    left[..., : CELLS // 2] = 1
    masks, _ = soft((0, 0, 8, 8), (14, 0, 22, 8), (8, 4, 16, 12))

    torch.testing.assert_close(pooled(left, masks)[0, :, 0], torch.tensor([1.0, 0.0, 0.5]), atol=0.01, rtol=0)


def test_a_faint_or_ragged_mask_looks_different() -> None:
    """Undecided logits lower the first two numbers, a line has more outline for its size than a square."""
    fine, coarse = soft((4, 4, 16, 16), (2, 10, 22, 12))
    faint = torch.sigmoid(squares((4, 4, 16, 16)) / 16)

    square, line = shape(fine, coarse)[0]
    unsure = shape(faint, torch.nn.functional.avg_pool2d(faint, 2))[0, 0]

    assert (unsure[:2] < 0.5 * square[:2]).all()
    assert line[3] > 1.3 * square[3]
    torch.testing.assert_close(square[2], torch.tensor(0.5), atol=0.01, rtol=0)


def test_a_mask_is_held_against_the_clicks_and_the_box() -> None:
    """Worst positive click, worst negative click, share of the mask in the box and of the box in the mask."""
    prompts = PromptBatch(
        torch.tensor([[[20.0, 20.0], [60.0, 60.0], [90.0, 90.0]]]),
        torch.tensor([[1, 0, -1]]),
        torch.tensor([[16.0, 16.0, 64.0, 64.0]]),
    )

    numbers = fit(*soft((4, 4, 10, 10), (4, 4, 22, 22), (18, 18, 24, 24)), prompts)

    expected = torch.tensor([[1, 0, 1, 0.25], [1, 1, 144 / 324, 1], [0, 0, 0, 0]])
    torch.testing.assert_close(numbers[0], expected, atol=0.02, rtol=0)


def test_without_clicks_and_boxes_nothing_is_held_against_a_mask() -> None:
    """An object with neither is as if every click had been met, and has no box to fill."""
    prompts = PromptBatch(torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.long))

    assert fit(*soft((4, 4, 10, 10)), prompts).tolist() == [[[1, 0, 0, 0]]]


def test_equal_masks_overlap_fully() -> None:
    """The overlap of two masks is their IoU: 1 with an equal one, 0 with a distant one."""
    _, coarse = soft((2, 2, 10, 10), (2, 2, 10, 10), (14, 14, 22, 22))

    expected = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(overlaps(coarse)[0], expected, atol=0.02, rtol=0)


def test_what_was_given_is_told() -> None:
    """Clicks of either label are counted; an empty box and an all-zero mask stand for none."""
    boxes = torch.tensor([[1.0, 1, 50, 50], [0, 0, 0, 0]])
    masks = torch.zeros(2, LOW_RES, LOW_RES)
    masks[1, 10, 10] = 3
    prompts = PromptBatch(torch.zeros(2, 3, 2), torch.tensor([[1, 1, 0], [1, -1, -1]]), boxes, masks)

    assert given(prompts).tolist() == [[0.5, 0.25, 1, 0], [0.25, 0, 0, 1]]


def test_ratings_send_no_gradient_into_masks_or_features() -> None:
    """The rating learns to judge; it does not pull the masks towards what is easy to judge."""
    torch.manual_seed(0)
    masks = squares((4, 4, 10, 10), (8, 8, 20, 20), (2, 2, 22, 22)).requires_grad_()
    features = tuple(
        torch.randn(1, channels, CELLS // scale, CELLS // scale, requires_grad=True)
        for channels, scale in ((32, 2), (48, 4), (80, 8))
    )
    prompts = PromptBatch(torch.tensor([[[30.0, 30.0]]]), torch.ones(1, 1, dtype=torch.long))

    rated = Rating(3)(masks, features, prompts)
    rated.sum().backward()

    assert rated.shape == (1, 3)
    assert ((rated > 0) & (rated < 1)).all()
    assert masks.grad is None
    assert all(value.grad is None for value in features)
