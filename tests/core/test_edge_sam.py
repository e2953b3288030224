"""EdgeSAM against its published tables: names, shapes, and the encoder written down literally."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from literal import Layers, conv_bn, mixer_shapes, neck_shapes, scattered
from seeded import seeded_network
from torch.nn import functional as F

from lightsam_plugins.low_res import stability_scores
from lightsam_plugins.models.bicubic import upsample
from lightsam_plugins.models.edge_sam import build, stability
from lightsam_plugins.models.rep_vit import RepViT
from lightsam_plugins.registry import build_network, model_card
from lightsam_plugins.types import Frame, PromptBatch

GOLDEN = Path(__file__).parents[1] / "golden"
# RepViT-M1, block by block (edge_sam/modeling/rep_vit.py): width, stride, squeeze and excitation.
M1 = [
    *((48, 1, excite) for excite in (1, 0, 0)),
    *((96, 2, 0), (96, 1, 1), (96, 1, 0), (96, 1, 0)),
    *((192, 2, 0), *((192, 1, excite) for excite in (1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0))),
    *((384, 2, 0), (384, 1, 1), (384, 1, 0)),
]
SQUEEZED = {48: 16, 96: 24, 192: 48, 384: 96}  # a quarter, rounded to a multiple of 8


def encoder_shapes():
    """Names and shapes of the published encoder."""
    shapes = conv_bn("features.0.0", (24, 3, 3, 3)) | conv_bn("features.0.2", (48, 24, 3, 3))
    before = 48
    for i, (width, stride, excite) in enumerate(M1, start=1):
        cells = f"features.{i}.token_mixer"
        if stride == 1:
            shapes |= conv_bn(f"{cells}.0.conv", (width, 1, 3, 3)) | conv_bn(
                f"{cells}.0.conv1", (width, 1, 1, 1)
            )
        else:
            shapes |= conv_bn(f"{cells}.0", (before, 1, 3, 3)) | conv_bn(f"{cells}.2", (width, before, 1, 1))
        shapes |= mixer_shapes(f"features.{i}", width, SQUEEZED[width] if excite else 0)
        before = width
    shapes |= {"fuse_stage2.weight": (256, 192, 1, 1), "fuse_stage3.op_list.0.weight": (256, 384, 1, 1)}
    shapes |= neck_shapes(256)
    return {f"image_encoder.{name}": shape for name, shape in shapes.items()}


@pytest.mark.parametrize("name", ["edgesam", "edgesam-3x"])
def test_every_key_and_shape(name):
    """The network has the published encoder's names and shapes and SAM's prompt side.

    Its tensors are as many bytes as the published file, but for a few hundred a tensor of the container.
    """
    sam = json.loads((GOLDEN / "sam_vit_b.keys.json").read_text())["state_dict"]
    prompt_side = {key: tuple(shape) for key, shape in sam if not key.startswith("image_encoder.")}
    with torch.device("meta"):
        network = build_network(model_card(name))
    tensors = network.state_dict()

    assert {key: tuple(tensor.shape) for key, tensor in tensors.items()} == encoder_shapes() | prompt_side
    assert model_card(name).params == sum(weight.numel() for weight in network.parameters())
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert 100 < (model_card(name).weights.size - size) / len(tensors) < 500


def literal_encoder(weights, x):
    """The published encoder from its tensors: nothing folded, torch's own bicubic, one block after the other."""
    layers = Layers(weights)
    x = layers.stem(x)
    stages = {}
    for i, (width, stride, excite) in enumerate(M1, start=1):
        cells, before = f"features.{i}.token_mixer", x.shape[1]
        if stride == 1:
            both = (layers.conv(f"{cells}.0.{name}", x, groups=before) for name in ("conv", "conv1"))
            x = sum(both, x)
        else:
            x = layers.conv(f"{cells}.0", x, stride=2, groups=before)
        x = layers.excite(f"{cells}.1", x) if excite else x
        x = x if stride == 1 else layers.conv(f"{cells}.2", x)
        x = layers.mix_channels(f"features.{i}.channel_mixer.m", x)
        stages[width] = x
    last = F.conv2d(stages[384], weights["fuse_stage3.op_list.0.weight"])
    last = F.interpolate(last, scale_factor=2, mode="bicubic", align_corners=False)
    x = F.conv2d(stages[192], weights["fuse_stage2.weight"]) + last
    return layers.neck(x)


def random_encoder():
    """RepViT-M1 with no tensor at its initial value."""
    torch.manual_seed(0)
    return scattered(RepViT().eval())


def test_the_encoder_equals_its_literal_form():
    """At seeded weights the embedding is that of the published blocks run one by one, to float32 precision."""
    encoder, images = random_encoder(), torch.randn(2, 3, 128, 128)

    with torch.inference_mode():
        found, expected = encoder(images), literal_encoder(encoder.state_dict(), images)

    assert found.shape == (2, 256, 8, 8)
    assert expected.std() > 0.1
    assert (found - expected).norm() / expected.norm() < 1e-5


def test_gradients_reach_every_weight():
    """With gradients on, nothing is overwritten in place: the encoder can be fine-tuned."""
    encoder = RepViT((8, 16, 24, 32), (1, 2, 3, 2), out_channels=8)

    encoder(torch.randn(1, 3, 64, 64)).square().sum().backward()

    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("size", [(3, 5, 8), (32, 32, 64), (7, 7, 21), (4, 6, 6)])
def test_upsampling_equals_torchs_bicubic(size):
    """Two matrix products give what `interpolate` gives, for squares and others."""
    *shape, side = size
    x = torch.randn(2, 3, *shape)

    expected = F.interpolate(x, (side, side), mode="bicubic", align_corners=False)

    torch.testing.assert_close(upsample(x, side), expected, rtol=1e-5, atol=1e-5)


def contrasty():
    """The network with logits of a few units, as trained ones have them: their stability is neither 0 nor 1."""
    network = seeded_network("edgesam")
    for filters in network.mask_decoder.output_hypernetworks_mlps:
        filters.layers[-1].weight.data *= 30
        filters.layers[-1].bias.data *= 30
    return network


@pytest.mark.parametrize("multimask", [False, True])
def test_scores_are_stability_best_first(multimask):
    """The score of a mask is its stability, and candidates are sorted by it."""
    network = contrasty()
    torch.manual_seed(0)
    prompts = PromptBatch(torch.rand(3, 1, 2) * 1000, torch.ones(3, 1, dtype=torch.int64))

    with torch.inference_mode():
        features = network.encode(torch.randn(1, 3, 1024, 1024))
        logits, scores = network.decode(features, prompts, multimask=multimask)

    assert scores.shape == (3, 3 if multimask else 1)
    torch.testing.assert_close(scores, stability(logits), rtol=0, atol=0)
    assert (scores.diff(dim=1) <= 0).all()
    assert len(scores.unique()) == scores.numel()


def test_everything_mode_chooses_by_stability():
    """Candidates above a threshold are those of `decode`, whose scores are the stability and not the predicted IoU."""
    network = contrasty()
    torch.manual_seed(0)
    prompts = PromptBatch(torch.rand(4, 1, 2) * 1000, torch.ones(4, 1, dtype=torch.int64))

    with torch.inference_mode():
        features = network.encode(torch.randn(1, 3, 1024, 1024))
        logits, scores = network.decode(features, prompts, multimask=True)
        threshold = float(scores.median())
        chosen, rated = network.decode_above(features, prompts, threshold)

    assert 0 < len(chosen) < 12
    torch.testing.assert_close(rated, scores, rtol=0, atol=0)
    torch.testing.assert_close(chosen, logits[scores > threshold], rtol=0, atol=0)


def test_stability_is_that_of_everything_mode():
    """One definition of stability, also for masks that are empty."""
    waves = torch.randn(1, 3, 8, 8) * 4
    logits = F.interpolate(waves, (256, 256), mode="bilinear")
    logits = torch.cat([logits, torch.full((1, 1, 256, 256), -9.0)], dim=1)

    found = stability(logits)

    assert found[0, 3] == 0
    assert (found[0, :3] > 0.2).all()
    np.testing.assert_allclose(found[0], stability_scores(logits[0], Frame(1024, 1024, 1024)))


def test_the_network_is_in_eval_mode():
    """`build` gives a network that is ready for inference."""
    with torch.device("meta"):
        assert not any(module.training for module in build().modules())
