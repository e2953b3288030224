"""EfficientViT-SAM beyond its golden outputs: attention, resizing, precision, epsilons, checkpoints."""

import copy

import pytest
import torch
from seeded import MINIATURES, photo, seeded_network
from torch import nn
from torch.nn import functional as F

import lightsam_plugins as ls
from lightsam_plugins.devices import resolve_dtype
from lightsam_plugins.errors import DeviceError
from lightsam_plugins.models.bicubic import upsample
from lightsam_plugins.models.efficientvit import Conv, linear_attention
from lightsam_plugins.registry import build_network, list_models, model_card
from lightsam_plugins.segmenter import Segmenter

MODELS = [name for name in list_models() if name.startswith("efficientvit-sam-")]
SMALLEST, LARGEST = "efficientvit-sam-l0", "efficientvit-sam-xl1"


@pytest.fixture(scope="module")
def encoder():
    """The encoder in miniature, with weights whose batch norms are not trivial."""
    encoder, random = seeded_network(SMALLEST).image_encoder, torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=random)
            elif name.endswith("running_mean"):
                value.normal_(0, 0.1, generator=random)
            elif value.ndim == 4:  # what comes out is as large as what comes in, and depends on the image
                value.normal_(0, 2 * value[0].numel() ** -0.5, generator=random)
    return encoder


def images(count=1):
    """Smooth normalised images."""
    cells = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    return F.interpolate(cells, (256, 256), mode="bilinear")


def quadratic_attention(qkv):
    """The same weights, formed: relu(q) relu(k)^T over the sum of each row, times v; in float64."""
    q, k, v = qkv.double().transpose(1, 2).chunk(3, dim=-1)
    weights = q.relu() @ k.relu().mT
    return ((weights / (weights.sum(-1, keepdim=True) + 1e-15)) @ v).transpose(1, 2)


@pytest.mark.parametrize("cells", [1, 16, 32, 400], ids="{} cells".format)
def test_linear_attention_equals_its_quadratic_form(cells):
    """Products in either order agree, with fewer cells than channels, where the official code swaps them, or more."""
    qkv = torch.randn(2, cells, 3, 96, generator=torch.Generator().manual_seed(cells))

    seen = linear_attention(qkv)

    torch.testing.assert_close(seen.double(), quadratic_attention(qkv), rtol=1e-4, atol=1e-5)
    assert seen.shape == (2, cells, 3, 32)


def test_a_query_without_a_positive_entry_sees_nothing():
    """Its weights are 0 over 0, and the answer is 0, not NaN."""
    qkv = torch.randn(1, 50, 1, 96)
    qkv[0, 7, 0, :32] = -1

    seen = linear_attention(qkv)

    assert (seen[0, 7] == 0).all()
    assert (seen[0, 8] != 0).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_attention_is_computed_in_float32(dtype):
    """Reduced inputs give what the same numbers give in float32, also where float16 could not hold the sums."""
    qkv = (300 * torch.randn(1, 1024, 2, 96, generator=torch.Generator().manual_seed(0))).to(dtype)
    assert (qkv.relu().square().sum() > 65504).item()

    torch.testing.assert_close(linear_attention(qkv), linear_attention(qkv.float()), rtol=0, atol=0)
    assert linear_attention(qkv).isfinite().all()


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (64, 64), (5, 40), (100, 64)])
def test_resizing_is_the_bicubic_one_of_torch(size):
    """Two matrix products give the numbers of `interpolate`, at any size."""
    x = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(0))

    expected = F.interpolate(x, (64, 64), mode="bicubic")

    torch.testing.assert_close(upsample(x, 64), expected, rtol=1e-5, atol=3e-6)
    assert upsample(x, 64).shape == (2, 6, 64, 64)


def test_resizing_to_the_same_size_costs_nothing():
    """It would change no bit, so the map itself comes back."""
    x = torch.randn(1, 2, 64, 64)

    assert upsample(x, 64) is x
    assert torch.equal(F.interpolate(x, (64, 64), mode="bicubic"), x)


def test_resizing_rounds_once_in_reduced_precision():
    """In bfloat16 the resize itself is done in float32."""
    x = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0)).bfloat16()

    assert torch.equal(upsample(x, 64), upsample(x.float(), 64).bfloat16())


@pytest.mark.parametrize("name", MODELS)
def test_all_epsilons_are_1e_6(name):
    """Batch and layer norms of encoder, prompt encoder and decoder, in which SAM's decoder has 1e-5."""
    with torch.device("meta"):
        network = build_network(model_card(name))
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.LayerNorm)]

    assert {type(norm).__name__ for norm in norms} == {"BatchNorm2d", "LayerNorm", "LayerNorm2d"}
    assert {norm.eps for norm in norms} == {1e-6}


@torch.inference_mode()
@pytest.mark.parametrize("act", [False, True], ids=["no activation", "GELU"])
def test_a_folded_layer_equals_its_separate_steps(act):
    """`Conv` is convolution, batch norm by its statistics, and the tanh form of GELU, one after the other."""
    layer, x = Conv(6, 4, 3, stride=2, act=act).eval(), images()[:, :1].expand(1, 6, -1, -1)
    layer.norm.running_mean.uniform_(-1, 1)
    layer.norm.running_var.uniform_(0.5, 1.5)

    separate = layer.norm(layer.conv(x))

    expected = F.gelu(separate, approximate="tanh") if act else separate
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
    assert (F.gelu(separate) - expected).abs().max() > 1e-4  # the exact form of GELU would be seen


@torch.inference_mode()
def test_images_of_a_batch_are_encoded_as_alone(encoder):
    """An image's embedding does not depend on the others of its batch."""
    alone = torch.cat([encoder(image[None]) for image in images(2)])

    torch.testing.assert_close(encoder(images(2)), alone, rtol=1e-4, atol=1e-4)
    assert (alone[0] - alone[1]).abs().mean() > 0.01


@torch.inference_mode()
def test_weights_loaded_after_a_call_take_effect(encoder):
    """Nothing made of the weights outlives them: a used network and a fresh one agree after loading the same."""
    used, fresh = copy.deepcopy(encoder), copy.deepcopy(encoder)
    before = used(images())
    random = torch.Generator().manual_seed(3)
    weights = {
        name: value * (1 + torch.rand(value.shape, generator=random) / 4)
        if value.is_floating_point()
        else value
        for name, value in encoder.state_dict().items()
    }

    for network in (used, fresh):
        network.load_state_dict(weights)

    assert torch.equal(used(images()), fresh(images()))
    assert (used(images()) - before).abs().mean() > 0.01


def test_gradients_reach_every_weight(encoder):
    """With gradients on, nothing is overwritten in place: the encoder can be fine-tuned."""
    encoder(images()).square().sum().backward()

    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


@torch.inference_mode()
def test_bfloat16_is_near_float32(encoder):
    """The whole encoder in bfloat16 gives the embedding of float32 to some percent."""
    expected = encoder(images())
    reduced = copy.deepcopy(encoder).bfloat16()(images().bfloat16())

    assert reduced.dtype == torch.bfloat16
    assert (reduced.float() - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_float16_is_refused(name, device):
    """A float16 encoder is known to give wrong masks; bfloat16 is allowed."""
    spec = model_card(name)

    with pytest.raises(DeviceError, match=rf"{name} is known to give wrong masks in float16 on {device}"):
        resolve_dtype("float16", torch.device(device), spec)
    assert resolve_dtype("bfloat16", torch.device(device), spec) == torch.bfloat16


@pytest.mark.parametrize(("name", "side"), [(SMALLEST, 512), (LARGEST, 1024)])
def test_prompts_live_in_the_1024_frame_whatever_the_encoder_reads(name, side):
    """The encoder gets its own side, while boxes and points are scaled to 1024."""
    network, seen = seeded_network(name), {}
    network.image_encoder.register_forward_pre_hook(lambda _, args: seen.update(image=args[0]))
    network.prompt_encoder.register_forward_pre_hook(lambda _, args: seen.update(prompts=args[0]))

    Segmenter(network, model_card(name)).segment(photo(200, 400), boxes=[100, 50, 400, 200])

    assert seen["image"].shape == (1, 3, side, side)
    assert (seen["image"][:, :, side // 2 :] == 0).all()  # the padding below an image twice as wide as high
    assert seen["prompts"].boxes.tolist() == [[256, 128, 1024, 512]]


@pytest.mark.parametrize("wrap", [dict, lambda state: {"state_dict": state}], ids=["plain", "state_dict"])
def test_official_containers_load(wrap, tmp_path, monkeypatch):
    """A plain state dict and one under "state_dict" both give a model that answers by those weights."""
    name, network = SMALLEST, seeded_network(SMALLEST)
    miniature = MINIATURES["lightsam_plugins.models.efficientvit_sam"]
    monkeypatch.setattr("lightsam_plugins.loading.build_network", lambda spec: miniature())
    torch.save(wrap(network.state_dict()), tmp_path / "weights.pt")

    model = ls.load(name, device="cpu", weights=tmp_path / "weights.pt")

    expected = Segmenter(network, model_card(name)).segment(photo(60, 80), boxes=[9, 9, 50, 40])
    assert (model.segment(photo(60, 80), boxes=[9, 9, 50, 40]).logits == expected.logits).all()
