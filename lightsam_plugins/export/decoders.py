"""The prompt side of each family as a graph to export: any number of objects, any number of points an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import torch
from torch import nn

from lightsam_plugins.export.graphs import Graph, Value
from lightsam_plugins.models.efficient_sam_prompts import SLOTS, EfficientSamPromptEncoder
from lightsam_plugins.models.nano import OVERCONFIDENCE, SHARPNESS, Nano
from lightsam_plugins.models.nano_decoder import guided
from lightsam_plugins.models.sam_mask_decoder import MASK_TOKENS
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.models.sam_prompt_encoder import EncodedPrompts, PromptEncoder
from lightsam_plugins.types import LOW_RES, PromptBatch

if TYPE_CHECKING:
    from lightsam_plugins.segmenter import Segmenter

    Maps: TypeAlias = tuple[torch.Tensor, ...]

POINTS = "(N, P, 2) float32, x and y in pixels of the prompt frame"
LOGITS = (
    f"(N, K, {LOW_RES}, {LOW_RES}) float32 over the whole prompt frame; the mask is where they are above 0"
)
SAM_LABELS = (
    "(N, P) int64: 1 on the object, 0 beside it, 2 and 3 the corners of a box (top left, bottom right), -1 none. An "
    "object without a box has one point of label -1 after its clicks"
)


class SamDecoder(nn.Module):
    """SAM's prompt encoder and mask decoder, with the four kinds of points as labels."""

    def __init__(self, network: SamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        embedding: torch.Tensor,
        points: torch.Tensor,
        labels: torch.Tensor,
        masks: torch.Tensor,
        has_mask: torch.Tensor,
    ) -> Maps:
        """All four mask tokens: logits (N, 4, 256, 256), predicted IoU (N, 4)."""
        encoder = cast("PromptEncoder", self.network.prompt_encoder)
        dense = has_mask * encoder.embed_masks(masks) + (1 - has_mask) * encoder.embed_masks(None)
        encoded = EncodedPrompts(encoder.embed_points(points, labels), None, dense)
        found = self.network.mask_decoder(embedding, encoder.position_map(), encoded, range(MASK_TOKENS))
        return cast("Maps", found)


class SlotDecoder(nn.Module):
    """EfficientSAM's prompt encoder and mask decoder, whose objects have a fixed number of points."""

    def __init__(self, network: SamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, embedding: torch.Tensor, points: torch.Tensor, labels: torch.Tensor) -> Maps:
        """As `SamDecoder`."""
        encoder = self.network.prompt_encoder
        encoded = encoder(PromptBatch(points, labels))
        # Of as many objects as there are images each has its own: no shape depends on the number of both.
        image = embedding.expand(points.shape[0], -1, -1, -1)
        found = self.network.mask_decoder(image, encoder.position_map(), encoded, range(MASK_TOKENS))
        return cast("Maps", found)


class NanoGraph(nn.Module):
    """`nano`'s decoder without the tidying that follows it."""

    def __init__(self, network: Nano) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        guide: torch.Tensor,
        keys: torch.Tensor,
        s4: torch.Tensor,
        s8: torch.Tensor,
        s16: torch.Tensor,
        s32: torch.Tensor,
        points: torch.Tensor,
        labels: torch.Tensor,
        boxes: torch.Tensor,
        masks: torch.Tensor,
    ) -> Maps:
        """All three masks: logits (N, 3, 256, 256), predicted IoU (N, 3)."""
        features = {"guide": guide, "keys": keys, "s4": s4, "s8": s8, "s16": s16, "s32": s32}
        prompts = PromptBatch(points, labels, boxes, masks / SHARPNESS)
        weights, quality = self.network.decoder.propose(features, prompts)
        logits = guided(weights, features["guide"])
        logits = nn.functional.interpolate(logits, size=(LOW_RES, LOW_RES), mode="bilinear")
        return logits * SHARPNESS, (quality - quality.new_tensor(OVERCONFIDENCE)).clamp(min=0)


def decoder_graph(segmenter: Segmenter, encoder: Graph) -> Graph | None:
    """The decoder of a model; None where it has none, since prompts choose among what the encoder finds.

    Args:
        segmenter: The model.
        encoder: Its exported encoder, of whose outputs there are examples.
    """
    network, spec = segmenter.network, segmenter.spec
    maps = dict(zip(encoder.outputs, encoder.run(encoder.examples()), strict=True))
    features = {name: Value(value.clone(), "of the encoder", {}) for name, value in maps.items()}
    side = spec.prompt_side
    if isinstance(network, Nano):
        module: nn.Module = NanoGraph(network)
        prompts, other = (
            _prompts(side, "(N, P) int64: 1 on the object, 0 beside it, -1 none"),
            _prompts(side, "", 1, 3),
        )
        for some, count in ((prompts, 2), (other, 1)):
            some["boxes"] = _boxes(count, side)
            some["masks"] = _masks(count)
    elif not isinstance(network, SamNetwork):
        return None
    elif isinstance(network.prompt_encoder, EfficientSamPromptEncoder):
        module, about = SlotDecoder(network), f"(N, {SLOTS}) int64: 1 on the object, 2 and 3 corners, -1 none"
        prompts, other = _slots(about, 2), _slots(about, 1)
    elif isinstance(network.prompt_encoder, PromptEncoder):
        module = SamDecoder(network)
        prompts, other = _prompts(side, SAM_LABELS), _prompts(side, "", 1, 3)
        for some, count, has in ((prompts, 2, 1.0), (other, 1, 0.0)):
            some["masks"] = _masks(count)
            some["has_mask"] = Value(
                torch.tensor([has]), "(1,) float32: 1, or 0 to take no notice of masks", {}
            )
    else:
        return None
    return Graph(
        "decoder.onnx",
        f"the decoder of {spec.name!r}",
        module.eval(),
        features | prompts,
        {"logits": LOGITS, "iou": "(N, K) float32, how good the model takes its masks to be"},
        tuple(value.example for value in (features | other).values()),
    )


_OBJECTS = torch.export.Dim("objects", min=2, max=4096)


def _noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _prompts(side: int, about: str, count: int = 2, clicks: int = 2) -> dict[str, Value]:
    """Clicks of some objects, the last one beside the object."""
    axes = {0: _OBJECTS, 1: torch.export.Dim("points", min=2, max=12)}
    labels = torch.ones((count, clicks), dtype=torch.int64)
    labels[0, -1] = 0
    return {
        "points": Value(_noise(count, clicks, 2) * side, POINTS, axes),
        "labels": Value(labels, about, axes),
    }


def _slots(about: str, count: int) -> dict[str, Value]:
    labels = torch.tensor([2, 3, 1, -1, -1, -1]).repeat(count, 1)
    axes = {0: _OBJECTS}
    return {
        "points": Value(_noise(count, SLOTS, 2) * 1024, POINTS.replace("P", str(SLOTS), 1), axes),
        "labels": Value(labels, about, axes),
    }


def _boxes(count: int, side: int) -> Value:
    boxes = torch.cat([_noise(count, 2) * side / 2, (1 + _noise(count, 2)) * side / 2], 1)
    return Value(
        boxes, "(N, 4) float32, x0, y0, x1, y1 in pixels of the prompt frame; all 0: no box", {0: _OBJECTS}
    )


def _masks(count: int) -> Value:
    about = f"(N, {LOW_RES}, {LOW_RES}) float32, logits of an earlier answer; for nano all 0: none"
    return Value((_noise(count, LOW_RES, LOW_RES) - 0.5) * 8, about, {0: _OBJECTS})
