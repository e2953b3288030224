"""Builds hostile checkpoints, and watches what reading them does.

A small assembler for pickles, the containers they come in, and an audit hook: Python reports every import,
every opened file, every process and socket to it, whoever asks for them.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pathlib
import pickle
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator

import pytest
import torch

from lightsam_plugins.errors import WeightsError
from lightsam_plugins.weights import read_tensors

_watching: list[list[str]] = []
# Looking at values that are in memory already.
_QUIET = ("object.__getattr__", "builtins.id", "sys._getframe")


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    """Note everything that reading a file of tensors has no business to do."""
    if not _watching or event.startswith(_QUIET):
        return
    if event == "open" and str(arguments[0]).endswith("hostile.pt"):
        written = int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR)
        if not written:
            return
    _watching[-1].append(f"{event} {arguments!r:.100}")


sys.addaudithook(_hook)  # stays for the life of the process; it does nothing unless something is watched


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """The audit events of what happens inside, except reading hostile.pt."""
    events: list[str] = []
    _watching.append(events)
    try:
        yield events
    finally:
        _watching.pop()


def refuse(folder: pathlib.Path, content: bytes, error: type[WeightsError], message: str) -> None:
    """Read `content` in the empty `folder`: it has to raise `error` with `message`, and leave no trace."""
    _import_everything()
    path, modules = folder / "hostile.pt", set(sys.modules)
    path.write_bytes(content)
    with contextlib.chdir(folder), pytest.raises(error, match=message) as caught, watched() as events:
        read_tensors(path)

    assert type(caught.value) is error
    assert "hostile.pt" in str(caught.value)
    assert events == []
    assert set(sys.modules) == modules
    assert [found.name for found in folder.iterdir()] == ["hostile.pt"]


@functools.cache
def _import_everything() -> None:
    """Read honest files, so that what reading imports is there before anything is watched."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "honest.pt"
        for wrap in (torch_zip, legacy, zipped):
            path.write_bytes(wrap(HONEST))
            assert torch.equal(read_tensors(path)["w"], torch.tensor([1.0, 2.0]))


def text(value: str) -> bytes:
    """A text."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    """An integer of any size."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def glob(module: str, name: str) -> bytes:
    """A name to be imported."""
    return f"c{module}\n{name}\n".encode()


def tup(*items: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(items) + b"t"


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """A call."""
    return glob(module, name) + tup(*arguments) + b"R"


def entry(name: str, value: bytes) -> bytes:
    """A dict of one entry."""
    return b"}" + text(name) + value + b"s"


def tensor(size: bytes, stride: bytes, offset: bytes = b"K\x00", count: bytes = b"K\x02") -> bytes:
    """A state dict of one tensor on storage 0, which holds two floats."""
    storage = tup(text("storage"), glob("torch", "FloatStorage"), text("0"), text("cpu"), count) + b"Q"
    hooks = call("collections", "OrderedDict")
    view = (storage, offset, size, stride, b"\x89", hooks)
    return entry("w", call("torch._utils", "_rebuild_tensor_v2", *view))


HONEST = tensor(tup(b"K\x02"), tup(b"K\x01"))


def raw(body: bytes) -> bytes:
    """A plain pickle."""
    return b"\x80\x04" + body + b"."


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as file:
        for name, data in entries:
            file.writestr(name, data)
    return buffer.getvalue()


def torch_zip(body: bytes) -> bytes:
    """Torch's format since 1.6."""
    numbers = struct.pack("<2f", 1, 2)
    return archive(("a/data.pkl", raw(body)), ("a/byteorder", b"little"), ("a/data/0", numbers))


def legacy(body: bytes) -> bytes:
    """Torch's format before."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    start = b"".join(pickle.dumps(part, 2) for part in head) + raw(body)
    if b"FloatStorage" not in body:
        return start + pickle.dumps([], 2)
    return start + pickle.dumps(["0"], 2) + struct.pack("<q2f", 2, 1, 2)


def zipped(body: bytes) -> bytes:
    """A zip archive around a checkpoint."""
    return archive(("model.pt", torch_zip(body)), packing=zipfile.ZIP_DEFLATED)


CONTAINERS = {"raw": raw, "torch zip": torch_zip, "legacy": legacy, "zip": zipped}
