"""The part of an encoder that is one fixed graph, as torch exports it for other programs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from lightsam_plugins.errors import EngineError, in_short
from lightsam_plugins.types import LETTERBOX_STEP, Finisher

if TYPE_CHECKING:
    from lightsam_plugins.model_spec import ModelSpec
    from lightsam_plugins.types import Features, Network


class EncoderGraph(nn.Module):
    """An encoder up to where its work depends on what is in the image: images in, maps out in the order of `names`.

    Args:
        network: The whole network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def maps(self, images: torch.Tensor) -> Features:
        """Named maps of (B, 3, H, W) normalised images."""
        if isinstance(self.network, Finisher):
            return self.network.maps(images)
        return cast("Network", self.network).encode(images)

    def finish(self, maps: Features, dtype: torch.dtype) -> Features:
        """The features of the embedding, from those maps; in `dtype` where the network does not say otherwise."""
        if isinstance(self.network, Finisher):
            return self.network.finish(maps)
        return {name: values.to(dtype) for name, values in maps.items()}

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The maps alone, as a graph has them."""
        return tuple(self.maps(images).values())


def sample_images(spec: ModelSpec) -> torch.Tensor:
    """Noise in the form of the encoder's input, always the same: (1, 3, H, W), a letterbox where it takes these."""
    side = spec.encoder_side
    height = side - 3 * LETTERBOX_STEP if spec.fit == "letterbox" else side
    return torch.randn((1, 3, height, side), generator=torch.Generator().manual_seed(0))


def export_graph(
    module: nn.Module,
    inputs: tuple[torch.Tensor, ...],
    dynamic: tuple[dict[int, Any] | None, ...],
    what: str,
) -> torch.export.ExportedProgram:
    """Write down what `module` does with inputs of these shapes.

    Args:
        module: In eval mode.
        inputs: Examples.
        dynamic: Of each input the axes that may have another length.
        what: Its name, for the error.

    Raises:
        EngineError: Torch cannot export it.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's exporter warns of its own parts
            return torch.export.export(module, inputs, dynamic_shapes=dynamic)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        raise EngineError(
            f"{what} cannot be exported from torch",
            got=in_short(error),
            hint="Leave engine out, or use a newer torch.",
        ) from error


def encoder_axes(spec: ModelSpec) -> dict[int, Any]:
    """The axes of its input that may have another length than in `sample_images`."""
    if spec.fit != "letterbox":
        return {}
    most = spec.encoder_side // LETTERBOX_STEP
    return {
        axis: LETTERBOX_STEP * torch.export.Dim(name, min=1, max=most)
        for axis, name in ((2, "rows"), (3, "columns"))
    }


def export_encoder(graph: EncoderGraph, spec: ModelSpec) -> torch.export.ExportedProgram:
    """One image at a time, of fixed size but for a letterbox, whose sides are multiples of 32.

    Raises:
        EngineError: Torch cannot export it.
    """
    return export_graph(
        graph, (sample_images(spec),), (encoder_axes(spec) or None,), f"the encoder of {spec.name!r}"
    )
