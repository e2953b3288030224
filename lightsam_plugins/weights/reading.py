"""Reads the tensors of a checkpoint file, whatever its container, without running anything in it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightsam_plugins.errors import UnsafeCheckpoint, WeightsError
from lightsam_plugins.weights.blank import as_tensor, memory
from lightsam_plugins.weights.collect import collect
from lightsam_plugins.weights.graph import Damaged, Unsafe
from lightsam_plugins.weights.materialise import materialise
from lightsam_plugins.weights.streams import Load, read_stream
from lightsam_plugins.weights.zips import Archive, read_torch

if TYPE_CHECKING:
    import io

    import torch

_ZIP = b"PK\x03\x04"
_MISTAKEN = {
    b"<": "a web page, so the download was redirected or refused",
    b"version https://git-lfs": "a Git LFS pointer, so the repository was cloned without its large files",
    b"\x1f\x8b": "a gzip file: unpack it first",
    b"PK\x05\x06": "an empty zip archive",
    b"\x89HDF": "an HDF5 file, which no model of the family uses",
}


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint; nothing in the file is imported, called, written or executed.

    Containers: safetensors; torch's zip and legacy formats; a plain pickle; a zip archive around one of them.
    What they hold may be a state dict, a dict around it (``{"model": ...}``, see `collect`), nested dicts
    (joined with dots) or a pickled `torch.nn.Module` of a package that need not be installed.

    Returns:
        Flat name -> tensor, on the CPU, in the dtype of the file (float32 for the halves of pickled modules).
        Tensors that share a storage in the file share it here.

    Raises:
        UnsafeCheckpoint: It asks for more than tensors: code, files, or far more memory than it has bytes.
        WeightsError: It is missing, empty, cut, damaged, or not a checkpoint.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Damaged("no regular file")
            if not status.st_size:
                raise Damaged("an empty file")
            tensors = _read(file, status.st_size, path)
        if not tensors:
            raise Damaged("a file without any named tensor")
        return tensors
    except OSError as error:
        raise WeightsError(
            f"cannot read the weights {str(path)!r}",
            got=f"{type(error).__name__}: {error.strerror or error}",
            hint="Check the path, or leave weights out to have the official file downloaded.",
        ) from error
    except Unsafe as error:
        raise UnsafeCheckpoint(
            f"the weights {str(path)!r} ask for more than tensors",
            expected="a checkpoint of tensors",
            got=str(error),
            hint="Nothing was executed. Use the official file, or have its author save it as safetensors.",
        ) from error
    except Damaged as error:
        raise WeightsError(
            f"cannot read the weights {str(path)!r}",
            expected="a checkpoint (safetensors, torch, pickle, or a zip around one)",
            got=str(error),
            hint="Download the file again.",
        ) from error


def _read(file: io.BufferedIOBase, size: int, path: Path | None) -> dict[str, torch.Tensor]:
    """Read one file; `path` is None for a file inside a zip archive, which may hold no further archive."""
    head = file.read(64)
    file.seek(0)
    for start, meaning in _MISTAKEN.items():
        if head.lstrip().startswith(start):
            raise Damaged(meaning)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return _read_safetensors(file, path)
    if not head.startswith(_ZIP):
        return _tensors(*read_stream(file, size))
    archive = Archive(file, size)
    root = archive.torch_root()
    if root is not None:
        return _tensors(*read_torch(archive, root))
    if path is None:
        raise Unsafe("a zip archive inside a zip archive")
    return _read(*archive.only_file(), None)


def _tensors(values: Any, load: Load) -> dict[str, torch.Tensor]:
    return materialise(collect(values), load)


def _read_safetensors(file: io.BufferedIOBase, path: Path | None) -> dict[str, torch.Tensor]:
    """The format is tensors by design; its library checks every offset against the length of the file.

    The library would map the file into memory, where it must not change as long as the model lives. So each tensor is
    read into memory of its own, after the library has checked the header and given dtypes and shapes.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load

    try:
        if path is None:
            return load(file.read())
        with safe_open(path, framework="pt") as opened:
            views = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
        start = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(start - 8))
        return {
            name: _copied(file, view, start + header[name]["data_offsets"][0]) for name, view in views.items()
        }
    except (SafetensorError, ValueError, KeyError) as error:
        raise Damaged(f"a safetensors file that cannot be read ({error})") from error


def _copied(file: io.BufferedIOBase, view: torch.Tensor, offset: int) -> torch.Tensor:
    """A tensor with the dtype and shape of `view` and the bytes at `offset`."""
    data = memory(view.nbytes)
    file.seek(offset)
    if file.readinto(data) != view.nbytes:
        raise Damaged("a file that ends inside a tensor")
    return as_tensor(data).view(view.dtype).view(view.shape)
