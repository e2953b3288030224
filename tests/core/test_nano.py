"""The network of `nano`: what holds whatever its weights are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from rated import check_above

from lightsam_plugins.models.nano import Nano, build
from lightsam_plugins.models.nano_clean import clean
from lightsam_plugins.models.nano_encoder import ConvUnit
from lightsam_plugins.models.nano_prompts import Grid, click_maps
from lightsam_plugins.types import LOW_RES, PromptBatch

SIDE = 96  # the network takes any multiple of 32; a small one keeps these tests quick


def clicks(*rows: list[tuple[float, float, int]]) -> PromptBatch:
    """Objects given by their clicks (x, y, label)."""
    points = torch.tensor([[click[:2] for click in row] for row in rows], dtype=torch.float32)
    return PromptBatch(points, torch.tensor([[click[2] for click in row] for row in rows]))


@pytest.fixture(scope="module")
def network() -> Nano:
    """An untrained network whose norms have seen data, so that folding them is not trivial."""
    torch.manual_seed(0)
    network = Nano()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    """A batch of one normalised image."""
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_folding_changes_nothing(network: Nano, image: torch.Tensor) -> None:
    """The folded network, which is what ships, answers like the trained one."""
    folded = Nano()
    folded.load_state_dict(network.state_dict())
    folded.eval().fold().fold()

    assert not any("norm.running" in name for name in folded.state_dict())
    for name, expected in network.encode(image).items():
        torch.testing.assert_close(folded.encode(image)[name], expected, rtol=1e-4, atol=1e-5)


def test_the_shipped_form_has_no_batch_norm() -> None:
    """`build` returns the folded network, so that the weights in the wheel fit it."""
    assert all(isinstance(m.norm, torch.nn.Identity) for m in build().modules() if isinstance(m, ConvUnit))


@torch.inference_mode()
@pytest.mark.parametrize("multimask", [False, True])
def test_answers_have_the_contract_s_shape(network: Nano, image: torch.Tensor, multimask: bool) -> None:
    """One mask an object, or three sorted by predicted IoU, at 256 x 256 whatever the side of the input."""
    prompts = clicks([(20, 30, 1)], [(70, 60, 1)])

    logits, scores = network.decode(network.encode(image), prompts, multimask=multimask)

    count = 3 if multimask else 1
    assert logits.shape == (2, count, LOW_RES, LOW_RES)
    assert scores.shape == (2, count)
    assert (scores.diff(dim=1) <= 0).all()
    assert ((scores > 0) & (scores < 1)).all()


@torch.inference_mode()
def test_objects_do_not_see_each_other(network: Nano, image: torch.Tensor) -> None:
    """Decoding objects together gives what decoding them one by one gives."""
    features = network.encode(image)
    prompts = PromptBatch(
        torch.rand(4, 3, 2, generator=torch.Generator().manual_seed(2)) * SIDE,
        torch.tensor([[1, 0, 1], [1, 1, -1], [1, -1, -1], [-1, -1, -1]]),
        torch.tensor([[5.0, 5, 60, 50], [0, 0, 0, 0], [10, 40, 90, 90], [20, 20, 40, 80]]),
        torch.randn(4, LOW_RES, LOW_RES, generator=torch.Generator().manual_seed(3)),
    )

    together, _ = network.decode(features, prompts, multimask=False)

    for row in range(4):
        alone, _ = network.decode(features, prompts[row : row + 1], multimask=False)
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("passing", [0, 1, 5, 12])
def test_candidates_above_a_threshold_are_those_of_a_whole_decode(
    network: Nano, image: torch.Tensor, passing: int
) -> None:
    """Everything mode's candidates are those of `decode` with a higher score, in the same order."""
    features = network.encode(image)
    prompts = clicks([(20, 30, 1)], [(70, 60, 1)], [(50, 10, 1)], [(5, 90, 1)])
    check_above(network, features, prompts, passing, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_padding_clicks_count_for_nothing(network: Nano, image: torch.Tensor) -> None:
    """A click with label -1 leaves the answer as it is, wherever it lies."""
    features = network.encode(image)

    plain, _ = network.decode(features, clicks([(30, 40, 1)]), multimask=False)
    padded, _ = network.decode(features, clicks([(30, 40, 1), (80, 10, -1)]), multimask=False)

    torch.testing.assert_close(plain, padded, rtol=1e-5, atol=1e-5)


def test_the_nearest_click_shapes_the_map() -> None:
    """With several clicks each cell sees the nearest one, and clicks of the other label not at all."""
    prompts = clicks([(10, 10, 1), (50, 50, 1), (90, 10, 0)])

    (drawn,) = click_maps(prompts, Grid(SIDE, 4, torch.device("cpu")), 1, (6.0,))

    centres = (torch.arange(SIDE // 4) + 0.5) * 4
    near = [(centres[None] - x) ** 2 + (centres[:, None] - y) ** 2 for x, y in ((10, 10), (50, 50))]
    expected = torch.exp(torch.minimum(*near) / (-2 * 6.0**2))
    torch.testing.assert_close(drawn[0], expected)


def two_squares() -> torch.Tensor:
    """Logits with two positive squares that do not touch, 5 inside and -2 outside; side 64."""
    logits = torch.full((1, 1, 64, 64), -2.0)
    logits[..., 10:20, 10:20] = 5
    logits[..., 40:55, 40:55] = 5
    return logits


def test_a_click_keeps_the_part_it_touches() -> None:
    """A click removes the parts it is not connected with, and leaves every other logit alone."""
    logits = two_squares()

    kept = clean(logits, clicks([(15, 15, 1)]), 64)

    assert (kept[..., 10:20, 10:20] == 5).all()
    assert (kept[..., 40:55, 40:55] == -5).all()
    assert (kept == -2).sum() == (logits == -2).sum()


def test_two_clicks_keep_two_parts_and_a_miss_keeps_all() -> None:
    """Every part with a positive click stays; where no click touches the mask, nothing is removed."""
    logits = two_squares()

    assert torch.equal(clean(logits, clicks([(15, 15, 1), (45, 45, 1)]), 64), logits)
    assert torch.equal(clean(logits, clicks([(30, 5, 1)]), 64), logits)


def corrected(
    notches: list[tuple[int, int]], points: list[tuple[int, int, int]], size: int = 2
) -> torch.Tensor:
    """What a square at 7 with negative notches becomes, with the whole square at 3 handed back as earlier answer."""
    earlier, answer = torch.full((1, 64, 64), -3.0), torch.full((1, 1, 64, 64), -7.0)
    earlier[:, 10:50, 10:50], answer[..., 10:50, 10:50] = 3, 7
    for x, y in notches:
        answer[..., y : y + size, x : x + size] = -7
    return clean(answer, replace(clicks(points), masks=earlier), 64)


def test_a_small_correction_stays_where_it_was_asked_for() -> None:
    """Of an answer that is nearly the earlier one only the changed part with a click is taken, logit by logit."""
    answer = corrected([(10, 10), (48, 48)], [(30, 30, 1), (11, 11, 0)])

    expected = torch.full((1, 1, 64, 64), -3.0)
    expected[..., 10:50, 10:50] = 3
    expected[..., 10:12, 10:12] = -7
    assert torch.equal(answer, expected)


def test_a_large_change_is_taken_whole() -> None:
    """An answer that shares less with the earlier one replaces it, parts without a click included."""
    answer = corrected([(10, 10), (38, 38)], [(30, 30, 1), (11, 11, 0)], size=12)

    assert set(answer.abs().unique().tolist()) == {7.0}
    assert (answer[..., 38:50, 38:50] == -7).all()


def test_a_mask_without_clicks_is_no_correction() -> None:
    """With a box alone, an earlier answer is a prompt like any other: the new answer is the network's."""
    answer = corrected([(10, 10)], [(0, 0, -1)])

    assert set(answer.abs().unique().tolist()) == {7.0}


def test_a_box_drops_what_lies_well_outside() -> None:
    """Parts beyond the box and a tenth of its sides become negative; parts inside stay, connected or not."""
    logits = two_squares()
    box = torch.tensor([[8.0, 8, 30, 30]])

    kept = clean(logits, PromptBatch(torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.long), box), 64)

    assert (kept[..., 10:20, 10:20] == 5).all()
    assert (kept[..., 40:55, 40:55] == -5).all()
