"""From references to tensors, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lightsam_plugins.weights.blank import as_tensor
from lightsam_plugins.weights.graph import TensorRef, Unsafe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightsam_plugins.weights.streams import Load

SLACK = 64 << 20  # bytes that expanded views may add
_CHUNK = 1 << 15  # elements converted at once; for more, torch would wait for its other threads


def materialise(found: Mapping[str, tuple[TensorRef, bool]], load: Load) -> dict[str, torch.Tensor]:
    """Load the storages that are needed and view them; tensors that share a storage still share it.

    Half-precision tensors of pickled modules become float32, as their authors compute; others stay as is. Storages are
    loaded one after the other, in the order of the file, and made float32 where they lie.

    Raises:
        Unsafe: The tensors would take far more memory than the storages they view.
        Damaged: A storage is missing or cut.
    """
    storages = {id(tensor.storage): tensor.storage for tensor, _ in found.values()}
    dense, stored = sum(t.nbytes for t, _ in found.values()), sum(s.nbytes for s in storages.values())
    if dense > SLACK + 4 * stored:
        raise Unsafe(f"{dense} bytes of tensors from {stored} bytes of numbers (a memory bomb)")
    names: dict[int, list[str]] = {}
    for name, (tensor, _) in found.items():
        names.setdefault(id(tensor.storage), []).append(name)
    result: dict[str, torch.Tensor] = {}
    scratch = torch.empty(_CHUNK, dtype=torch.float16)
    for identity, storage in sorted(storages.items(), key=lambda item: item[1].place):
        views = {name: found[name] for name in names[identity]}
        wide = all(is_module and ref.dtype == torch.float16 for ref, is_module in views.values())
        data = as_tensor(load(storage, 2 if wide else 1) if storage.count else b"")
        result |= _viewed(views, _widened(data, scratch) if wide else data, wide=wide)
    return {name: result[name] for name in found}


def _viewed(
    found: Mapping[str, tuple[TensorRef, bool]], data: torch.Tensor, *, wide: bool
) -> dict[str, torch.Tensor]:
    """The tensors of one storage, whose halves are float32 already where it is `wide`."""
    flat: dict[torch.dtype, torch.Tensor] = {}
    result: dict[str, torch.Tensor] = {}
    for name, (ref, is_module) in found.items():
        dtype = torch.float32 if wide else ref.dtype
        if dtype not in flat:
            flat[dtype] = _typed(data, dtype)
        tensor = torch.as_strided(flat[dtype], ref.size, ref.stride, ref.offset)
        result[name] = tensor.float() if is_module and dtype == torch.float16 else tensor
    return result


def _widened(data: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    """Halves at the end of twice their memory, made float32 where they lie: a second copy would be the peak.

    A number is written at most as far as the halves that were read already.
    """
    wide, halves = data.view(torch.float32), data.view(torch.float16)[data.numel() // 4 :]
    for start in range(0, len(wide), len(scratch)):
        part = slice(start, start + len(scratch))
        wide[part] = scratch[: len(halves[part])].copy_(halves[part])
    return data


def _typed(data: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The bytes as numbers. A bool other than 0 or 1 is undefined in torch, hence the comparison."""
    whole = data[: data.numel() // dtype.itemsize * dtype.itemsize]
    return whole != 0 if dtype == torch.bool else whole.view(dtype)
