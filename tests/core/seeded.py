"""Any registered model with weights from a seed: at its real size, or in miniature where that takes long.

A miniature is the same architecture, narrower and with fewer blocks, between the same input and the same 64 x 64
cells and 256 x 256 logits. What a model promises by contract holds of it as of the real one; that the real one
has the official widths is what the golden files and the accounts of names and shapes say.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from lightsam_plugins.models.edge_sam import EdgeSam
from lightsam_plugins.models.efficient_sam import build_ti
from lightsam_plugins.models.efficientvit import EPS, EfficientViT
from lightsam_plugins.models.efficientvit_sam import ImageEncoder
from lightsam_plugins.models.mobile_sam_v2 import MobileSamV2
from lightsam_plugins.models.rep_vit import RepViT
from lightsam_plugins.models.repvit_sam import ImageEncoder as RepVitEncoder
from lightsam_plugins.models.sam_mask_decoder import MaskDecoder
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.models.sam_prompt_encoder import PromptEncoder
from lightsam_plugins.models.tiny_sam import TinySam
from lightsam_plugins.models.tiny_vit import TinyViT
from lightsam_plugins.models.vit_det import ViTDet
from lightsam_plugins.models.yolo_seg import YoloSeg
from lightsam_plugins.registry import build_network, model_card
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.types import Detector, Proposer

Sam = TypeVar("Sam", bound=SamNetwork)
WIDTH = 32  # channels of a narrow embedding, instead of 256


def narrow(network: Sam, eps: float = 1e-5) -> Sam:
    """`network`, whose encoder gives `WIDTH` channels, with a prompt side as narrow."""
    network.prompt_encoder, network.mask_decoder = PromptEncoder(WIDTH), MaskDecoder(WIDTH, eps)
    return network.eval()


def tiny_vit() -> TinyViT:
    """MobileSAM's encoder in miniature."""
    return TinyViT((8, 16, 32, 64), (1, 1, 1, 1), (1, 2, 4), out_channels=WIDTH)


def efficientvit_sam() -> SamNetwork:
    """EfficientViT-SAM with every kind of block and two stages of attention."""
    backbone = EfficientViT(
        kinds=("res", "fused", "inverted", "fused", "attention", "attention"),
        widths=(4, 8, 16, 32, 32, 64),
        depths=(1, 1, 1, 1, 1, 2),
        expands=(1, 4, 4, 4, 4, 6),
        scale=5,
    )
    encoder = ImageEncoder(backbone, neck_depth=2, neck_expand=2, out_channels=WIDTH)
    return narrow(SamNetwork(encoder), EPS)


def detector() -> YoloSeg:
    """The network of FastSAM and of MobileSAMv2's detector in miniature."""
    return YoloSeg((8, 16, 32, 32, 32), (1, 1, 1, 1, 1), 32)


# Module of the builder -> miniature, one for all sizes of a family. Only for what is too slow at its real size.
MINIATURES: dict[str, Callable[[], torch.nn.Module]] = {
    "lightsam_plugins.models.edge_sam": lambda: narrow(
        EdgeSam(RepViT((8, 16, 24, 32), (1, 2, 3, 2), out_channels=WIDTH))
    ),
    "lightsam_plugins.models.efficient_sam": lambda: build_ti(depth=2),
    "lightsam_plugins.models.mobile_sam_v2": lambda: narrow(MobileSamV2(tiny_vit(), detector())),
    "lightsam_plugins.models.repvit_sam": lambda: narrow(
        SamNetwork(RepVitEncoder((8, 16, 24, 32), (1, 2, 3, 2), out_channels=WIDTH))
    ),
    "lightsam_plugins.models.tiny_sam": lambda: narrow(TinySam(tiny_vit())),
    "lightsam_plugins.models.sam_vit": lambda: narrow(
        SamNetwork(ViTDet(WIDTH, depth=2, heads=2, whole=[1], out_channels=WIDTH))
    ),
    "lightsam_plugins.models.efficientvit_sam": efficientvit_sam,
}


class Patches(torch.nn.Module):
    """An encoder of one layer: what is true of converting, keeping and running does not depend on the layers."""

    unused_keys: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = torch.nn.Conv2d(3, 4, 16, 16)

    def encode(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """One map of 64 x 64."""
        return {"image_embedding": self.layer(images).tanh()}


def seeded_network(name: str) -> torch.nn.Module:
    """The network of a model; no weight is left at zero or one, so that no branch is without effect."""
    spec = model_card(name)
    miniature = MINIATURES.get(spec.builder.partition(":")[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = miniature() if miniature else build_network(spec)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight) * 0.02)
        if isinstance(network, Proposer):
            spread(network)
        if isinstance(network, Detector):
            spread(network.detector)
            for branch in network.detector.model["22"].cv3:
                branch[-1].bias.data -= 6  # a few dozen objects, each of which is decoded
    return network


@torch.no_grad()
def spread(network: torch.nn.Module) -> None:
    """Bring the outputs of each layer into a usual range, as training would: a spread of one, of the last ones two.

    With weights at random an image fades on its way through a hundred layers, and a detector then finds the same in
    every corner of every image.
    """

    def scale(layer: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        last = not hasattr(layer, "bn")
        weight = layer.weight if last else layer.bn.weight
        weight.mul_((2 if last else 1) / output.std((0, 2, 3)).mean())
        if last:
            layer.bias.sub_(layer.forward(*inputs).mean((0, 2, 3)))
        return layer.forward(*inputs)

    normed = [layer for layer in network.modules() if hasattr(layer, "bn")]
    convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    final = [layer for layer in convolutions if layer.bias is not None]
    hooks = [layer.register_forward_hook(scale) for layer in (*normed, *final)]
    network(torch.from_numpy(photo(256, 256)).permute(2, 0, 1)[None] / 255)
    for hook in hooks:
        hook.remove()


def seeded_segmenter(name: str) -> Segmenter:
    """A segmenter around that network."""
    return Segmenter(seeded_network(name), model_card(name))


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth image of coloured waves, (height, width, 3) uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [
        sum(np.sin(2 * np.pi * (fx * x + fy * y) + phase) for fx, fy, phase in random.uniform(-6, 6, (5, 3)))
        for _ in range(3)
    ]
    return (np.stack(waves, -1) * 25 + 128).clip(0, 255).astype(np.uint8)
