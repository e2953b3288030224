"""Going on from shipped weights: their norms were merged into the convolutions; here they are set up again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from lightsam_plugins.models.nano import Nano
from lightsam_plugins.models.nano_encoder import ConvUnit, Residual


def warm_start(path: Path, images: torch.Tensor) -> Nano:
    """The network with exported weights, computing what they compute, with batch norms to train on with.

    Each norm is given the statistics of its input and the scale and shift that undo them. Layers that the file does
    not have start as they are; of new residual blocks that means as identity.

    Args:
        path: A file made by `training.export`, of this or an earlier architecture.
        images: (B, 3, S, S) normalised images for the statistics; dozens of them.
    """
    network = Nano().train()
    own, saved = network.state_dict(), {name: value.float() for name, value in load_file(path).items()}
    fitting = {name: value for name, value in saved.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict(fitting, strict=False)
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, ConvUnit) and f"{name}.conv.bias" in saved:
            assert isinstance(module.norm, nn.BatchNorm2d)
            hooks.append(module.norm.register_forward_pre_hook(undo(saved[f"{name}.conv.bias"])))
        if isinstance(module, Residual) and f"{name}.second.conv.bias" not in saved:
            assert isinstance(module.second.norm, nn.BatchNorm2d)
            nn.init.zeros_(module.second.norm.weight)
    with torch.no_grad():
        network.encode(images)
    for hook in hooks:
        hook.remove()
    return network


def undo(bias: torch.Tensor) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
    """A hook that makes a batch norm add `bias` and nothing else to the input it is about to see."""

    def hook(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_(variance)
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.copy_(mean + bias)

    return hook
