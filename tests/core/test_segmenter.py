"""The predictor, around networks whose masks are known exactly."""

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_network import LEVEL, Wand, blocks, spec, wand_segmenter
from PIL import Image
from safetensors.torch import save_file

from lightsam_plugins.devices import resolve_device
from lightsam_plugins.errors import (
    DeviceError,
    EmbeddingMismatch,
    ImageError,
    InputError,
    OptionError,
    PromptError,
    UnsupportedPrompt,
)
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.types import Embedding

IMAGE, BLOCKS = blocks()
CENTRES = np.array([((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in BLOCKS])


@pytest.fixture
def model() -> Segmenter:
    """A segmenter around the magic wand."""
    return wand_segmenter()


def wand(model: Segmenter) -> Wand:
    """The network inside, which counts its calls."""
    assert isinstance(model._runner.module, Wand)
    return model._runner.module


def block(row: int) -> np.ndarray:
    """The true mask of a block."""
    x0, y0, x1, y1 = BLOCKS[row]
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_a_click_finds_its_block(model: Segmenter) -> None:
    """A click on a block gives that block, pixel for pixel, at the size of the image."""
    masks = model.segment(IMAGE, points=[CENTRES[5]])

    assert len(masks) == 1
    np.testing.assert_array_equal(masks.dense()[0], block(5))
    np.testing.assert_array_equal(masks.boxes[0], BLOCKS[5])


@pytest.mark.parametrize(("height", "width"), [(128, 256), (256, 64), (1024, 512)])
def test_masks_have_the_size_of_the_image(model: Segmenter, height: int, width: int) -> None:
    """For other sizes and shapes of image the mask is at its place within two cells, and of its size."""
    image, places = blocks(height, width)
    x0, y0, x1, y1 = places[6]
    masks = model.segment(image, points=[[(x0 + x1) / 2, (y0 + y1) / 2]])

    assert masks.size == (height, width)
    assert masks.dense().shape == (1, height, width)
    np.testing.assert_allclose(masks.boxes[0], places[6], atol=max(1, 2 * max(height, width) / 256))


def test_objects_keep_the_order_of_the_prompts(model: Segmenter) -> None:
    """N prompts give N masks in their order, whatever the number of decoder calls."""
    order = np.random.default_rng(1).permutation(16).tolist() * 3
    masks = model.segment(IMAGE, points=CENTRES[order][:, None])

    assert wand(model).decoded == [16, 16, 16]
    np.testing.assert_array_equal(masks.boxes, np.array(BLOCKS)[order])


def test_a_network_chooses_its_chunk(model: Segmenter) -> None:
    """`prompt_chunk` of a network bounds the prompts of each decoder call, and nothing else changes."""
    before = model.segment(IMAGE, points=CENTRES[:7, None], multimask=True)
    wand(model).prompt_chunk = 3
    after = model.segment(IMAGE, points=CENTRES[:7, None], multimask=True)

    assert wand(model).decoded == [7, 3, 3, 1]
    np.testing.assert_array_equal(before.logits, after.logits)
    np.testing.assert_array_equal(before.scores, after.scores)


def test_prompts_combine(model: Segmenter) -> None:
    """Positive and negative clicks, a box and an earlier mask all take part."""
    two = model.segment(IMAGE, points=CENTRES[[0, 1]])
    less = model.segment(IMAGE, points=CENTRES[[0, 1]], point_labels=[1, 0])
    x0, y0, x1, y1 = BLOCKS[0]
    cut = model.segment(IMAGE, boxes=[x0, y0, x1 - 7, y1], points=[CENTRES[0]])
    wider = model.segment(IMAGE, points=[CENTRES[0]], mask_input=4 * two.logits)

    assert two.areas[0] == block(0).sum() + block(1).sum()
    assert less.areas[0] == block(0).sum()
    assert cut.areas[0] == (x1 - 7 - x0) * (y1 - y0)
    assert wider.areas[0] == two.areas[0]


def test_multimask_gives_three_candidates_best_first(model: Segmenter) -> None:
    """Candidates are three rows an object, in the order of the objects; `best` is the first of each."""
    masks = model.segment(IMAGE, points=CENTRES[[4, 9]][:, None], multimask=True)

    assert len(masks) == 6
    assert masks.candidates == 3
    assert (np.diff(masks.scores.reshape(2, 3)) < 0).all()
    np.testing.assert_array_equal(masks.best().boxes, np.array(BLOCKS)[[4, 9]])


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("given", [{"boxes": []}, {"points": np.empty((0, 2, 2))}, {"points": []}])
def test_zero_prompts_give_zero_masks(model: Segmenter, given: dict[str, object], multimask: bool) -> None:
    """No prompts give no masks, of the right shapes, and the image is not even encoded."""
    masks = model.segment(IMAGE, **given, multimask=multimask)

    assert len(masks) == 0
    assert masks.dense().shape == (0, 256, 256)
    assert masks.logits.shape == (0, 256, 256)
    assert wand(model).encoded == []


def test_an_embedding_answers_as_its_image(model: Segmenter) -> None:
    """Prompting an embedding gives what prompting the image gives, without encoding again."""
    embedding = model.embed(IMAGE)
    from_image = model.segment(IMAGE, points=[CENTRES[3]])
    from_embedding = model.segment(embedding, points=[CENTRES[3]])

    assert wand(model).encoded == [1, 1]
    assert (embedding.model, embedding.size) == ("wand", (256, 256))
    np.testing.assert_array_equal(from_image.logits, from_embedding.logits)


def test_a_batch_is_a_loop(model: Segmenter) -> None:
    """A list of images of several sizes is encoded in batches to what one at a time gives, in order."""
    images = [
        blocks(height, width, seed=seed)[0]
        for seed, (height, width) in enumerate([(64, 80), (256, 256), (9, 300)])
    ]
    alone = [model.embed(image) for image in images]
    together = model.embed(images, batch_size=2)

    assert wand(model).encoded == [1, 1, 1, 2, 1]
    for one, other in zip(alone, together, strict=True):
        assert one.frame == other.frame
        assert torch.equal(one.features["image"], other.features["image"])
        assert other.features["image"].shape == (1, 3, 256, 256)
        # Of its own, not a view that keeps the whole batch in memory.
        assert other.features["image"].untyped_storage().nbytes() == other.nbytes


def test_an_empty_list_gives_an_empty_list(model: Segmenter) -> None:
    """No images, no embeddings."""
    assert model.embed([]) == []


def test_paths_and_pil_images(model: Segmenter, tmp_path) -> None:
    """A path and a PIL image are as good as their array."""
    Image.fromarray(IMAGE).save(tmp_path / "blocks.png")
    expected = model.segment(IMAGE, points=[CENTRES[3]]).logits

    for source in (tmp_path / "blocks.png", str(tmp_path / "blocks.png"), Image.fromarray(IMAGE)):
        np.testing.assert_array_equal(model.segment(source, points=[CENTRES[3]]).logits, expected)


def test_embeddings_survive_a_file(model: Segmenter, tmp_path) -> None:
    """A saved embedding answers as before."""
    embedding = model.embed(IMAGE)
    embedding.save(tmp_path / "blocks.safetensors")
    again = Embedding.load(tmp_path / "blocks.safetensors")

    np.testing.assert_array_equal(
        model.segment(again, boxes=BLOCKS[2]).logits, model.segment(embedding, boxes=BLOCKS[2]).logits
    )


def test_an_embedding_of_a_later_version_is_refused(tmp_path) -> None:
    """A file whose image lies in its frame in a way that is not known here is no embedding."""
    path = tmp_path / "later.safetensors"
    save_file({"image": torch.zeros(1)}, path, {"model": "wand", "frame": "9,9,256,fisheye"})

    with pytest.raises(
        InputError, match="cannot read the embedding.*unknown fit 'fisheye'.*Encode the image again"
    ):
        Embedding.load(path)


def test_another_models_embedding_is_refused(model: Segmenter) -> None:
    """An embedding is for the model that made it."""
    other = Segmenter(Wand(), spec(name="stick"))

    with pytest.raises(EmbeddingMismatch, match=r"made by 'stick': expected one made by 'wand'.*model.embed"):
        model.segment(other.embed(IMAGE), points=[[1, 2]])


def test_another_versions_embedding_is_refused(model: Segmenter) -> None:
    """An embedding kept from a time when the model had another input frame is not used."""
    old = Segmenter(Wand(), spec(prompt_side=512)).embed(IMAGE)

    with pytest.raises(EmbeddingMismatch, match=r"another version of 'wand': expected a frame of 256 px"):
        model.segment(old, points=[[1, 2]])


def test_prompts_are_checked_before_the_image_is_encoded(model: Segmenter) -> None:
    """A bad prompt costs no encoding; none at all points to everything mode."""
    with pytest.raises(PromptError, match="box 0 is empty or inverted"):
        model.segment(IMAGE, boxes=[9, 9, 3, 3])
    with pytest.raises(PromptError, match=r"no prompt: .* call model.everything\(image\)"):
        model.segment(IMAGE)

    assert wand(model).encoded == []


def test_unsupported_prompt_names_the_model() -> None:
    """What the model card does not list is refused by name."""
    weak = wand_segmenter(prompts=frozenset({"point"}))

    with pytest.raises(UnsupportedPrompt, match=r"wand does not take boxes: .*Models that do: "):
        weak.segment(IMAGE, boxes=[1, 1, 9, 9])
    with pytest.raises(UnsupportedPrompt, match="wand does not take everything mode"):
        weak.everything(IMAGE)


def test_a_list_is_not_segmented(model: Segmenter) -> None:
    """Several images go through `embed`."""
    with pytest.raises(ImageError, match=r"one image is segmented at a time: .* got a list of 2.*embed"):
        model.segment([IMAGE, IMAGE], points=[[1, 2]])  # type: ignore[arg-type]


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True])
def test_batch_size_is_a_count(model: Segmenter, batch_size: int) -> None:
    """A batch has at least one image."""
    with pytest.raises(OptionError, match="batch_size: expected a whole number >= 1"):
        model.embed([IMAGE], batch_size=batch_size)


def test_reduced_precision_returns_float32() -> None:
    """In bfloat16 weights and features are bfloat16, prompts and results float32."""
    model = Segmenter(Wand(), spec(), "cpu", torch.bfloat16)
    masks = model.segment(IMAGE, points=[CENTRES[5]])

    assert model.embed(IMAGE).features["image"].dtype == torch.bfloat16
    assert masks.logits.dtype == masks.scores.dtype == np.float32
    assert np.abs(masks.logits).max() == LEVEL


def test_an_embedding_of_another_precision_is_converted(model: Segmenter) -> None:
    """A float32 embedding may be used by the same model in bfloat16; it is itself left as it was."""
    embedding = model.embed(IMAGE)
    half = Segmenter(Wand(), spec(), "cpu", torch.bfloat16)

    np.testing.assert_array_equal(half.segment(embedding, boxes=BLOCKS[0]).boxes[0], BLOCKS[0])
    assert embedding.features["image"].dtype == torch.float32


def test_to_leaves_the_original_alone(model: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving gives another model; the same device gives the same one; a device that is not there is named."""
    assert model.to("cpu") is model
    with pytest.raises(DeviceError, match="device 'cuda:99' is not there"):
        model.to("cuda:99")

    monkeypatch.setattr("lightsam_plugins.devices.resolve_device", torch.device)
    moved = model.to("meta")
    assert moved.device.type == wand(moved).scale.device.type == "meta"
    assert wand(model).scale.device.type == "cpu"


def test_to_checks_the_precision_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dtype that is safe here may be unsafe there."""
    model = Segmenter(Wand(), spec(unsafe_dtypes=frozenset({("meta", "bfloat16")})), "cpu", torch.bfloat16)
    monkeypatch.setattr("lightsam_plugins.devices.resolve_device", torch.device)

    with pytest.raises(DeviceError, match="wand is known to give wrong masks in bfloat16 on meta"):
        model.to("meta")


def test_no_gradients_and_no_training_mode(model: Segmenter) -> None:
    """The network is in evaluation mode, and neither weights nor features ask for gradients."""
    network = Wand().train()
    model = Segmenter(network, spec())

    assert not network.training
    assert not network.scale.requires_grad
    assert not model.embed(IMAGE).features["image"].requires_grad


def test_one_model_serves_many_threads(model: Segmenter) -> None:
    """Calls from several threads at once give what they give one after the other."""
    images = [blocks(seed=seed)[0] for seed in range(8)]
    expected = [model.segment(image, points=CENTRES[:4, None]).logits for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda image: model.segment(image, points=CENTRES[:4, None]).logits, images * 4)
        )

    assert len(found) == 32
    for index, logits in enumerate(found):
        np.testing.assert_array_equal(logits, expected[index % 8])


def test_the_number_of_threads_is_left_alone(model: Segmenter) -> None:
    """Nothing here changes torch's global settings."""
    before = torch.get_num_threads(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    model.everything(IMAGE, points_per_side=2)

    assert (torch.get_num_threads(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()) == before


def test_repr_of_an_embedding_is_one_line(model: Segmenter) -> None:
    """An embedding shows its model, its image, the frame and its size, and no tensor."""
    shown = repr(model.embed(np.zeros((30, 40, 3), np.uint8)))

    assert re.fullmatch(r"Embedding\('wand', image 40x30, 256 px pad, \d+\.\d MB\)", shown)


def test_the_warning_of_coordinates_names_the_line_of_the_user(model: Segmenter) -> None:
    """The warning of coordinates in 0..1 points at the call of `segment`, not into the package."""
    with pytest.warns(UserWarning, match="they are in pixels") as caught:
        model.segment(IMAGE, points=[[0.5, 0.5]])

    assert Path(caught[0].filename).name == "test_segmenter.py"


def test_repr_says_what_it_is(model: Segmenter) -> None:
    """A model prints as its name, device and dtype; its card is at hand."""
    assert repr(model) == "Segmenter('wand', device='cpu', dtype='float32')"
    assert model.device == resolve_device("cpu")
    assert dataclasses.is_dataclass(model.spec)
