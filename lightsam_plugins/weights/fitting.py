"""Puts tensors into a network: all of them, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lightsam_plugins.errors import WeightsMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def load_into(
    network: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    model: str,
    source: str,
    recognise: Callable[[Mapping[str, torch.Tensor]], Sequence[str]] = lambda tensors: (),
) -> None:
    """Make `tensors` the weights of `network`, which stays as it was where they do not fit exactly.

    A tensor that has its memory to itself is taken as it is, not copied: the caller must not change it afterwards.
    Floating-point tensors are cast to the dtype of the parameter. Names under one of the prefixes in the
    network's `unused_keys` (parts of the official file that inference leaves out) are dropped.

    Args:
        network: Its `state_dict()` says what is needed.
        tensors: Flat name -> tensor.
        model: Name of the model, for the message.
        source: File the tensors come from, for the message.
        recognise: Says whose tensors these are; asked only where they do not fit.

    Raises:
        WeightsMismatch: Names are missing or unexpected, or shapes or dtypes differ.
    """
    wanted = network.state_dict()
    found = differences(network, tensors)
    if found:
        owners = " or ".join(repr(name) for name in recognise(tensors))
        advice = f"They are weights of {owners}: load that model" if owners else "Check the model name"
        raise WeightsMismatch(
            f"the weights {source!r} do not belong to the model {model!r}",
            expected=f"{len(wanted)} tensors",
            got="; ".join(found),
            hint=f"{advice}, or leave weights out to have the official file downloaded.",
        )
    taken: set[int] = set()
    for name, target in network.state_dict(keep_vars=True).items():
        target.data = _own(tensors[name].detach(), target.data, taken)


def differences(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """In what `tensors` differ from those that `network` needs, as text; empty where they fit exactly.

    Only names, shapes and dtypes are looked at: either side may be on the meta device.
    """
    unused = tuple(getattr(network, "unused_keys", ()))
    wanted = network.state_dict()
    given = {name: t for name, t in tensors.items() if name in wanted or not name.startswith(unused)}
    problems = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another form": [
            f"{name} {_form(given[name])} instead of {_form(target)}"
            for name, target in wanted.items()
            if name in given and not _fits(given[name], target)
        ],
    }
    return [f"{len(names)} {kind} ({_some(names)})" for kind, names in problems.items() if names]


def _own(tensor: torch.Tensor, target: torch.Tensor, taken: set[int]) -> torch.Tensor:
    """`tensor` in the form of `target`, sharing memory with no other weight; `taken` are those given out already.

    A tensor that does not lie in memory as torch would place it is copied: kernels may then give other bits.
    """
    memory = tensor.untyped_storage()
    same = (tensor.dtype, tensor.stride(), tensor.device) == (target.dtype, target.stride(), target.device)
    if same and memory.nbytes() == tensor.nbytes and memory.data_ptr() not in taken and _aligned(tensor):
        taken.add(memory.data_ptr())
        return tensor
    return torch.empty_like(target).copy_(tensor)


def _aligned(tensor: torch.Tensor) -> bool:
    return tensor.data_ptr() % 64 == 0


def _fits(tensor: torch.Tensor, target: torch.Tensor) -> bool:
    castable = tensor.is_floating_point() and target.is_floating_point()
    return tensor.shape == target.shape and (castable or tensor.dtype == target.dtype)


def _form(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
