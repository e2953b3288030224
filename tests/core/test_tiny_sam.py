"""TinySAM: MobileSAM's names and shapes, and an answer that is never mask token 0."""

import json
from pathlib import Path

import pytest
import torch
from seeded import seeded_network

from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.registry import build_network, model_card
from lightsam_plugins.types import PromptBatch

MOBILE_SAM = Path(__file__).parents[1] / "golden" / "mobilesam.keys.json"


def test_every_key_and_shape_is_mobilesams():
    """Official TinySAM checkpoints have MobileSAM's names and shapes, with TinyViT's classifier left out here."""
    official = {name: tuple(shape) for name, shape in json.loads(MOBILE_SAM.read_text())["state_dict"]}
    with torch.device("meta"):
        network = build_network(model_card("tinysam"))
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    unused = {name for name in official if name.startswith(network.unused_keys)}
    assert own == {name: shape for name, shape in official.items() if name not in unused}
    assert {name.rsplit(".", 1)[0] for name in unused} == {"image_encoder.norm_head", "image_encoder.head"}
    assert model_card("tinysam").params == sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("objects", [0, 5])
def test_one_mask_is_the_best_of_three(objects):
    """The single answer is the first of the three candidates, not the token that SAM would take."""
    network = seeded_network("tinysam")
    torch.manual_seed(0)
    prompts = PromptBatch(torch.rand(objects, 1, 2) * 1000, torch.ones(objects, 1, dtype=torch.int64))

    with torch.inference_mode():
        features = network.encode(torch.randn(1, 3, 1024, 1024))
        single, score = network.decode(features, prompts, multimask=False)
        three, scores = network.decode(features, prompts, multimask=True)
        token_0, _ = SamNetwork.decode(network, features, prompts, multimask=False)

    assert three.shape == (objects, 3, 256, 256)
    torch.testing.assert_close(single, three[:, :1], rtol=0, atol=0)
    torch.testing.assert_close(score, scores.amax(dim=1, keepdim=True) if objects else scores[:, :1])
    if objects:
        assert (single - token_0).abs().max() > 0.01
