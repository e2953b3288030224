"""The training code: simulated prompts lie where they should, losses rank answers, the table's prompts are exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lightsam_plugins.evaluation.shapes import box_of, deepest
from lightsam_plugins.models.nano import Nano
from training import fast_upsample
from training.augment import Pool
from training.average import average
from training.holdout import Case
from training.losses import iou, rating_loss, total_loss
from training.protocol import spill
from training.rate import batch_loss, frozen
from training.simulate import Session, blur, bounds, dilate, draw_point, pick_objects
from training.train import STAGES, WARM_STAGES, learning_rate, stage
from training.warm_start import warm_start


def squares() -> torch.Tensor:
    """Two objects as masks of 48 x 48 cells: x 8..20, y 10..30 and x 30..40, y 30..44."""
    masks = torch.zeros(2, 48, 48)
    masks[0, 10:30, 8:20] = 1
    masks[1, 30:44, 30:40] = 1
    return masks


def test_boxes_are_tight_and_half_open() -> None:
    """The box of a mask ends one past its last cell; an empty mask has an empty box."""
    boxes = bounds(torch.cat([squares(), torch.zeros(1, 48, 48)]))

    assert boxes.tolist() == [[8, 10, 20, 30], [30, 30, 40, 44], [0, 0, 0, 0]]


@pytest.mark.parametrize("sharp", [0.0, 1.5, 8.0])
def test_clicks_fall_into_their_region(sharp: float) -> None:
    """A drawn click lies inside the object, and an empty region is reported as such."""
    region = torch.cat([squares().repeat(20, 1, 1), torch.zeros(1, 48, 48)])

    points, filled = draw_point(region, torch.full((41,), sharp), torch.Generator().manual_seed(0))

    cells = points.long()
    assert all(region[row, cells[row, 1], cells[row, 0]] == 1 for row in range(40))
    assert filled.tolist() == [True] * 40 + [False]


def test_sharp_clicks_are_deeper() -> None:
    """The sharper the draw, the nearer to the middle of the object."""
    region = squares()[:1].repeat(200, 1, 1)
    middle = torch.tensor([14.0, 20.0])

    def distance(sharp: float) -> float:
        points, _ = draw_point(region, torch.full((200,), sharp), torch.Generator().manual_seed(1))
        return float((points - middle).norm(dim=1).mean())

    assert distance(8.0) < 0.7 * distance(0.0)


def test_a_correction_clicks_the_error() -> None:
    """A missing part gets a positive click inside it, a surplus part a negative one, and the mask is handed back."""
    targets = squares()
    session = Session(targets, torch.Generator().manual_seed(2))
    answer = torch.full_like(targets, -5.0)
    answer[1][targets[1] > 0] = 5.0
    answer[1, 2:20, 2:20] = 5.0

    session.correct(answer, keep_mask=1.0)

    missed, extra = (session.points[:, 0] / 2).long().tolist()
    assert session.labels[:, 0].tolist() == [1, 0]
    assert targets[0, missed[1], missed[0]] == 1
    assert 2 <= extra[0] < 20
    assert 2 <= extra[1] < 20
    assert torch.equal(session.masks, answer)


def test_objects_repeat_only_when_there_are_too_few() -> None:
    """Each object of an image is picked once before any is picked twice."""
    labels = torch.zeros(1, 48, 48, dtype=torch.long)
    for value, mask in enumerate(squares(), 1):
        labels[0][mask > 0] = value

    targets = pick_objects(labels, 4, torch.Generator().manual_seed(3))

    assert sorted(targets.sum((1, 2)).tolist()) == [140, 140, 240, 240]


def test_the_loss_prefers_the_right_mask() -> None:
    """A right answer with an honest rating costs less than a wrong one, and its true IoU is 1."""
    targets = squares()
    right = (targets * 2 - 1)[:, None].repeat(1, 3, 1, 1) * 8

    good, true = total_loss(right, torch.full((2, 3), 0.99), targets, right)
    bad, _ = total_loss(-right, torch.full((2, 3), 0.99), targets, -right)

    assert torch.allclose(true, torch.ones(2, 3))
    assert float(good) < 0.1 < float(bad)
    assert torch.equal(iou(-right, targets), torch.zeros(2, 3))


def test_gradients_reach_every_weight() -> None:
    """One round of training moves the whole network; nothing is left out of the loss."""
    torch.manual_seed(0)
    network = Nano().train()
    for module in network.modules():
        if hasattr(module, "gain"):
            torch.nn.init.constant_(module.gain, 0.5)
    session = Session(squares().repeat(2, 1, 1)[:, :32, :32].contiguous(), torch.Generator().manual_seed(4))
    session.start(torch.zeros_like(session.targets))
    session.correct(torch.randn_like(session.targets), keep_mask=1.0)

    logits, rated = network.decoder(network.encode(torch.randn(2, 3, 64, 64)), session.batch())
    total_loss(logits, rated, session.targets, logits)[0].backward()

    assert [
        name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ] == []


def test_ratings_that_choose_the_better_mask_cost_less() -> None:
    """Of ratings equally far off, those whose order is right cost less; perfect ones cost next to nothing."""
    true = torch.tensor([[0.9, 0.5, 0.1]])

    right, wrong = (rating_loss(torch.tensor([rated]), true) for rated in ([1.0, 0.4, 0.2], [0.8, 0.6, 0.9]))
    perfect = rating_loss(true, true)

    assert perfect < 0.01
    assert perfect < right < wrong


def test_filters_are_those_of_their_names() -> None:
    """`blur` is a mean with zeros around, `dilate` a maximum, each over a square."""
    maps = torch.rand(2, 20, 30, generator=torch.Generator().manual_seed(5))

    mean = torch.nn.functional.avg_pool2d(maps, 7, 1, 3)
    highest = torch.nn.functional.max_pool2d(maps, 7, 1, 3)

    torch.testing.assert_close(blur(maps, 7), mean)
    torch.testing.assert_close(dilate(maps, 7), highest)


def test_the_fast_backward_pass_is_the_exact_one() -> None:
    """Upsampling as two matrix products backwards gives autograd's own gradient."""
    x = torch.randn(2, 3, 5, 8, requires_grad=True)
    seed = torch.randn(2, 3, 10, 16)

    (plain,), (fast,) = (
        torch.autograd.grad(f(x), x, seed) for f in (fast_upsample.plain, fast_upsample.Upsample.apply)
    )

    torch.testing.assert_close(fast, plain)


def test_training_goes_on_where_the_shipped_weights_stand(tmp_path) -> None:
    """Folded weights get their norms back without a change of what they compute; new blocks start as identity."""
    torch.manual_seed(0)
    first = Nano().eval().fold()
    older = {name: value for name, value in first.state_dict().items() if ".stage16.3." not in name}
    save_file({name: value.contiguous() for name, value in older.items()}, tmp_path / "older.safetensors")
    images = torch.randn(4, 3, 64, 64)

    network = warm_start(tmp_path / "older.safetensors", images)

    del first.encoder.stage16[3]
    expected, found = first.encode(images), network.encode(images)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(p, older[f"decoder.{name}"]) for name, p in network.decoder.named_parameters())


def test_only_the_rating_learns_on_a_frozen_network(tmp_path) -> None:
    """Its loss moves every weight of the rating and no other, whatever the round of prompts."""
    torch.manual_seed(0)
    weights = {name: value.contiguous() for name, value in Nano().fold().state_dict().items()}
    save_file(weights, tmp_path / "nano.safetensors")
    labels = np.zeros((3, 320, 320), np.uint8)
    labels[:, 80:200, 60:220] = 1
    np.save(tmp_path / "images.npy", np.repeat(labels[..., None] * 150, 3, 3))
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "complete.npy", np.ones(3, bool))
    network = frozen(tmp_path / "nano.safetensors")

    loss, reached, possible = batch_loss(network, Pool(tmp_path, 0), torch.Generator().manual_seed(6))
    loss.backward()

    learning = {
        name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }
    assert learning == {name for name, _ in network.named_parameters() if name.startswith("decoder.rating.")}
    assert 0 <= reached <= possible <= 1


@pytest.mark.parametrize(("warm", "stages"), [(False, STAGES), (True, WARM_STAGES)])
def test_the_schedule_grows_and_cools(warm: bool, stages: tuple[tuple[float, int, int], ...]) -> None:
    """Images grow from stage to stage up to the side nano runs at, and the learning rate ends near zero."""
    sides = [stage(progress, warm=warm)[0] for progress in np.linspace(0, 0.999, 50)]

    assert sides == sorted(sides)
    assert sides[0] == stages[0][1]
    assert sides[-1] == stages[-1][1] == 384
    assert learning_rate(0.3, 10_000) > 50 * learning_rate(1.0, 10_000)
    assert learning_rate(0.3, 0) < 0.02 * learning_rate(0.3, 10_000)


def test_the_deepest_point_is_the_middle_of_a_square() -> None:
    """The centre click of the table is the maximum of the distance transform, the image border counting as outline."""
    mask = np.zeros((40, 60), bool)
    mask[0:21, 10:31] = True

    depth, (x, y) = deepest(mask)

    assert (x, y) == pytest.approx((20.5, 10.5), abs=0.01)
    assert depth == pytest.approx(11, abs=0.1)
    assert box_of(mask) == (10, 0, 31, 21)


def test_what_spills_over_is_counted_once_and_by_place() -> None:
    """A mask of which a quarter lies outside its object, half of that on another object, spills 25 % and 12.5 %."""
    wanted = squares().numpy() > 0
    answers = wanted.copy()
    answers[0, 10:18, 20:25] = True  # 40 of 280 cells: on nothing
    answers[0, 30:40, 30:34] = True  # 40 of 320: on the other object

    class Model:
        def segment(self, embedding: object, *, points: list[list[tuple[float, float]]]) -> Model:
            assert [point for (point,) in points] == [deepest(mask)[1] for mask in wanted]
            return self

        def dense(self) -> np.ndarray:
            return answers

    case = Case("squares", np.zeros((48, 48, 3), np.uint8), wanted)

    assert spill(Model(), None, case) == [(80 / 320, 40 / 320), (0, 0)]


def test_an_average_lies_between_its_two_networks(tmp_path) -> None:
    """A share of 0.25 of the second is 0.75 of the first; other architectures are refused."""
    first, second, other, out = (tmp_path / f"{name}.safetensors" for name in ("a", "b", "c", "out"))
    save_file({"w": torch.full((2,), 1.0)}, first)
    save_file({"w": torch.full((2,), 3.0)}, second)
    save_file({"w": torch.zeros(3)}, other)

    average(first, second, 0.25, out)

    assert load_file(out)["w"].tolist() == [1.5, 1.5]
    with pytest.raises(SystemExit, match="are not of one architecture"):
        average(first, other, 0.5, out)
