"""EfficientSAM beyond its golden outputs: slots, positions, normalisation, and its checkpoints as they come."""

from __future__ import annotations

import io
import pathlib
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from hub_server import CONTENT, SHA256, serving
from rated import check_above
from torch import nn
from torch.nn import functional as F

import lightsam_plugins as ls
from lightsam_plugins.errors import ChecksumError, InputError, PromptError
from lightsam_plugins.models.efficient_sam_decoder import EfficientSamMaskDecoder
from lightsam_plugins.models.efficient_sam_prompts import EfficientSamPromptEncoder, fill_slots
from lightsam_plugins.models.plain_vit import PlainViT
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.prompts import make_prompts
from lightsam_plugins.registry import build_network
from lightsam_plugins.types import Frame, PromptBatch
from lightsam_plugins.weights import fetch

GRID = 16  # instead of 64
MODELS = ["efficientsam-s", "efficientsam-ti"]
WIDTHS = {"efficientsam-ti": 192, "efficientsam-s": 384}


@pytest.fixture(scope="module")
def network():
    """The prompt side with random weights on a small map, behind an encoder that hands the image through."""
    torch.manual_seed(0)
    network = SamNetwork(
        nn.Identity(),
        prompt_encoder=EfficientSamPromptEncoder(grid=GRID),
        mask_decoder=EfficientSamMaskDecoder(),
    )
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight) * 0.02)
    return network.eval()


@pytest.fixture(scope="module")
def features(network):
    """An embedding as the encoder could have made it."""
    return network.encode(torch.randn(1, 256, GRID, GRID))


def batch(points, labels, boxes=None):
    """Prompts in the input frame."""
    return PromptBatch(
        torch.tensor(points, dtype=torch.float32),
        torch.tensor(labels),
        None if boxes is None else torch.tensor(boxes, dtype=torch.float32),
    )


def test_box_clicks_and_padding_lie_in_six_slots():
    """A box is two points of labels 2 and 3; an empty slot is the point (-1, -1) of label -1, as officially."""
    points, labels = fill_slots(batch([[[5, 6], [0, 0], [7, 8]]], [[1, -1, 1]], [[10, 20, 30, 40]]))

    assert labels.tolist() == [[2, 3, 1, -1, 1, -1]]
    assert points.tolist() == [[[10, 20], [30, 40], [5, 6], [-1, -1], [7, 8], [-1, -1]]]


def test_padding_makes_room_for_points():
    """Where there are more columns than slots, it is the padding that goes."""
    labels = [[-1, 1, -1, -1, 1, -1, -1, 1], [1, 1, 1, 1, -1, -1, -1, -1]]
    points = np.arange(32).reshape(2, 8, 2).tolist()

    points, labels = fill_slots(batch(points, labels, [[10, 20, 30, 40]] * 2))

    assert labels.tolist() == [[2, 3, 1, 1, 1, -1], [2, 3, 1, 1, 1, 1]]
    assert points[:, 2:5, 0].tolist() == [[2, 8, 14], [16, 18, 20]]


@pytest.mark.parametrize(("clicks", "boxes"), [(7, None), (5, [[10, 20, 30, 40]] * 2)])
def test_more_points_than_slots_are_refused(clicks, boxes):
    """Nothing is cut off in silence, neither by the network nor, with the row, by what is in front of it."""
    points, labels = np.ones((2, clicks, 2)), np.array([[1] * 4 + [-1] * (clicks - 4), [1] * clicks])

    with pytest.raises(InputError, match="too many points for an object: expected at most 6, .* got 7"):
        fill_slots(batch(points.tolist(), labels.tolist(), boxes))
    for name in MODELS:
        with pytest.raises(
            PromptError, match=f"object 1 has more points than {name} takes: .* 6, .* got 7. "
        ):
            make_prompts(
                ls.model_card(name), Frame(50, 100, 1024), boxes=boxes, points=points, point_labels=labels
            )


@torch.inference_mode()
@pytest.mark.parametrize("box", [None, [[100, 200, 500, 700]]])
def test_padding_clicks_change_nothing(network, features, box):
    """Clicks of label -1, wherever they lie and however many, leave the answer as it is without them."""
    bare = network.decode_all(features, batch([[[300, 400], [50, 60]]], [[1, 1]], box))
    padded = [[[9, 9], [300, 400], [1000, 3], [50, 60], *[[7, 700]] * 5]]

    answer = network.decode_all(features, batch(padded, [[-1, 1, -1, 1, *[-1] * 5]], box))

    for one, other in zip(bare, answer, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_empty_slots_have_their_part(network, features):
    """The learned embedding of empty slots is attended to: it changes the answer, as it does officially."""
    prompts = batch([[[300, 400]]], [[1]])
    before, _ = network.decode(features, prompts)
    weight = network.prompt_encoder.invalid_points.weight
    kept = weight.clone()

    weight.add_(1)
    after, _ = network.decode(features, prompts)
    weight.copy_(kept)

    assert (before - after).abs().max() > 1e-3 * before.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize("passing", [0, 1, 6])
def test_candidates_above_a_threshold_are_those_of_a_whole_decode(network, features, passing):
    """Everything mode's candidates are those of `decode` with a higher score, also where nothing is drawn."""
    check_above(network, features, batch([[[300, 400]], [[50, 60]]], [[1], [1]]), passing)


@torch.inference_mode()
@pytest.mark.parametrize(("multimask", "answers"), [(False, 1), (True, 3)])
def test_no_prompts_give_no_masks(network, features, multimask, answers):
    """Zero objects decode to empty tensors of the usual form."""
    none = PromptBatch(torch.zeros(0, 1, 2), torch.zeros(0, 1, dtype=torch.int64), torch.zeros(0, 4))

    logits, iou = network.decode(features, none, multimask=multimask)

    assert logits.shape == (0, answers, 4 * GRID, 4 * GRID)
    assert iou.shape == (0, answers)


@torch.inference_mode()
def test_positions_are_bicubic_and_of_the_weights_loaded_last():
    """The position embedding is torch's bicubic interpolation, also of weights that come after a call."""
    used, fresh, images = PlainViT(64, 1), PlainViT(64, 1), torch.randn(1, 3, 1024, 1024)
    before = used(images)

    used.load_state_dict(fresh.state_dict())

    learned = fresh.pos_embed[:, 1:].view(1, 14, 14, 64).permute(0, 3, 1, 2)
    expected = F.interpolate(learned, (64, 64), mode="bicubic", align_corners=False)
    torch.testing.assert_close(used.positions(), expected.permute(0, 2, 3, 1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(used(images), fresh(images), rtol=0, atol=0)
    assert (used(images) - before).abs().mean() > 0.1


def test_positions_are_computed_once(monkeypatch):
    """Two images cost one interpolation; weights that are replaced or changed in place cost another."""
    encoder, counted = PlainViT(64, 1, side=64).requires_grad_(False), []
    interpolate = encoder._interpolated
    monkeypatch.setattr(encoder, "_interpolated", lambda: counted.append(1) or interpolate())
    images = torch.randn(1, 3, 64, 64)

    first = encoder(images)
    assert torch.equal(encoder(images), first)
    assert len(counted) == 1
    encoder.pos_embed.add_(1)
    assert not torch.equal(encoder(images), first)
    encoder.pos_embed.data = torch.zeros_like(encoder.pos_embed)
    assert torch.equal(encoder.positions(), torch.zeros(1, 4, 4, 64))
    assert len(counted) == 3


@pytest.mark.parametrize("name", MODELS)
def test_the_normalisation_is_the_official_one(name):
    """Mean and deviation of the card give what the official network makes of the same bytes, scaled to 0..1."""
    card, values = ls.model_card(name), np.arange(256, dtype=np.float32)[:, None]
    mean, std = (np.array(v, np.float32) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    ours = (values - np.array(card.mean, np.float32)) / np.array(card.std, np.float32)

    np.testing.assert_allclose(ours, (values / np.float32(255) - mean) / std, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_tokens_are_as_wide_as_published(name):
    """The position embedding has a token for each patch of 224 pixels and the class, in the published width."""
    network = build_network(ls.model_card(name))

    assert network.image_encoder.pos_embed.shape == (1, 197, WIDTHS[name])


@pytest.mark.parametrize("file", ["efficient_sam_vitt.pt", "efficient_sam_vitt.pt.zip"])
def test_checkpoints_load_as_they_are_published(file, tmp_path: pathlib.Path):
    """A dict with the key "model", saved by torch, and a zip archive around such a file give all weights."""
    torch.manual_seed(0)
    expected = build_network(ls.model_card("efficientsam-ti")).state_dict()
    buffer = io.BytesIO()
    torch.save({"model": expected}, buffer)
    if file.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(file.removesuffix(".zip"), buffer.getvalue())
    else:
        (tmp_path / file).write_bytes(buffer.getvalue())

    found = ls.load("efficientsam-ti", device="cpu", weights=tmp_path / file)._runner.module.state_dict()

    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_the_download_of_s_is_verified(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """The file of the authors' repository on the Hub is taken where it is the registered one, else refused."""
    card = ls.model_card("efficientsam-s")
    mine = replace(card, weights=replace(card.weights, size=len(CONTENT), sha256=SHA256))
    with serving(tmp_path, monkeypatch) as server:
        server.add_hub("yunyangx/EfficientSAM", "efficient_sam_vits.pt", CONTENT)

        assert fetch(mine, progress=False).read_bytes() == CONTENT
        with pytest.raises(
            ChecksumError, match="'efficient_sam_vits.pt' .* 105742022 bytes with sha256 3393"
        ):
            fetch(card, progress=False)


def test_gradients_reach_every_weight(network):
    """With gradients on, nothing is overwritten in place: encoder and decoder can be fine-tuned."""
    encoder = PlainViT(64, 1, side=64)
    embedding = torch.randn(1, 256, GRID, GRID)

    logits, iou = network.decode_all(
        {"image_embedding": embedding}, batch([[[30, 40]]], [[1]], [[1, 2, 50, 60]])
    )
    (
        logits.square().mean() + iou.square().mean() + encoder(torch.randn(1, 3, 64, 64)).square().mean()
    ).backward()

    missing = [name for part in (network, encoder) for name, w in part.named_parameters() if w.grad is None]
    network.zero_grad()
    assert [name for name in missing if not name.endswith("k_proj.bias")] == []  # no softmax depends on those
