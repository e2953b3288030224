"""RepViT-SAM against its published tables: names, shapes, and the encoder written down literally."""

import json
from pathlib import Path

import pytest
import torch
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


def norm_shapes(name, channels):
    """The tensors of a batch norm."""
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.num_batches_tracked": (), **{f"{name}.{part}": (channels,) for part in parts}}


def conv_bn(name, shape):
    """A convolution without bias, and the batch norm after it."""
    return {f"{name}.c.weight": shape, **norm_shapes(f"{name}.bn", shape[0])}


def encoder_shapes():
    """Names and shapes of the published encoder."""
    shapes = conv_bn("features.0.0", (40, 3, 3, 3)) | conv_bn("features.0.2", (80, 40, 3, 3))
    before = 80
    for i, (width, _, excite) in enumerate(M2_3, start=1):
        cells, channels = f"features.{i}.token_mixer", f"features.{i}.channel_mixer.m"
        if width == before:
            shapes |= conv_bn(f"{cells}.0.conv", (width, 1, 3, 3)) | norm_shapes(f"{cells}.0.bn", width)
            shapes |= {f"{cells}.0.conv1.weight": (width, 1, 1, 1), f"{cells}.0.conv1.bias": (width,)}
        else:
            shapes |= conv_bn(f"{cells}.0", (before, 1, 3, 3)) | conv_bn(f"{cells}.2", (width, before, 1, 1))
        if excite:
            inner = SQUEEZED[width]
            shapes |= {f"{cells}.1.fc1.weight": (inner, width, 1, 1), f"{cells}.1.fc1.bias": (inner,)}
            shapes |= {f"{cells}.1.fc2.weight": (width, inner, 1, 1), f"{cells}.1.fc2.bias": (width,)}
        shapes |= conv_bn(f"{channels}.0", (2 * width, width, 1, 1))
        shapes |= conv_bn(f"{channels}.2", (width, 2 * width, 1, 1))
        before = width
    shapes |= {"neck.0.weight": (256, 640, 1, 1), "neck.2.weight": (256, 256, 3, 3)}
    shapes |= {f"neck.{i}.{part}": (256,) for i in (1, 3) for part in ("weight", "bias")}
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

    def batch_norm(name, x):
        return F.batch_norm(
            x, *(weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        )

    def conv(name, x, *, stride=1, groups=1):
        kernel = weights[f"{name}.c.weight"]
        x = F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2, groups=groups)
        return batch_norm(f"{name}.bn", x)

    def layer_norm(name, x):
        x = (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-6)
        return x * weights[f"{name}.weight"][:, None, None] + weights[f"{name}.bias"][:, None, None]

    def layer(name):
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    x = conv("features.0.2", F.gelu(conv("features.0.0", x, stride=2)), stride=2)
    for i, (width, stride, excite) in enumerate(M2_3, start=1):
        cells, channels, before = f"features.{i}.token_mixer", f"features.{i}.channel_mixer.m", x.shape[1]
        if width == before:
            single = F.conv2d(x, *layer(f"{cells}.0.conv1"), groups=before)
            x = batch_norm(f"{cells}.0.bn", conv(f"{cells}.0.conv", x, groups=before) + single + x)
        else:
            x = conv(f"{cells}.0", x, stride=stride, groups=before)
        if excite:
            inner = F.relu(F.conv2d(x.mean((2, 3), keepdim=True), *layer(f"{cells}.1.fc1")))
            x = x * torch.sigmoid(F.conv2d(inner, *layer(f"{cells}.1.fc2")))
        x = x if width == before else conv(f"{cells}.2", x)
        x = x + conv(f"{channels}.2", F.gelu(conv(f"{channels}.0", x)))
    x = layer_norm("neck.1", F.conv2d(x, weights["neck.0.weight"]))
    return layer_norm("neck.3", F.conv2d(x, weights["neck.2.weight"], padding=1))


def test_the_encoder_equals_its_literal_form():
    """At seeded weights the embedding is that of the published blocks run one by one, to float32 precision."""
    torch.manual_seed(0)
    encoder, images = ImageEncoder().eval(), torch.randn(2, 3, 128, 128)
    for name, tensor in encoder.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.ndim == 1:
            tensor.add_(torch.randn_like(tensor) * 0.2)

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
