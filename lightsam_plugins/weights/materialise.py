"""From references to tensors, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lightsam_plugins.weights.graph import StorageRef, TensorRef, Unsafe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightsam_plugins.weights.streams import Load

SLACK = 64 << 20  # bytes that expanded views may add


def materialise(found: Mapping[str, tuple[TensorRef, bool]], load: Load) -> dict[str, torch.Tensor]:
    """Load the storages that are needed and view them; tensors that share a storage still share it.

    Half-precision tensors of pickled modules become float32, as their authors compute; others stay as is.

    Raises:
        Unsafe: The tensors would take far more memory than the storages they view.
        Damaged: A storage is missing or cut.
    """
    storages = {id(tensor.storage): tensor.storage for tensor, _ in found.values()}
    dense, stored = sum(t.nbytes for t, _ in found.values()), sum(s.nbytes for s in storages.values())
    if dense > SLACK + 4 * stored:
        raise Unsafe(f"{dense} bytes of tensors from {stored} bytes of numbers (a memory bomb)")
    flat: dict[tuple[int, torch.dtype], torch.Tensor] = {}
    result: dict[str, torch.Tensor] = {}
    loaded = {identity: _bytes(storage, load) for identity, storage in storages.items()}
    for name, (ref, is_module) in found.items():
        place = id(ref.storage), ref.dtype
        if place not in flat:
            flat[place] = _typed(loaded[place[0]], ref.dtype)
        tensor = torch.as_strided(flat[place], ref.size, ref.stride, ref.offset)
        result[name] = tensor.float() if is_module and ref.dtype == torch.float16 else tensor
    return result


def _bytes(storage: StorageRef, load: Load) -> torch.Tensor:
    if not storage.count:
        return torch.empty(0, dtype=torch.uint8)
    data = load(storage)
    return torch.frombuffer(bytearray(data) if isinstance(data, bytes) else data, dtype=torch.uint8)


def _typed(data: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The bytes as numbers. A bool other than 0 or 1 is undefined in torch, hence the comparison."""
    whole = data[: data.numel() // dtype.itemsize * dtype.itemsize]
    return whole != 0 if dtype == torch.bool else whole.view(dtype)
