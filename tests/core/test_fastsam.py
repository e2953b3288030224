"""FastSAM: the objects it proposes, and which of them a prompt gets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lightsam_plugins.errors import Cancelled
from lightsam_plugins.models.fastsam import FastSam
from lightsam_plugins.models.proposal_masks import OUTSIDE
from lightsam_plugins.models.yolo_proposals import proposals
from lightsam_plugins.registry import model_card
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.types import Embedding, Frame

SIDE = 1024  # the images here: a pixel is a pixel of the input, four of them a cell
FRAME = Frame(SIDE, SIDE, SIDE, "letterbox")
#        x0   y0   x1   y1   confidence; a mask fills its box
OBJECTS = [
    (100, 100, 300, 300, 0.9),  # 0: a square
    (140, 140, 220, 220, 0.8),  # 1: inside it
    (600, 100, 900, 300, 0.7),  # 2
    (600, 500, 900, 900, 0.6),  # 3
]


class Given(FastSam):
    """Objects that are known instead of a network that finds them."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)


def embedding(objects: list[tuple[float, ...]] = OBJECTS) -> Embedding:
    """An embedding of filled boxes: the first prototype is one everywhere, and each mask is that one."""
    found = torch.zeros(1, 300, 37)
    for row, values in enumerate(objects):
        found[0, row, :5] = torch.tensor(values)
        found[0, row, 5] = 1
    prototypes = torch.zeros(1, 32, 256, 256)
    prototypes[:, 0] = 1
    return Embedding({"proposals": found, "prototypes": prototypes}, FRAME, "fastsam-s")


@pytest.fixture
def model() -> Segmenter:
    """FastSAM as a whole but for its network."""
    return Segmenter(Given(), model_card("fastsam-s"))


def boxes(rows: list[int]) -> list[list[float]]:
    """The boxes of some of `OBJECTS`; -1 stands for an empty mask."""
    return [[0.0] * 4 if row < 0 else [float(side) for side in OBJECTS[row][:4]] for row in rows]


def test_a_box_gets_the_mask_that_fills_it(model: Segmenter) -> None:
    """Each box gets the proposal of the highest IoU, which is the score."""
    masks = model.segment(
        embedding(), boxes=[[90, 110, 290, 310], [150, 150, 220, 220], [600, 400, 900, 900]]
    )

    assert masks.boxes.tolist() == boxes([0, 1, 3])
    np.testing.assert_allclose(masks.scores, [190**2 / (2 * 200**2 - 190**2), 70**2 / 80**2, 0.8], rtol=1e-5)


def test_prompts_keep_their_order_and_duplicates(model: Segmenter) -> None:
    """One mask a prompt in their order, also where several mean the same object."""
    order = [2, 0, 2, 3, 0, 0]
    masks = model.segment(embedding(), boxes=[OBJECTS[row][:4] for row in order])

    assert masks.boxes.tolist() == boxes(order)
    np.testing.assert_allclose(masks.scores, 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("points", "labels", "expected", "score"),
    [
        ([[120, 120]], [1], 0, 0.9),
        ([[180, 180]], [1], 0, 0.9),  # both squares have it: the more confident one
        ([[180, 180], [120, 120]], [1, 0], 1, 0.8),  # only the inner one
        ([[180, 180], [120, 120]], [1, 1], 0, 0.9),
        ([[180, 180], [700, 200]], [1, 1], 0, 0.9 * 0.4),  # no object has both
        ([[180, 180], [700, 200], [650, 600], [850, 800]], [1, 1, 1, 1], 3, 0.6 * 0.4**2),
        ([[120, 120]], [0], 1, 0.8),  # whatever does not have it
        ([[500, 500]], [1], -1, 0.0),
        ([[500, 500], [120, 120]], [1, -1], -1, 0.0),  # padding is no point
        ([[120, 120], [120, 120]], [1, 0], 0, 0.9 * 0.4),
    ],
)
def test_points_get_the_proposal_they_agree_on(
    model: Segmenter, points: list[list[int]], labels: list[int], expected: int, score: float
) -> None:
    """The fewest disagreements count first, then the confidence; without a positive point inside none matches."""
    masks = model.segment(embedding(), points=points, point_labels=labels)

    assert masks.boxes.tolist() == boxes([expected])
    np.testing.assert_allclose(masks.scores, [score], rtol=1e-5)


def test_boxes_and_points_combine(model: Segmenter) -> None:
    """A point chooses among what a box could mean; one that no mask there has costs score, but not the mask."""
    box = [100, 100, 250, 250]  # the outer square by IoU
    alone = model.segment(embedding(), boxes=[box])
    refined = model.segment(embedding(), boxes=[box], points=[[[110, 110]]], point_labels=[[0]])

    missed = model.segment(embedding(), boxes=[box], points=[[[500, 500]]])

    assert alone.boxes.tolist() == boxes([0])
    assert refined.boxes.tolist() == boxes([1])
    assert missed.boxes.tolist() == boxes([0])
    np.testing.assert_allclose(missed.scores, 0.4 * alone.scores, rtol=1e-5)


def test_an_answer_is_a_prompt(model: Segmenter) -> None:
    """The logits of each proposal, given back, choose that proposal."""
    everything = model.everything(embedding())
    again = model.segment(embedding(), mask_input=everything.logits)

    assert again.boxes.tolist() == everything.boxes.tolist() == boxes([0, 1, 2, 3])
    np.testing.assert_allclose(again.scores, 1, rtol=1e-6)


def test_what_matches_nothing_gets_an_empty_mask(model: Segmenter) -> None:
    """A prompt without a proposal, or an image without any, still has its row: no pixels, score 0."""
    nowhere, everywhere = [[400, 400, 450, 450]], [[0, 0, 1024, 1024], [10, 10, 20, 20]]
    for found, prompts in ((embedding(), nowhere), (embedding([]), everywhere)):
        masks = model.segment(found, boxes=prompts)

        assert masks.areas.tolist() == [0] * len(prompts)
        assert masks.scores.tolist() == [0] * len(prompts)
        assert (masks.logits == OUTSIDE).all()
    assert len(model.everything(embedding([]))) == 0


def test_candidates_are_filled_up(model: Segmenter) -> None:
    """There are three candidates an object, best first, however few proposals match; the rest are empty."""
    masks = model.segment(embedding(), points=[[[180, 180]], [[700, 200]]], multimask=True)

    assert masks.boxes.tolist() == boxes([0, 1, -1, 2, -1, -1])
    np.testing.assert_allclose(masks.scores, [0.9, 0.8, 0, 0.7, 0, 0], rtol=1e-5)


def test_everything_is_the_proposals(model: Segmenter) -> None:
    """Everything mode gives the proposals as they are, whatever the grid, in one step."""
    steps: list[tuple[int, int]] = []
    masks = model.everything(
        embedding(), points_per_side=3, progress=lambda done, total: steps.append((done, total))
    )

    assert masks.boxes.tolist() == boxes([0, 1, 2, 3])
    np.testing.assert_allclose(masks.scores, [0.9, 0.8, 0.7, 0.6])
    assert steps == [(1, 1)]
    assert len(model.everything(embedding(), pred_iou_thresh=0.75)) == 2
    with pytest.raises(Cancelled, match="everything mode stopped after 1 of 1 points"):
        model.everything(embedding(), progress=lambda *_: False)


def test_masks_end_at_their_boxes(model: Segmenter) -> None:
    """A mask ends at the pixel where its box does, also inside a cell, and in everything that is made of it."""
    found = embedding([(101.5, 102.25, 301.0, 299.75, 0.9)])
    masks = model.everything(found)
    expected = np.zeros((SIDE, SIDE), bool)
    expected[103:300, 102:301] = True

    assert np.array_equal(masks.dense()[0], expected)
    assert np.array_equal(masks[[0]].dense()[0], expected)
    assert np.array_equal(type(masks).concatenate([masks, masks]).dense()[1], expected)
    assert np.array_equal(model.everything(found, min_mask_region_area=5).dense()[0], expected)


def test_the_better_of_two_alike_is_kept() -> None:
    """Predictions of 0.4 or less go, and of boxes that overlap by more than 0.9 the less confident."""
    predictions = torch.zeros(2, 37, 5)
    predictions[0, :4] = torch.tensor([[100.0, 100, 200, 200]]).T  # centre and size
    predictions[0, :2, 1] += 4  # IoU 0.92 with the first
    predictions[0, :2, 2] += 20
    predictions[0, :2, 3] += 500
    predictions[0, 4] = torch.tensor([0.7, 0.8, 0.5, 0.4, 0.9])
    predictions[0, 0, 4] = 900
    predictions[0, 5] = torch.arange(5)

    found = proposals(predictions)

    assert found.shape == (2, 300, 37)
    assert found[0, :, 5].tolist() == [4, 1, 2] + [0] * 297
    assert found[0, 1, :4].tolist() == [4, 4, 204, 204]
    assert not found[1].any()


def test_no_more_than_300() -> None:
    """The most confident 300 of the objects are kept."""
    predictions = torch.zeros(1, 37, 400)
    predictions[0, 0] = torch.arange(400) * 50.0
    predictions[0, 1:4] = 20
    predictions[0, 4] = torch.linspace(0.5, 0.9, 400)

    found = proposals(predictions)

    assert torch.equal(found[0, :, 4], predictions[0, 4].flip(0)[:300])


def test_boxes_are_as_exact_in_bfloat16() -> None:
    """Half precision does not move the objects: in bfloat16 coordinates up to 1024 would be 4 pixels apart."""
    half = Segmenter(Given(), model_card("fastsam-s"), "cpu", torch.bfloat16)
    given = embedding([(601, 503, 897, 901, 0.9)])

    np.testing.assert_array_equal(
        half.segment(given, boxes=[601, 503, 897, 901]).boxes, [[601, 503, 897, 901]]
    )
    assert given.features["proposals"].dtype == torch.float32


@pytest.mark.parametrize("name", ["fastsam-s", "fastsam-x"])
def test_cards_say_what_is_known(name: str) -> None:
    """Code and weights are AGPL-3.0, which the notes say in words too, and where the hash comes from."""
    card = model_card(name)

    assert (card.licence_code, card.licence_weights) == ("AGPL-3.0", "AGPL-3.0")
    assert "AGPL-3.0" in card.notes
    assert "hash" in card.notes
    assert card.fit == "letterbox"
