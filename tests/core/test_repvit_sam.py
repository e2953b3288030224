"""RepViT-SAM against its published tables: names, shapes, and the encoder written down literally."""

import json
from pathlib import Path

import pytest
import torch
from literal import Layers, conv_bn, mixer_shapes, neck_shapes, norm_shapes, scattered
from torch.nn import functional as F

from lightsam_plugins.models.repvit_sam import ImageEncoder, build
from lightsam_plugins.registry import build_network, model_card

GOLDEN = Path(__file__).parents[1] / "golden"
# RepViT-M2.3, block by block (sam/repvit_sam/modeling/repvit.py): width, stride, squeeze and excitation. A width that
# differs from the one before begins a stage; the last does so at stride 1, so that there are 64 x 64 cells.
M2_3 = [
    *((80, 1, excite) for excite in (1, 0, 1, 0, 1, 0, 0)),
    *((160, 2, 0), *((160, 1, excite) for excite in (1, 0, 1, 0, 1, 0, 0))),
    *((320, 2, 0), *((320, 1, excite) for excite in (*(1, 0) * 17, 0))),
    *((640, 1, 0), (640, 1, 1), (640, 1, 0)),
]
SQUEEZED = {80: 24, 160: 40, 320: 80, 640: 160}  # a quarter, rounded to a multiple of 8


def encoder_shapes():
    """Names and shapes of the published encoder."""
    shapes = conv_bn("features.0.0", (40, 3, 3, 3)) | conv_bn("features.0.2", (80, 40, 3, 3))
    before = 80
    for i, (width, _, excite) in enumerate(M2_3, start=1):
        cells = f"features.{i}.token_mixer"
        if width == before:
            shapes |= conv_bn(f"{cells}.0.conv", (width, 1, 3, 3)) | norm_shapes(f"{cells}.0.bn", width)
            shapes |= {f"{cells}.0.conv1.weight": (width, 1, 1, 1), f"{cells}.0.conv1.bias": (width,)}
        else:
            shapes |= conv_bn(f"{cells}.0", (before, 1, 3, 3)) | conv_bn(f"{cells}.2", (width, before, 1, 1))
        shapes |= mixer_shapes(f"features.{i}", width, SQUEEZED[width] if excite else 0)
        before = width
    shapes |= neck_shapes(640)
    return {f"image_encoder.{name}": shape for name, shape in shapes.items()}


def test_every_key_and_shape():
    """The network has the published encoder's names and shapes and SAM's prompt side: the published 27.22 M."""
    sam = json.loads((GOLDEN / "sam_vit_b.keys.json").read_text())["state_dict"]
    prompt_side = {key: tuple(shape) for key, shape in sam if not key.startswith("image_encoder.")}
    card = model_card("repvit-sam")
    with torch.device("meta"):
        network = build_network(card)

    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert shapes == encoder_shapes() | prompt_side
    assert card.params == sum(weight.numel() for weight in network.parameters())
    assert card.params == pytest.approx(27.22e6, abs=5e3)


def literal_encoder(weights, x):
    """The published encoder from its tensors: nothing folded, one block after the other."""
    layers = Layers(weights)
    x = layers.stem(x)
    for i, (width, stride, excite) in enumerate(M2_3, start=1):
        cells, before = f"features.{i}.token_mixer", x.shape[1]
        if width == before:
            single = F.conv2d(x, *layers.pair(f"{cells}.0.conv1"), groups=before)
            x = layers.batch_norm(
                f"{cells}.0.bn", layers.conv(f"{cells}.0.conv", x, groups=before) + single + x
            )
        else:
            x = layers.conv(f"{cells}.0", x, stride=stride, groups=before)
        x = layers.excite(f"{cells}.1", x) if excite else x
        x = x if width == before else layers.conv(f"{cells}.2", x)
        x = layers.mix_channels(f"features.{i}.channel_mixer.m", x)
    return layers.neck(x)


def test_the_encoder_equals_its_literal_form():
    """At seeded weights the embedding is that of the published blocks run one by one, to float32 precision."""
    torch.manual_seed(0)
    encoder, images = scattered(ImageEncoder().eval()), torch.randn(2, 3, 128, 128)

    with torch.inference_mode():
        found, expected = encoder(images), literal_encoder(encoder.state_dict(), images)

    assert found.shape == (2, 256, 8, 8)
    assert expected.std() > 0.1
    assert (found - expected).norm() / expected.norm() < 1e-5


def test_gradients_reach_every_weight():
    """With gradients on, nothing is overwritten in place: the encoder can be fine-tuned."""
    encoder = ImageEncoder((8, 16, 24, 32), (1, 2, 3, 2), out_channels=8)

    encoder(torch.randn(1, 3, 64, 64)).square().sum().backward()

    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


def test_the_network_is_in_eval_mode():
    """`build` gives a network that is ready for inference."""
    with torch.device("meta"):
        assert not any(module.training for module in build().modules())
