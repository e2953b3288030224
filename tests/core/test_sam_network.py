"""The networks of SAM's family, beyond the golden outputs: loading, batches, padding, order."""

import pytest
import torch
from rated import check_above
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightsam_plugins.errors import InputError
from lightsam_plugins.models.layers import ConvBN
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.models.sam_transformer import FEW_ROWS, ImageToTokenAttention, TokenToImageAttention
from lightsam_plugins.models.tiny_vit import TinyViT
from lightsam_plugins.types import PromptBatch
from lightsam_plugins.weights import load_into

GRID, LOW_RES = 16, 64  # instead of 64 and 256

pytestmark = pytest.mark.usefixtures("_inference")


@pytest.fixture(scope="module")
def _inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def network(_inference):
    """SAM's prompt side with random weights, behind an encoder that hands the image through."""
    return small_network()


@pytest.fixture(scope="module")
def features(network):
    """An embedding as an encoder could have made it."""
    return network.encode(torch.randn(1, 256, GRID, GRID))


def small_network():
    """A network of SAM's widths on a small map; everything but its speed is that of the full map."""
    network = SamNetwork(nn.Identity()).eval()
    network.prompt_encoder.grid = GRID
    return network


def clicks(count, length):
    """Random clicks inside the frame, half of them negative."""
    return torch.rand(count, length, 2) * 1000, torch.randint(0, 2, (count, length))


def boxes(count):
    """Random boxes inside the frame."""
    corner = torch.rand(count, 2) * 500
    return torch.cat([corner, corner + 50 + torch.rand(count, 2) * 400], dim=1)


def random_weights(module):
    """Weights that leave no tensor at its initial value."""
    return {
        name: torch.rand_like(tensor) + 0.5
        if name.endswith("running_var")
        else torch.randn_like(tensor) * 0.3
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point()
    }


def tiny_encoder():
    """TinyViT with all its parts, small."""
    return TinyViT(widths=(8, 16, 32, 64), depths=(1, 1, 1, 1), heads=(1, 2, 4), out_channels=8).eval()


@pytest.mark.parametrize("load", [nn.Module.load_state_dict, None], ids=["load_state_dict", "load_into"])
def test_weights_loaded_after_a_call_take_effect(load):
    """Attention biases and folded batch norms are those of the weights loaded last, whatever ran before."""
    used, fresh, images = tiny_encoder(), tiny_encoder(), torch.randn(1, 3, 96, 96)
    before = used(images)
    weights = {**fresh.state_dict(), **random_weights(fresh)}

    for encoder in (used, fresh):
        if load:
            load(encoder, weights)
        else:
            load_into(encoder, weights, model="tiny", source="test")

    torch.testing.assert_close(used(images), fresh(images), rtol=0, atol=0)
    assert (used(images) - before).abs().mean() > 0.1


@pytest.mark.parametrize("name", ["attention_biases", "running_var"])
def test_every_kind_of_derived_weight_is_read_at_each_call(name):
    """Changing only the attention biases, or only the batch statistics, changes the embedding."""
    encoder, images = tiny_encoder(), torch.randn(1, 3, 96, 96)
    before = encoder(images)
    weights = random_weights(encoder)

    encoder.load_state_dict({k: v for k, v in weights.items() if k.endswith(name)}, strict=False)

    assert (encoder(images) - before).abs().max() > 1e-3


def test_images_of_a_batch_are_encoded_as_alone():
    """An image's embedding does not depend on the others of its batch."""
    encoder, images = tiny_encoder(), torch.randn(3, 3, 96, 96)

    alone = torch.cat([encoder(image[None]) for image in images])

    torch.testing.assert_close(encoder(images), alone, rtol=1e-5, atol=1e-5)


def test_folded_batch_norm_equals_convolution_then_batch_norm():
    """`ConvBN` is its convolution followed by its batch norm in eval mode."""
    layer, x = ConvBN(6, 4, 3, stride=2).eval(), torch.randn(2, 6, 9, 9)
    layer.load_state_dict(random_weights(layer), strict=False)

    torch.testing.assert_close(layer(x), layer.bn(layer.c(x)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [2, FEW_ROWS])
@pytest.mark.parametrize("shared", [True, False], ids=["one image for all", "an image each"])
def test_attention_by_products_on_the_token_side_equals_the_published_form(count, shared):
    """Both directions equal softmax(q k) v with all projections done first, to float32 precision."""
    tokens, located, image = (torch.randn(count, n, 32) for n in (3, 40, 40))
    if shared:
        located, image = located[:1], image[:1]
    all_located, all_images = (x.expand(count, -1, -1) for x in (located, image))
    to_image, to_tokens = TokenToImageAttention(32, 16), ImageToTokenAttention(32, 16)

    seen = to_image(tokens, located, image)
    answered = to_tokens(image, located, tokens, tokens + 1, None)

    torch.testing.assert_close(seen, to_image.attend(tokens, all_located, all_images))
    torch.testing.assert_close(answered, image + to_tokens.attend(all_located, tokens, tokens + 1))


@pytest.mark.parametrize("masks", [False, True], ids=["no masks", "masks"])
def test_objects_do_not_see_each_other(network, features, masks):
    """Five objects decoded together give what each gives alone, in their order."""
    prompts = PromptBatch(*clicks(5, 2), boxes(5), torch.randn(5, LOW_RES, LOW_RES) if masks else None)

    logits, iou = network.decode(features, prompts, multimask=False)
    alone = [network.decode(features, prompts[i : i + 1], multimask=False) for i in range(5)]

    torch.testing.assert_close(logits, torch.cat([one[0] for one in alone]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(iou, torch.cat([one[1] for one in alone]), rtol=1e-4, atol=1e-5)
    assert logits.shape == (5, 1, LOW_RES, LOW_RES)
    assert (logits[0] - logits[1]).abs().max() > 1e-3


@pytest.mark.parametrize("with_box", [False, True], ids=["clicks", "clicks and box"])
def test_padding_clicks_change_nothing(network, features, with_box):
    """Clicks of label -1, wherever they lie, leave the answer as it is without them."""
    points, labels = clicks(2, 2)
    rectangles = boxes(2) if with_box else None
    padded = torch.cat([points, torch.full((2, 3, 2), 77.0)], dim=1)
    padded_labels = torch.cat([labels, torch.full((2, 3), -1)], dim=1)

    expected, _ = network.decode_all(features, PromptBatch(points, labels, rectangles))
    got, _ = network.decode_all(features, PromptBatch(padded, padded_labels, rectangles))

    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_single_mask_is_token_0_and_candidates_are_the_others_best_first(network, features):
    """`decode` answers with token 0, or with tokens 1 to 3 sorted by their predicted IoU."""
    prompts = PromptBatch(*clicks(4, 1))
    logits, iou = network.decode_all(features, prompts)

    single, single_iou = network.decode(features, prompts, multimask=False)
    three, three_iou = network.decode(features, prompts, multimask=True)

    torch.testing.assert_close(single, logits[:, :1])
    torch.testing.assert_close(single_iou, iou[:, :1])
    order = iou[:, 1:].argsort(dim=1, descending=True)
    torch.testing.assert_close(three_iou, iou[:, 1:].gather(1, order))
    torch.testing.assert_close(three, torch.stack([logits[i, 1:][order[i]] for i in range(4)]))
    assert (three_iou[:, :-1] >= three_iou[:, 1:]).all()


@pytest.mark.parametrize("passing", [0, 1, 4, 9, 15])
def test_candidates_above_a_threshold_are_those_of_a_whole_decode(network, features, passing):
    """Everything mode's candidates are those of `decode` with a higher score, in the same order."""
    check_above(network, features, PromptBatch(*clicks(5, 1)), passing)


def test_prompts_without_a_good_candidate_are_not_drawn(network, features, monkeypatch):
    """The image is up-scaled for the prompts only that have a candidate above the threshold."""
    prompts = PromptBatch(*clicks(6, 1))
    best = network.decode(features, prompts, multimask=True)[1][:, 0]
    drawn, upscale = [], network.mask_decoder.upscale
    monkeypatch.setattr(
        network.mask_decoder, "upscale", lambda image: drawn.append(len(image)) or upscale(image)
    )

    network.decode_above(features, prompts, float(best.median()))

    assert sum(drawn) == int((best > best.median()).sum()) < 6


@pytest.mark.parametrize("masks", [None, torch.zeros(0, LOW_RES, LOW_RES)], ids=["no masks", "masks"])
@pytest.mark.parametrize(("multimask", "answers"), [(False, 1), (True, 3)])
def test_no_prompts_give_no_masks(network, features, masks, multimask, answers):
    """Zero objects decode to empty tensors of the usual form."""
    logits, iou = network.decode(features, PromptBatch(*clicks(0, 1), None, masks), multimask=multimask)

    assert logits.shape == (0, answers, LOW_RES, LOW_RES)
    assert iou.shape == (0, answers)


@pytest.mark.parametrize(
    ("length", "box", "tokens"), [(1, False, 2), (3, False, 4), (0, True, 2), (3, True, 5), (0, False, 0)]
)
def test_not_a_point_follows_clicks_without_a_box(network, length, box, tokens):
    """SAM's extra token is there for clicks alone, not with a box, and not where there is only a mask."""
    encoded = network.prompt_encoder(PromptBatch(*clicks(2, length), boxes(2) if box else None))

    assert encoded.tokens.shape == (2, tokens, 256)
    assert encoded.ignored is None
    blank = network.prompt_encoder.not_a_point_embed.weight[0]
    is_blank = [bool((token == blank).all()) for token in encoded.tokens[0]]
    assert is_blank == [not box and i == length for i in range(tokens)]


def test_epsilon_reaches_the_transformer_and_nothing_else():
    """`eps` sets the decoder's layer norms; those of feature maps keep SAM's 1e-6."""
    decoder = SamNetwork(nn.Identity(), eps=3e-4).mask_decoder
    epsilons = {name: m.eps for name, m in decoder.named_modules() if isinstance(m, nn.LayerNorm)}

    assert epsilons.pop("output_upscaling.1") == 1e-6
    assert len(epsilons) == 9
    assert set(epsilons.values()) == {3e-4}


def test_features_of_several_images_are_refused(network):
    """Decoding works on one image; the message says what came instead."""
    features = network.encode(torch.zeros(2, 256, GRID, GRID))

    with pytest.raises(InputError, match=r"expected an image_embedding .* got shape \(2, 256, 16, 16\)"):
        network.decode(features, PromptBatch(*clicks(2, 1)), multimask=False)


def test_gradients_reach_every_weight():
    """With gradients on, nothing is overwritten in place: encoder and decoder can be fine-tuned."""
    with torch.inference_mode(False), torch.enable_grad():
        encoder = tiny_encoder()
        encoder(torch.randn(1, 3, 32, 32)).sum().backward()
        missing = [name for name, weight in encoder.named_parameters() if weight.grad is None]
        network = small_network()
        prompts = PromptBatch(*clicks(1, 1), boxes(1), torch.randn(1, LOW_RES, LOW_RES))
        features = network.encode(torch.randn(1, 256, GRID, GRID))
        logits, iou = network.decode_all(features, prompts)
        (logits.sum() + iou.sum()).backward()
        missing += [name for name, weight in network.named_parameters() if weight.grad is None]

    # Embeddings of what is not in this prompt, and key biases, which no softmax depends on.
    unused = {"prompt_encoder.no_mask_embed.weight"}
    assert {name for name in missing if not name.endswith("k_proj.bias")} == unused


class Dtypes(TorchDispatchMode):
    """Notes the dtype of every tensor that any operation makes."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        output = operation(*args, **(kwargs or {}))
        self.seen |= {leaf.dtype for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)}
        return output


def test_no_operation_makes_float64(network, features):
    """Apple's MPS has no float64: neither encoding nor decoding any prompt makes one on the way."""
    encoder, masks = tiny_encoder(), torch.zeros(1, LOW_RES, LOW_RES)
    prompts = [PromptBatch(*clicks(1, 2), boxes(1), masks), PromptBatch(*clicks(1, 2))]

    with Dtypes() as dtypes:
        encoder(torch.zeros(1, 3, 32, 32))
        for batch in prompts:
            network.decode(features, batch, multimask=True)

    assert torch.float32 in dtypes.seen
    assert not {torch.float64, torch.complex128} & dtypes.seen
