"""Text prompts: of known masks the right one is chosen, whatever compares them with the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
import torch
from fake_network import blocks, wand_segmenter
from seeded import photo, seeded_segmenter

from lightsam_plugins import text_clip
from lightsam_plugins.errors import InputError, PromptError, UnsupportedPrompt
from lightsam_plugins.masks import Masks
from lightsam_plugins.models.fastsam import FastSam
from lightsam_plugins.registry import model_card
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.text import choose, cut_out, rank
from lightsam_plugins.types import Features, Frame

IMAGE, BLOCKS = blocks()


def colours(crops: Iterable[np.ndarray], texts: Sequence[str]) -> np.ndarray:
    """A scorer for texts such as "90 120 240": how near the pixel in the middle of a crop comes to that colour."""
    middles = np.array([crop[len(crop) // 2, len(crop) // 2] for crop in crops], float)
    wanted = np.array([text.split() for text in texts], float)
    return -np.abs(wanted[:, None] - middles).mean(2)


def colour(row: int) -> str:
    """The colour of a block, as a text."""
    x0, y0, *_ = BLOCKS[row]
    return " ".join(map(str, IMAGE[y0, x0]))


def filled(*boxes: tuple[int, int, int, int]) -> Masks:
    """Masks of `IMAGE` that fill boxes."""
    logits = np.full((len(boxes), 256, 256), -8, np.float32)
    for row, (x0, y0, x1, y1) in enumerate(boxes):
        logits[row, y0:y1, x0:x1] = 8
    return Masks(logits, np.full(len(boxes), 0.5), Frame(256, 256, 256))


@pytest.fixture
def by_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """`segment(text=...)` compares colours instead of asking CLIP."""
    monkeypatch.setattr(text_clip, "clip_scorer", lambda device: colours)


@pytest.mark.parametrize("rows", [[5], [7, 0, 12], [3, 9, 3, 3]])
def test_each_text_gets_its_mask(rows: list[int], by_colour: None) -> None:
    """One mask a text, pixel for pixel, in the order of the texts, duplicates included."""
    masks = wand_segmenter().segment(IMAGE, text=[colour(row) for row in rows])

    assert len(masks) == len(rows)
    assert masks.boxes.tolist() == [list(BLOCKS[row]) for row in rows]
    assert masks.areas.tolist() == [32 * 32] * len(rows)
    assert (masks.scores > 0.99).all()


def test_one_text_is_a_list_of_one(by_colour: None) -> None:
    """A plain string gives the same mask as a list around it."""
    one, several = (wand_segmenter().segment(IMAGE, text=text) for text in (colour(4), [colour(4)]))

    assert one.boxes.tolist() == several.boxes.tolist() == [list(BLOCKS[4])]
    assert one.scores == several.scores


def test_fastsam_chooses_among_its_proposals(by_colour: None) -> None:
    """Of the objects that FastSAM proposes the one of the text's colour is the answer, and it ends at its box."""
    places = [(100, 100, 300, 300), (600, 100, 900, 300), (600, 500, 900, 900)]
    image = np.zeros((1024, 1024, 3), np.uint8)

    class Known(FastSam):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def encode(self, images: torch.Tensor) -> Features:
            found, prototypes = torch.zeros(1, 300, 37), torch.zeros(1, 32, 256, 256)
            found[0, :3, :4], found[0, :3, 4:6], prototypes[:, 0] = torch.tensor(places), 0.9, 1
            return {"proposals": found, "prototypes": prototypes}

    for (x0, y0, x1, y1), value in zip(places, ([255, 0, 0], [0, 255, 0], [0, 0, 255]), strict=True):
        image[y0:y1, x0:x1] = value

    masks = Segmenter(Known(), model_card("fastsam-s")).segment(image, text=["0 0 250", "250 0 0"])

    assert masks.boxes.tolist() == [list(places[2]), list(places[0])]


@pytest.mark.parametrize("name", ["fastsam-s", "mobilesamv2"])
def test_models_that_need_no_clicks_choose_likewise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where proposals or detected boxes make everything mode, a text chooses among just these masks."""

    def by_place(crops: Iterable[np.ndarray], texts: Sequence[str]) -> np.ndarray:
        return np.array([float(text) for text in texts])[:, None] * np.arange(len(list(crops)))

    monkeypatch.setattr(text_clip, "clip_scorer", lambda device: by_place)
    model, image = seeded_segmenter(name), photo(96, 128)
    everything = model.everything(image)
    shown = np.flatnonzero(everything.areas > 100)

    masks = model.segment(image, text=["1", "-1"])  # the last of what is shown, and the first

    assert len(shown) > 1
    np.testing.assert_array_equal(masks.dense(), everything.dense()[shown[[-1, 0]]])
    assert (masks.dense()[0] != masks.dense()[1]).any()


def test_an_object_is_cut_out_onto_white() -> None:
    """A crop is a square with the mask's pixels in the middle and a tenth of white around, and no other pixel."""
    image = np.arange(40 * 50 * 3, dtype=np.uint8).reshape(40, 50, 3)
    mask = np.ones((10, 20), bool)
    mask[2, 3] = False
    expected = np.full((24, 24, 3), 255, np.uint8)
    expected[7:17, 2:22] = image[5:15, 30:50]
    expected[9, 5] = 255

    np.testing.assert_array_equal(cut_out(image, (30, 5, mask)), expected)


def test_scores_are_a_softmax_over_the_masks() -> None:
    """The logits of each text become scores of sum 1, and the best of them is the score of the chosen mask."""
    masks = filled((0, 0, 20, 20), (50, 50, 90, 90), (100, 0, 120, 200))
    logits = [[1.0, 2.0, 3.0], [500.0, 500.0, 0.0]]
    expected = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()

    scores = rank(IMAGE, masks, ["a", "b"], scorer=lambda crops, texts: logits)
    chosen = choose(IMAGE, masks, ["a", "b"], scorer=lambda crops, texts: logits)

    np.testing.assert_allclose(scores, [expected, [0.5, 0.5, 0]], rtol=1e-6)
    np.testing.assert_allclose(chosen.scores, [expected[2], 0.5], rtol=1e-6)
    np.testing.assert_array_equal(chosen.dense(), masks.dense()[[2, 0]])


def test_specks_are_left_out_unless_there_is_nothing_else() -> None:
    """Masks of up to 100 pixels are not shown to the scorer where a larger one exists; empty ones never are."""
    speck, larger, nothing = (0, 0, 10, 10), (20, 20, 31, 30), (0, 0, 0, 0)
    shown: list[int] = []

    def scorer(crops: Iterable[np.ndarray], texts: Sequence[str]) -> np.ndarray:
        shown.append(len(list(crops)))
        return np.zeros((len(texts), shown[-1]))

    with_larger = rank(IMAGE, filled(speck, larger, nothing), "x", scorer=scorer)
    alone = rank(IMAGE, filled(nothing, speck), "x", scorer=scorer)

    assert with_larger.tolist() == [[0, 1, 0]]
    assert alone.tolist() == [[0, 1]]
    assert shown == [1, 1]


@pytest.mark.parametrize("masks", [filled(), filled((0, 0, 0, 0))], ids=["none", "empty"])
def test_without_objects_each_text_has_an_empty_mask(masks: Masks) -> None:
    """An image where nothing was found has one mask a text still: no pixels, score 0; the scorer is not asked."""
    found = choose(IMAGE, masks, ["a dog", "a cup"], scorer=lambda crops, texts: pytest.fail("asked"))

    assert found.areas.tolist() == [0, 0]
    assert found.scores.tolist() == [0, 0]
    assert found.size == masks.size


def test_no_texts_give_no_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero prompts give zero masks, and need neither CLIP nor everything mode."""
    monkeypatch.setattr(text_clip, "clip_scorer", lambda device: pytest.fail("asked for CLIP"))

    assert len(wand_segmenter().segment(IMAGE, text=[])) == 0
    assert len(choose(IMAGE, filled((0, 0, 20, 20)), [])) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (7, r"not a text: expected a str, or a list of them, got int\. Pass text=\"a dog\""),
        (["a dog", None], r"not a text: .*got \['str', 'NoneType'\]"),
        (["a dog", "  "], r"text 1 is empty: expected words, got '  '\. Say what to find"),
        ("", "text 0 is empty"),
    ],
)
def test_what_is_no_text_is_refused(text: object, message: str) -> None:
    """Something else than words is an error that names the row, before anything is computed."""
    with pytest.raises(PromptError, match=message):
        wand_segmenter().segment(IMAGE, text=text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"boxes": [[1, 2, 30, 40]]}, "text and boxes"),
        ({"points": [[5, 5]], "point_labels": [1]}, "text and points, point_labels"),
        ({"multimask": True}, "text and multimask"),
    ],
)
def test_text_stands_alone(others: dict[str, object], named: str) -> None:
    """Another prompt beside a text is an error that names it."""
    with pytest.raises(
        PromptError, match=f"does not combine.*got {named}. Prompt twice, or .*lightsam_plugins.text.choose"
    ):
        wand_segmenter().segment(IMAGE, text="a dog", **others)  # type: ignore[arg-type]


def test_text_needs_pixels() -> None:
    """An embedding holds no pixels to compare with a text, and the error says what to pass instead."""
    model = wand_segmenter()

    with pytest.raises(PromptError, match=r"got an embedding\. Pass the image itself: model.segment\(image"):
        model.segment(model.embed(IMAGE), text="a dog")


def test_text_needs_everything_mode() -> None:
    """A model without everything mode has no masks to choose from."""
    with pytest.raises(UnsupportedPrompt, match="wand does not take everything mode"):
        wand_segmenter(prompts=frozenset({"point"})).segment(IMAGE, text="a dog")


def test_masks_of_another_image_are_refused() -> None:
    """The size of the image has to be that of the masks."""
    with pytest.raises(
        InputError, match=r"masks of \(height, width\) \(200, 256\), got \(256, 256\)\. Pass the image that"
    ):
        rank(IMAGE[:200], filled((0, 0, 20, 20)), "a dog", scorer=colours)


@pytest.mark.parametrize(
    ("answer", "got"), [([[1.0, 2.0]], r"shape \(1, 2\)"), ([[float("nan")]], "NaN or infinity")]
)
def test_a_scorer_that_answers_nonsense_is_told(answer: list[list[float]], got: str) -> None:
    """A scorer's answer of another shape or without meaning is an error, not a choice."""
    with pytest.raises(InputError, match=rf"finite logits of shape \(1, 1\), texts by crops, got {got}"):
        rank(IMAGE, filled((0, 0, 20, 20)), "a dog", scorer=lambda crops, texts: answer)
