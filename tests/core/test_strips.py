"""Blocks in strips are the blocks."""

import pytest
import torch
from torch import nn

from lightsam_plugins.models import strips
from lightsam_plugins.models.tiny_vit import MBConv, PatchEmbed

BLOCKS = {"inverted residual": lambda: MBConv(8), "embedding, stride 4": lambda: PatchEmbed(8)}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("rows", [1, 3, 8])
def test_strips_change_nothing(name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a strip's height, a batch of images comes out as from the whole block, in the same layout."""
    torch.manual_seed(0)
    block = BLOCKS[name]().eval()
    for norm in (one for one in block.modules() if isinstance(one, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.bias)
    channels = 8 if name == "inverted residual" else 3
    x = torch.randn(2, channels, 20, 16).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        whole = block(x)
        monkeypatch.setattr(strips, "STRIP", rows * x.element_size() * 16 * 32)
        heights: list[int] = []
        same = strips.in_strips(lambda part: (heights.append(part.shape[2]), part)[1], x, 32, reach=0)
        parts = block(x)

    assert len(heights) >= 6
    assert max(heights) == rows
    assert same.equal(x)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
    assert parts.is_contiguous(memory_format=torch.channels_last)
