"""Pickled checkpoints that are one stream: torch's legacy format, and a plain pickle of tensors."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

from lightsam_plugins.weights.allowed import resolve
from lightsam_plugins.weights.answers import Call
from lightsam_plugins.weights.blank import memory
from lightsam_plugins.weights.graph import Buffer, Damaged, Name, StorageRef, StorageType, Unsafe, count
from lightsam_plugins.weights.limits import Bounded, Budget
from lightsam_plugins.weights.machine import Machine

MAGIC = 0x1950A86A20F9469CFC6C  # torch's legacy format starts with this number, pickled
PROTOCOL = 1001
# Gives the bytes of a storage, at the end of so many times their memory.
Load = Callable[[StorageRef, int], Buffer]


class Storages:
    """Answers torch's persistent ids, and remembers each storage that was mentioned."""

    def __init__(self) -> None:
        self.known: dict[str, StorageRef] = {}

    def __call__(self, identity: Any) -> StorageRef | Name:
        """The storage, or the class, that a persistent id stands for.

        Raises:
            Unsafe: It stands for something else.
            Damaged: It contradicts itself.
        """
        kind, *rest = identity if isinstance(identity, tuple) and identity else (None,)
        if kind == "module" and rest and isinstance(rest[0], Name):
            return rest[0]  # legacy: a layer's class with the text of its source, which is ignored
        if kind != "storage" or len(rest) not in (4, 5) or not isinstance(rest[0], StorageType):
            raise Unsafe("a persistent id that is no tensor storage")
        storage_type, key, _, number = rest[:4]
        if len(rest) == 5 and rest[4] is not None:
            raise Damaged("a storage that is a view of another one, as only torch 0.3 wrote")
        if not isinstance(key, str) or not key.isalnum() or not key.isascii() or len(key) > 64:
            raise Unsafe("a storage whose key is no plain number")
        new = StorageRef(key, storage_type.dtype, count(number, "storage size"))
        known = self.known.setdefault(key, new)
        if (known.dtype, known.count) != (new.dtype, new.count):
            raise Damaged(f"storage {key}, described in two ways")
        return known


def read_stream(stream: io.BufferedIOBase, size: int, budget: Budget | None = None) -> tuple[Any, Load]:
    """Read a legacy or plain pickle.

    Args:
        stream: Positioned at the start.
        size: Bytes in it.
        budget: Set for a stream that lies inside another one.

    Returns:
        The values, and a function that loads the bytes of a storage among them.

    Raises:
        Unsafe: It asks for more than tensors.
        Damaged: It is cut or makes no sense.
    """
    bounded, nested = Bounded(stream, size), budget is not None
    budget = budget or Budget.of(size)

    def lookup(module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes") and not nested:
            return Call("torch.storage._load_from_bytes", lambda arguments: _inline(arguments, budget))
        return resolve(module, name)

    storages = Storages()
    first = Machine(storages, budget, lookup).run(bounded)
    if first != MAGIC:
        return first, _inline_data
    header = [Machine(storages, budget).run(bounded) for _ in range(2)]
    if header[0] != PROTOCOL or not isinstance(header[1], dict) or header[1].get("little_endian") is not True:
        raise Damaged("a legacy torch file of an unknown version or byte order")
    values = Machine(storages, budget).run(bounded)
    keys = Machine(storages, budget).run(bounded)
    places = _places(bounded, keys, storages)
    return values, lambda storage, times: _bytes_at(bounded, places, storage, times)


def _places(bounded: Bounded, keys: Any, storages: Storages) -> dict[str, int]:
    """Where the bytes of each storage start in a legacy file: they follow in the order of `keys`."""
    places: dict[str, int] = {}
    if not isinstance(keys, list):
        raise Damaged("a legacy torch file without a list of storages")
    for key in keys:
        storage = storages.known.get(key) if isinstance(key, str) else None
        header = bounded.read(8)
        if storage is None or len(header) < 8 or struct.unpack("<q", header)[0] != storage.count:
            raise Damaged("a legacy torch file whose storages are not those it announced")
        if storage.nbytes > bounded.left:
            cut = storage.nbytes - bounded.left
            raise Damaged(f"a file that ends {cut} bytes too early, in storage {key}")
        places[key] = storage.place = bounded.stream.tell()
        bounded.stream.seek(storage.nbytes, io.SEEK_CUR)
    return places


def _bytes_at(bounded: Bounded, places: dict[str, int], storage: StorageRef, times: int) -> Buffer:
    if storage.key not in places:
        raise Damaged(f"a legacy torch file without the bytes of storage {storage.key}")
    bounded.stream.seek(places[storage.key])
    data = memory(times * storage.nbytes)
    if bounded.stream.readinto(data[len(data) - storage.nbytes :]) != storage.nbytes:
        raise Damaged(f"a file that ends inside storage {storage.key}")
    return data


def _inline(arguments: tuple[Any, ...], budget: Budget) -> StorageRef:
    """A storage inside a plain pickle: the bytes of a whole legacy file, which may nest no further."""
    (data,) = arguments
    if not isinstance(data, (bytes, bytearray)):
        raise Unsafe("a storage that is loaded from something else than bytes")
    storage, load = read_stream(io.BytesIO(data), len(data), budget)
    if not isinstance(storage, StorageRef):
        raise Unsafe("torch.load of a file inside the file")
    storage.data = load(storage, 1)
    return storage


def _inline_data(storage: StorageRef, times: int) -> Buffer:
    if storage.data is None:
        raise Damaged("a plain pickle that refers to storages outside of it")
    if times == 1:
        return storage.data
    data = memory(times * storage.nbytes)
    data[len(data) - storage.nbytes :] = storage.data
    return data
