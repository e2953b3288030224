"""What every registered model promises, whatever its architecture and weights."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from seeded import photo, seeded_segmenter

from lightsam_plugins.devices import resolve_dtype
from lightsam_plugins.errors import DeviceError, PromptError, UnsupportedPrompt
from lightsam_plugins.masks import Masks
from lightsam_plugins.registry import ModelSpec, list_models
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.types import Embedding, PromptBatch

IMAGES = [photo(300, 400), photo(90, 64, seed=1)]
BOXES = np.array([[40, 30, 200, 180], [5, 5, 60, 50], [150, 100, 390, 290], [0, 0, 400, 300]])
POINTS = np.array(
    [[[120, 90], [300, 250]], [[30, 20], [200, 200]], [[250, 200], [20, 20]], [[200, 150], [1, 1]]]
)
LABELS = np.array([[1, 0], [1, 1], [1, -1], [1, 0]])


@dataclass(frozen=True)
class Loaded:
    """A model and its embeddings of `IMAGES`: both in a batch, and the second alone."""

    model: Segmenter
    embedding: Embedding
    second: Embedding
    second_alone: Embedding


@pytest.fixture(scope="module", params=list_models())
def loaded(request: pytest.FixtureRequest) -> Loaded:
    """Each registered model in turn, with weights from a seed."""
    model = seeded_segmenter(request.param)
    return Loaded(model, *model.embed(IMAGES, batch_size=2), model.embed(IMAGES[1]))


def supported(spec: ModelSpec) -> dict[str, np.ndarray]:
    """All prompts for four objects that this model takes, together."""
    given: dict[str, np.ndarray] = {}
    if "box" in spec.prompts:
        given["boxes"] = BOXES
    if "point" in spec.prompts:
        negative = "negative_point" in spec.prompts
        given |= {"points": POINTS, "point_labels": LABELS if negative else np.where(LABELS == 0, -1, LABELS)}
    if "mask" in spec.prompts:
        cells = np.mgrid[-1:1:256j, -1:1:256j]
        given["mask_input"] = np.stack(
            [6 - 12 * np.hypot(*(cells - shift)) for shift in (-0.4, -0.1, 0.1, 0.4)]
        )
    return given


def close(left: Masks, right: Masks) -> None:
    """Equal but for the rounding of another order of sums."""
    scale = np.abs(left.logits).max()
    np.testing.assert_allclose(left.logits, right.logits, atol=1e-4 * scale)
    np.testing.assert_allclose(left.scores, right.scores, atol=1e-4)


def test_one_mask_an_object_at_the_size_of_the_image(loaded: Loaded) -> None:
    """N objects give N masks with finite float32 logits and scores, and pixels of the original image."""
    masks = loaded.model.segment(loaded.embedding, **supported(loaded.model.spec))

    assert len(masks) == 4
    assert (masks.logits.shape, masks.logits.dtype) == ((4, 256, 256), np.float32)
    assert (masks.scores.shape, masks.scores.dtype) == ((4,), np.float32)
    assert np.isfinite(masks.logits).all()
    assert np.isfinite(masks.scores).all()
    assert (masks.dense().shape, masks.dense().dtype) == ((4, 300, 400), np.bool_)
    assert masks.size == loaded.embedding.size == (300, 400)


def test_features_are_of_one_image(loaded: Loaded) -> None:
    """An embedding holds finite features with a batch of one, and names its model."""
    for embedding in (loaded.embedding, loaded.second, loaded.second_alone):
        assert embedding.model == loaded.model.name
        assert {tensor.shape[0] for tensor in embedding.features.values()} == {1}
        assert all(tensor.isfinite().all() for tensor in embedding.features.values())


def test_a_batch_is_a_loop(loaded: Loaded) -> None:
    """An image encoded together with one of another size gives the masks that it gives alone."""
    prompts = {"points": [[30, 20]]} if "point" in loaded.model.spec.prompts else {"boxes": [5, 5, 60, 50]}

    assert loaded.second.size == loaded.second_alone.size == (90, 64)
    close(
        loaded.model.segment(loaded.second, **prompts), loaded.model.segment(loaded.second_alone, **prompts)
    )


def test_the_image_matters(loaded: Loaded) -> None:
    """Another image gives another answer to the same prompts."""
    prompts = {"points": [[30, 20]]} if "point" in loaded.model.spec.prompts else {"boxes": [5, 5, 60, 50]}
    first, second = (loaded.model.segment(one, **prompts).logits for one in (loaded.embedding, loaded.second))

    assert np.abs(first - second).max() > 1e-3 * np.abs(first).max()


def test_answers_are_repeatable(loaded: Loaded) -> None:
    """The same call gives the same bits."""
    prompts = supported(loaded.model.spec)
    first, second = (loaded.model.segment(loaded.embedding, **prompts) for _ in range(2))

    np.testing.assert_array_equal(first.logits, second.logits)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_objects_are_independent_and_keep_their_order(loaded: Loaded) -> None:
    """Each object's mask is what it gets alone, in the order of the prompts."""
    prompts, order = supported(loaded.model.spec), [2, 0, 3, 1]
    together = loaded.model.segment(loaded.embedding, **{name: rows[order] for name, rows in prompts.items()})

    for place, row in enumerate(order):
        alone = loaded.model.segment(
            loaded.embedding, **{name: rows[row : row + 1] for name, rows in prompts.items()}
        )
        close(together[place], alone)


@torch.inference_mode()
def test_a_box_is_two_corner_points(loaded: Loaded) -> None:
    """Where prompts become tokens, a box is clicks on its corners, but for what is learned of each kind of point."""
    encoder = getattr(loaded.model._runner.module, "prompt_encoder", None)
    if encoder is not None:
        boxes = torch.from_numpy(BOXES).float()
        no_click = torch.empty(4, 0, 2), torch.empty(4, 0, dtype=torch.int64)
        clicks = boxes.view(4, 2, 2), torch.ones(4, 2, dtype=torch.int64)

        box, click = (encoder(PromptBatch(*one)).tokens[:, :2] for one in ((*no_click, boxes), clicks))

        kinds = box - click
        torch.testing.assert_close(kinds, kinds[:1].expand_as(kinds), rtol=0, atol=1e-5)
        assert kinds.abs().amax((0, 2)).min() > 1e-3
        assert (box[0] - box[1]).abs().max() > 0.1
    else:
        assert loaded.model.name in ("fastsam-s", "fastsam-x", "nano")


def test_every_prompt_has_its_effect(loaded: Loaded) -> None:
    """Leaving out any one of the prompts that combine changes the answer: masks or, of a model that chooses, scores."""
    prompts = supported(loaded.model.spec)
    whole = loaded.model.segment(loaded.embedding, **prompts)
    for left_out in prompts.keys() - {"point_labels"}:
        fewer = {name: rows for name, rows in prompts.items() if not name.startswith(left_out[:5])}
        if fewer:
            answer = loaded.model.segment(loaded.embedding, **fewer)
            same = np.array_equal(answer.logits, whole.logits) and np.array_equal(answer.scores, whole.scores)
            assert not same, left_out


def test_padding_labels_change_nothing(loaded: Loaded) -> None:
    """Clicks with label -1 are as if they were not there, be they before or after others, few or many."""
    if "point" in loaded.model.spec.prompts:
        bare = loaded.model.segment(loaded.embedding, points=[[120, 90]])
        for padding in (2, 9):
            points, labels = [[120, 90]] + [[3, 4]] * padding, [1] + [-1] * padding

            close(bare, loaded.model.segment(loaded.embedding, points=points, point_labels=labels))
            close(
                bare, loaded.model.segment(loaded.embedding, points=points[::-1], point_labels=labels[::-1])
            )


def test_no_click_is_left_out_in_silence(loaded: Loaded) -> None:
    """The last click the card allows has its effect on masks or scores; one more than it allows is refused."""
    spec, segment = loaded.model.spec, loaded.model.segment
    points = [[20 + 30 * i, 90 + 50 * (i % 2)] for i in range(9)]
    if "point" in spec.prompts:
        most = spec.point_slots - 2 if spec.point_slots else 9  # the box counts as two
        labels = [1] * most
        whole = segment(loaded.embedding, boxes=BOXES[3], points=points[:most], point_labels=labels)
        if (
            "negative_point" in spec.prompts
        ):  # a model that chooses may well choose the same with one click less
            other = {"points": points[:most], "point_labels": [*labels[:-1], 0]}
        else:
            other = {"points": points[: most - 1]}
        another = segment(loaded.embedding, boxes=BOXES[3], **other)

        pairs = ((whole.logits, another.logits), (whole.scores, another.scores))
        assert any(np.abs(left - right).max() > 1e-4 * np.abs(left).max() for left, right in pairs)
        if spec.point_slots is not None:
            with pytest.raises(
                PromptError, match=f"object 0 has more points than {spec.name} takes: .* {most + 2},"
            ):
                segment(loaded.embedding, boxes=BOXES[3], points=points[: most + 1])


def test_candidates_come_best_first(loaded: Loaded) -> None:
    """Multimask answers are three rows an object, sorted by score."""
    masks = loaded.model.segment(loaded.embedding, **supported(loaded.model.spec), multimask=True)

    assert (len(masks), masks.candidates) == (12, 3)
    assert (np.diff(masks.scores.reshape(4, 3)) <= 0).all()
    close(masks.best(), masks[::3])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_precisions_that_are_not_refused_work(loaded: Loaded, dtype: str) -> None:
    """In every reduced precision that the card allows prompts get answers near those of float32."""
    spec, network = loaded.model.spec, loaded.model._runner.module
    if ("cpu", dtype) in spec.unsafe_dtypes:
        with pytest.raises(DeviceError, match=f"wrong masks in {dtype} on cpu"):
            resolve_dtype(dtype, torch.device("cpu"), spec)
        return
    reduced = Segmenter(copy.deepcopy(network), spec, "cpu", resolve_dtype(dtype, torch.device("cpu"), spec))
    expected = loaded.model.segment(loaded.embedding, **supported(spec)).logits
    found = reduced.segment(loaded.embedding, **supported(spec)).logits

    assert found.dtype == np.float32
    assert np.abs(found - expected).mean() < 0.1 * np.abs(expected).mean()


def test_no_prompts_no_masks(loaded: Loaded) -> None:
    """Zero objects give zero masks."""
    kind = "boxes" if "box" in loaded.model.spec.prompts else "points"

    assert len(loaded.model.segment(loaded.embedding, **{kind: []})) == 0


def test_clicks_beside_the_object_alone_are_no_error(loaded: Loaded) -> None:
    """A click of label 0 alone points at nothing, and is still answered by one mask, where such clicks are taken."""
    if "negative_point" in loaded.model.spec.prompts:
        masks = loaded.model.segment(loaded.embedding, points=[[120, 90]], point_labels=[0])

        assert (len(masks), masks.dense().shape) == (1, (1, 300, 400))
        assert np.isfinite(masks.logits).all()


def test_what_the_card_excludes_is_refused(loaded: Loaded) -> None:
    """Each kind of prompt that is not on the card raises `UnsupportedPrompt`; the others work alone."""
    kinds = {
        "box": {"boxes": BOXES[0]},
        "point": {"points": POINTS[0]},
        "negative_point": {"points": POINTS[0], "point_labels": LABELS[0]},
        "mask": {"mask_input": np.ones((256, 256))},
    }
    for kind, prompts in kinds.items():
        if kind in loaded.model.spec.prompts:
            assert len(loaded.model.segment(loaded.embedding, **prompts)) == 1
        else:
            with pytest.raises(UnsupportedPrompt, match=f"{loaded.model.name} does not take"):
                loaded.model.segment(loaded.embedding, **prompts)


def test_everything_mode(loaded: Loaded) -> None:
    """Everything mode gives masks that are not empty, best first, each passing the filters."""
    if "everything" in loaded.model.spec.prompts:
        options = {"points_per_side": 2, "pred_iou_thresh": 0, "stability_score_thresh": 0.01}
        masks = loaded.model.everything(loaded.embedding, **options)

        assert (np.diff(masks.scores) <= 0).all()
        assert (masks.areas > 0).all()
        assert (masks.scores > 0).all()


def test_embeddings_can_be_kept(loaded: Loaded, tmp_path) -> None:
    """An embedding written to a file and read again gives the same answer."""
    loaded.embedding.save(tmp_path / "embedding.safetensors")
    again = Embedding.load(tmp_path / "embedding.safetensors")
    prompts = supported(loaded.model.spec)

    np.testing.assert_array_equal(
        loaded.model.segment(again, **prompts).logits,
        loaded.model.segment(loaded.embedding, **prompts).logits,
    )
