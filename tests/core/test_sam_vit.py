"""Segment Anything's own encoder beyond its golden file: the larger sizes, windows, memory, batches."""

import json
import math
from pathlib import Path

import pytest
import torch
from peak_memory import peak_growth
from torch.nn import functional as F

from lightsam_plugins.models import vit_det
from lightsam_plugins.models.vit_det import ViTDet, WindowAttention
from lightsam_plugins.registry import build_network, model_card

GOLDEN = Path(__file__).parents[1] / "golden" / "sam_vit_b.keys.json"
# As published: width, depth, heads, blocks that attend to the whole image (segment_anything/build_sam.py).
CONFIGS = {
    "sam-vit-b": (768, 12, 12, (2, 5, 8, 11)),
    "sam-vit-l": (1024, 24, 16, (5, 11, 17, 23)),
    "sam-vit-h": (1280, 32, 16, (7, 15, 23, 31)),
}


@pytest.fixture(scope="module")
def official_b():
    """Names and shapes of the official ViT-B checkpoint."""
    return {name: tuple(shape) for name, shape in json.loads(GOLDEN.read_text())["state_dict"]}


def encoder_shapes(width, depth, heads, whole):
    """Names and shapes of the encoder of a published configuration."""
    shapes = {
        "pos_embed": (1, 64, 64, width),
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
        "neck.0.weight": (256, width, 1, 1),
        "neck.1.weight": (256,),
        "neck.1.bias": (256,),
        "neck.2.weight": (256, 256, 3, 3),
        "neck.3.weight": (256,),
        "neck.3.bias": (256,),
    }
    layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    layers |= {"mlp.lin1": (4 * width, width), "mlp.lin2": (width, 4 * width)}
    for i in range(depth):
        for name, shape in layers.items():
            shapes[f"blocks.{i}.{name}.weight"] = shape
            shapes[f"blocks.{i}.{name}.bias"] = shape[:1]
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"):
            shapes[f"blocks.{i}.{name}"] = (width,)
        side = 64 if i in whole else 14
        for name in ("rel_pos_h", "rel_pos_w"):
            shapes[f"blocks.{i}.attn.{name}"] = (2 * side - 1, width // heads)
    return {f"image_encoder.{name}": shape for name, shape in shapes.items()}


def test_the_table_of_shapes_is_that_of_the_official_file(official_b):
    """What this file says of the encoder's names and shapes is true of the one size that can be compared."""
    encoder = {name: shape for name, shape in official_b.items() if name.startswith("image_encoder.")}

    assert encoder_shapes(*CONFIGS["sam-vit-b"]) == encoder


@pytest.mark.parametrize("name", CONFIGS)
def test_every_key_and_shape_of_each_size(name, official_b):
    """The network has the names and shapes of its configuration, with the prompt side that all sizes share.

    Its tensors are as many bytes as the published file, but for a few hundred a tensor of the container.
    """
    with torch.device("meta"):
        own = {
            key: tuple(tensor.shape) for key, tensor in build_network(model_card(name)).state_dict().items()
        }
    prompt_side = {key: shape for key, shape in official_b.items() if not key.startswith("image_encoder.")}

    assert own == encoder_shapes(*CONFIGS[name]) | prompt_side
    container = model_card(name).weights.size - 4 * sum(math.prod(shape) for shape in own.values())
    assert 100 < container / len(own) < 500


@pytest.fixture
def _inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def random_attention(channels, heads, window):
    """Attention with position embeddings and biases that matter."""
    attention = WindowAttention(channels, heads, window)
    for weight in attention.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return attention


def published_form(attention, x):
    """The same written down literally, (B, H, W, C): zeros around the map, all logits of a window at once."""
    side, (batch, height, width, channels) = attention.window, x.shape
    x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
    answer, place = torch.zeros_like(x), torch.arange(side)
    distance = place[:, None] - place + side - 1
    for top in range(0, x.shape[1], side):
        for left in range(0, x.shape[2], side):
            window = x[:, top : top + side, left : left + side]
            q, k, v = attention.qkv(window).view(batch, side, side, 3, attention.heads, -1).unbind(3)
            logits = torch.einsum("byxhc,bmnhc->bhyxmn", q, k) * (channels // attention.heads) ** -0.5
            logits += torch.einsum("byxhc,ymc->bhyxm", q, attention.rel_pos_h[distance])[..., None]
            logits += torch.einsum("byxhc,xnc->bhyxn", q, attention.rel_pos_w[distance])[..., None, :]
            weights = logits.flatten(4).softmax(-1).view(logits.shape)
            seen = torch.einsum("bhyxmn,bmnhc->byxhc", weights, v).flatten(3)
            answer[:, top : top + side, left : left + side] = seen
    return attention.proj(answer[:, :height, :width])


@pytest.mark.usefixtures("_inference")
@pytest.mark.parametrize("limit", [1, 100, 5000, 2**19], ids="{} logits".format)
@pytest.mark.parametrize("size", [(6, 6), (12, 6), (8, 13)], ids=["one window", "two", "padded"])
def test_attention_equals_the_published_form(size, limit, monkeypatch):
    """However few logits are made at once, and whatever the padding, the answer is softmax(q k + bias) v."""
    monkeypatch.setattr(vit_det, "CPU_LOGITS", limit)
    attention, x = random_attention(12, 3, 6), torch.randn(2, *size, 12)

    torch.testing.assert_close(attention(x), published_form(attention, x), rtol=1e-4, atol=1e-5)


def test_attention_to_a_whole_image_needs_little_memory():
    """4096 cells and 8 heads have 0.5 GB of logits; attention, with torch's own buffers, needs less than a third."""
    prepare = """
import torch
from lightsam_plugins.models.vit_det import WindowAttention
torch.set_grad_enabled(False)
attention = WindowAttention(32, 8, 64)
WindowAttention(32, 8, 8)(torch.zeros(1, 8, 8, 32))  # what the first call of all needs
"""

    assert peak_growth(prepare, "attention(torch.zeros(1, 64, 64, 32))") < 150e6


def small_encoder():
    """Two blocks, in windows that do not divide the map and on the whole of it."""
    encoder = ViTDet(16, depth=2, heads=2, whole=[1], window=5, out_channels=8, side=128).eval()
    for weight in encoder.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return encoder


@pytest.mark.usefixtures("_inference")
def test_images_of_a_batch_are_encoded_as_alone():
    """An image's embedding does not depend on the others of its batch."""
    encoder, images = small_encoder(), torch.randn(3, 3, 128, 128)

    together = encoder(images)

    assert together.shape == (3, 8, 8, 8)
    alone = torch.cat([encoder(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("_inference")
@pytest.mark.parametrize("part", ["rel_pos_h", "rel_pos_w", "pos_embed", "qkv.bias"])
def test_weights_changed_after_a_call_take_effect(part):
    """Nothing made of the weights is kept: other position embeddings or biases give another embedding."""
    encoder, images = small_encoder(), torch.randn(1, 3, 128, 128)
    before = encoder(images)

    for name, weight in encoder.named_parameters():
        if name.endswith(part):
            weight.add_(torch.randn_like(weight))

    assert (encoder(images) - before).abs().max() > 1e-3


def test_gradients_reach_every_weight():
    """With gradients on, nothing is overwritten in place: the encoder can be fine-tuned."""
    torch.manual_seed(0)
    encoder = small_encoder()

    encoder(torch.randn(1, 3, 128, 128)).square().sum().backward()

    assert [name for name, weight in encoder.named_parameters() if not weight.grad.abs().max() > 0] == []
