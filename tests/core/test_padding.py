"""Encoders that do not work through padding give what they would give if they did."""

import pytest
import torch
from torch import nn

from lightsam_plugins.models import padding
from lightsam_plugins.models.tiny_vit import TinyViT

SIDE = 256


@pytest.fixture
def encoder() -> TinyViT:
    """A narrow one, whose layers turn zeros into something else."""
    torch.manual_seed(0)
    network = TinyViT((8, 8, 8, 8), (2, 1, 1, 1), (2, 2, 2), (7, 14, 7), 8).eval()
    for norm in (one for one in network.modules() if isinstance(one, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
        nn.init.normal_(norm.bias)
    return network


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((100, 256), (144, 256)),
        ((256, 97), (256, 144)),
        ((1, 256), (48, 256)),
        ((100, 90), (144, 256)),
        ((0, 0), (40, 256)),
        ((256, 256), (256, 256)),
        ((240, 256), (256, 256)),
    ],
)
def test_padding_is_left_out_and_changes_nothing(
    encoder: TinyViT, size: tuple[int, int], seen: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embeddings are those of the whole frame, while the first convolutions saw only so much of it."""
    height, width = size
    images = torch.zeros(2, 3, SIDE, SIDE)
    images[0, :, :height, :width] = torch.randn(3, height, width) if height else 0
    images[1, :, : height // 2, : width // 2] = 1
    shapes = []
    encoder.patch_embed.register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape[2:])))
    with torch.inference_mode():
        found = encoder(images)
        monkeypatch.setattr(padding, "WORTH_IT", 0)
        whole = encoder(images)

    assert shapes == [seen, (SIDE, SIDE)]
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_training_sees_the_padding(encoder: TinyViT) -> None:
    """With gradients the whole frame is worked through, so that they are those of every pixel."""
    shapes = []
    encoder.patch_embed.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape[2]))
    encoder(torch.zeros(1, 3, SIDE, SIDE)).sum().backward()

    assert shapes == [SIDE]
