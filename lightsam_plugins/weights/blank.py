"""Networks built to be filled: their weights are neither drawn at random nor touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lightsam_plugins.weights.graph import Buffer


class Uninitialised(TorchFunctionMode):
    """Within it, layers are built without initialising their weights, which only reserves memory for them.

    What a network computes for itself, such as a table of distances, is computed as ever: on the meta device that
    would be lost. The state of the random numbers stays as it is.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Leave out the functions of `torch.nn.init`, and draw no random numbers."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return (torch.empty if func is torch.randn else func)(*args, **kwargs)


def memory(count: int) -> memoryview:
    """Bytes to read a checkpoint into, placed as torch places its tensors: such bytes can be weights as they are."""
    return torch.empty(count, dtype=torch.uint8).numpy().data


def as_tensor(data: Buffer) -> torch.Tensor:
    """Bytes as a tensor of them, without a copy where they can be written to."""
    if not len(data):
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(bytearray(data) if isinstance(data, bytes) else data, dtype=torch.uint8)
