"""An encoder compiled by torch for the device it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lightsam_plugins.engines.graph import EncoderGraph
from lightsam_plugins.errors import EngineError, in_short

if TYPE_CHECKING:
    from lightsam_plugins.model_spec import ModelSpec
    from lightsam_plugins.types import Features


class CompiledEncoder:
    """Images in, features out, as `Network.encode`. The first call of each shape compiles, which takes a minute.

    Args:
        network: The whole network; its weights are read at each call, where they are then.
        spec: Its model card.
        dtype: Precision of the weights.
    """

    def __init__(self, network: torch.nn.Module, spec: ModelSpec, dtype: torch.dtype) -> None:
        self.spec, self.dtype = spec, dtype
        self._graph = EncoderGraph(network).eval()
        self._compiled = torch.compile(self._graph.maps)

    def __call__(self, images: torch.Tensor) -> Features:
        """Encode (B, 3, H, W) normalised images."""
        try:
            maps = self._compiled(images.to(self.dtype))
        except Exception as error:  # the compiler's own classes have moved between versions of torch
            raise EngineError(
                f"torch cannot compile the encoder of {self.spec.name!r} here",
                got=in_short(error),
                hint="It needs a C++ compiler on a CPU, Triton on CUDA. Leave engine out to run without compiling.",
            ) from error
        return self._graph.finish(maps, self.dtype)
