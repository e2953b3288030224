"""Checkpoints that are zip archives: torch's format since 1.6, and an archive around one checkpoint."""

from __future__ import annotations

import io
import stat
import zipfile
from typing import Any

from lightsam_plugins.weights.blank import memory
from lightsam_plugins.weights.graph import Buffer, Damaged, StorageRef, Unsafe
from lightsam_plugins.weights.limits import Bounded, Budget
from lightsam_plugins.weights.machine import Machine
from lightsam_plugins.weights.streams import Load, Storages
from lightsam_plugins.weights.unpacking import BROKEN, CHUNK, Unpacked

MAX_RATIO = 100  # weights hardly compress; zeros do, a thousandfold
SLACK = 64 << 20  # bytes that any archive may unpack to
MAX_PICKLE = 256 << 20


class Archive:
    """A zip archive, read in place: nothing of it is ever written to disk.

    Args:
        stream: The archive.
        size: Its bytes.

    Raises:
        Unsafe: It unpacks to far more than it holds, or has entries that point elsewhere.
        Damaged: It cannot be read.
    """

    def __init__(self, stream: io.BufferedIOBase, size: int) -> None:
        try:
            self.zip = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise Damaged(f"a zip archive that cannot be opened ({error})") from error
        entries = self.zip.infolist()
        self.entries = {entry.filename: entry for entry in entries}
        for entry in entries:
            _check(entry)
        if len(self.entries) != len(entries):
            raise Unsafe("a zip archive with several entries of one name")
        packed, unpacked = sum(e.compress_size for e in entries), sum(e.file_size for e in entries)
        if packed > size or unpacked > SLACK + MAX_RATIO * size:
            raise Unsafe(f"a zip archive of {size} bytes that unpacks to {unpacked} bytes (a zip bomb)")

    def read(self, name: str, times: int = 1) -> memoryview:
        """The bytes of one entry, checked against its length and CRC, at the end of `times` as much memory."""
        entry = self.entries.get(name)
        if entry is None:
            raise Damaged(f"a torch archive without the record {name!r}")
        data = memory(times * entry.file_size)
        position = start = len(data) - entry.file_size
        try:
            with self.zip.open(entry) as file:
                while chunk := file.read(CHUNK):
                    data[position : position + len(chunk)] = chunk
                    position += len(chunk)
        except BROKEN as error:
            raise Damaged(f"a damaged record {name!r} ({error})") from error
        if position != len(data):
            raise Damaged(f"a record {name!r} of {position - start} instead of {entry.file_size} bytes")
        return data

    def torch_root(self) -> str | None:
        """The folder inside the archive that holds a torch checkpoint; None where there is none."""
        roots = [name.split("/")[0] for name in self.entries if name.split("/")[1:] == ["data.pkl"]]
        if len(roots) > 1:
            raise Unsafe("a zip archive with several checkpoints in one")
        return roots[0] if roots else None

    def only_file(self) -> tuple[io.BufferedIOBase, int]:
        """The one file of an archive around a checkpoint, leaving what macOS adds, and its bytes."""
        extra = ("/", ".DS_Store")
        names = [n for n in self.entries if not n.endswith(extra) and not n.startswith("__MACOSX/")]
        if len(names) != 1:
            raise Damaged(f"a zip archive of {len(names)} files, not of one checkpoint")
        entry = self.entries[names[0]]
        try:
            return io.BufferedReader(
                Unpacked(lambda: self.zip.open(entry), entry.file_size), 1 << 16
            ), entry.file_size
        except BROKEN as error:
            raise Damaged(f"a damaged record {names[0]!r} ({error})") from error


def _check(entry: zipfile.ZipInfo) -> None:
    """Refuse an entry that honest archives do not have, though none is ever unpacked to a path."""
    parts = entry.filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise Unsafe(f"the path {entry.filename[:200]!r} outside of its zip archive")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Unsafe(f"a symbolic link, {entry.filename[:200]!r}, in its zip archive")
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Damaged(f"the record {entry.filename[:200]!r}, encrypted or packed in an unknown way")


def read_torch(archive: Archive, root: str) -> tuple[Any, Load]:
    """Read a torch checkpoint of the zip format.

    Returns:
        The values, and a function that loads the bytes of a storage among them.

    Raises:
        Unsafe: It asks for more than tensors.
        Damaged: A record is missing, cut, or shorter than the storage it is for.
    """
    if f"{root}/constants.pkl" in archive.entries:
        raise Unsafe("a TorchScript program")
    if f"{root}/byteorder" in archive.entries and bytes(archive.read(f"{root}/byteorder")) != b"little":
        raise Damaged("numbers in big-endian order")
    if archive.entries[f"{root}/data.pkl"].file_size > MAX_PICKLE:
        raise Unsafe(f"a description of its tensors of more than {MAX_PICKLE} bytes")
    pickled = archive.read(f"{root}/data.pkl")
    storages = Storages()
    machine = Machine(storages, Budget.of(len(pickled)))
    values = machine.run(Bounded(io.BytesIO(pickled), len(pickled)))
    for key, storage in storages.known.items():
        entry = archive.entries.get(f"{root}/data/{key}")
        storage.place = entry.header_offset if entry else 0

    def load(storage: StorageRef, times: int) -> Buffer:
        entry = archive.entries.get(f"{root}/data/{storage.key}")
        if entry is not None and entry.file_size != storage.nbytes:
            raise Damaged(f"storage {storage.key} of {storage.nbytes} bytes in a record of {entry.file_size}")
        return archive.read(f"{root}/data/{storage.key}", times)

    return values, load
