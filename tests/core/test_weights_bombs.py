"""Checkpoints that lie about sizes, or explode when they are unpacked, are refused at little cost."""

from __future__ import annotations

import pathlib
import struct
import time
import tracemalloc
import zipfile

import pytest
from hostile_pickles import (
    CONTAINERS,
    HONEST,
    archive,
    call,
    entry,
    glob,
    integer,
    raw,
    refuse,
    tensor,
    text,
    torch_zip,
    tup,
)

from lightsam_plugins.errors import UnsafeCheckpoint, WeightsError
from lightsam_plugins.weights import limits, read_tensors

# --- numbers that lie -------------------------------------------------------------------------------------
HUGE = integer(2**47)
LIES: dict[str, tuple[bytes, type[WeightsError], str]] = {
    "a view outside": (tensor(tup(b"K\x03"), tup(b"K\x01")), WeightsError, "outside its storage"),
    "an offset outside": (
        tensor(tup(b"K\x02"), tup(b"K\x01"), b"K\x01"),
        WeightsError,
        "outside its storage",
    ),
    "a huge stride": (tensor(tup(b"K\x02"), tup(HUGE)), WeightsError, "outside its storage"),
    "a huge size": (tensor(tup(HUGE), tup(b"K\x01")), WeightsError, "outside its storage"),
    "a negative size": (tensor(tup(integer(-2)), tup(b"K\x01")), WeightsError, "no integer between"),
    "a negative stride": (
        tensor(tup(b"K\x02"), tup(integer(-1)), b"K\x01"),
        WeightsError,
        "no integer between",
    ),
    "a negative offset": (
        tensor(tup(b"K\x01"), tup(b"K\x01"), integer(-1)),
        WeightsError,
        "no integer between",
    ),
    "a size that overflows": (tensor(tup(integer(2**70)), tup(b"K\x00")), WeightsError, "no integer between"),
    "sizes whose product overflows": (
        tensor(tup(*[HUGE] * 4), tup(*[b"K\x00"] * 4)),
        UnsafeCheckpoint,
        "bomb",
    ),
    "a number expanded to terabytes": (tensor(tup(HUGE), tup(b"K\x00")), UnsafeCheckpoint, "memory bomb"),
    "a shape of a thousand dimensions": (
        tensor(tup(*[b"K\x01"] * 1000), tup(*[b"K\x01"] * 1000)),
        WeightsError,
        "up to 32",
    ),
    "more sizes than strides": (tensor(tup(b"K\x01", b"K\x01"), tup(b"K\x01")), WeightsError, "strides"),
    "sizes that are text": (tensor(tup(text("2")), tup(b"K\x01")), WeightsError, "no integer between"),
    "a storage of terabytes": (tensor(tup(HUGE), tup(b"K\x01"), count=HUGE), WeightsError, "storage"),
    "a negative storage": (tensor(tup(b"K\x00"), tup(b"K\x01"), count=integer(-9)), WeightsError, "storage"),
}


@pytest.mark.parametrize("container", ["torch zip", "legacy", "zip"])
@pytest.mark.parametrize("name", LIES)
def test_lies_about_sizes(name: str, container: str, tmp_path: pathlib.Path) -> None:
    """A tensor reaches nowhere but into the numbers that are in the file."""
    body, error, message = LIES[name]

    refuse(tmp_path, CONTAINERS[container](body), error, message)


# --- bombs ------------------------------------------------------------------------------------------------
# Forty levels, each holding the one before it twice: 2 ** 40 items for whoever walks or hashes them.
LAUGHS = b")q\x00" + b"0h\x00h\x00\x86q\x00" * 40
SHARED = (
    b"}" + text("a") + b"N" + b"sq\x00" + (b"}" + text("a") + b"h\x00s" + text("b") + b"h\x00sq\x00") * 40
)
CYCLE = (
    glob("torch.nn.modules.container", "Sequential")
    + b")\x81q\x00"
    + entry("_modules", entry("a", b"h\x00"))
    + b"b"
)
MANY = b"(" + b"K\x00K\x01\x86" * 5_000 + b"lq\x00"
BOMBS: dict[str, tuple[bytes, type[WeightsError], str]] = {
    "a billion laughs": (LAUGHS, WeightsError, "without any named tensor"),
    "laughs as a key": (b"}" + LAUGHS + b"Ns", WeightsError, "key of type tuple"),
    "laughs in a set": (b"\x8f(" + LAUGHS + b"\x90", WeightsError, "without any named tensor"),
    "laughs in a frozenset": (b"(" + LAUGHS + b"\x91", WeightsError, "without any named tensor"),
    "laughing dicts": (SHARED, WeightsError, "nested without end"),
    "a cycle of modules": (entry("model", CYCLE), WeightsError, "nested without end"),
    "a list that holds itself": (b"]q\x00h\x00a", WeightsError, "without any named tensor"),
    "20,000 lists deep": (b"]" * 20_000 + b"a" * 19_999, WeightsError, "without any named tensor"),
    "20,000 tuples deep": (b")" + b"\x85" * 20_000, WeightsError, "without any named tensor"),
    "20,000 marks": (b"(" * 20_000 + b"N", WeightsError, "without any named tensor"),
    "copies of a long list": (
        MANY + (glob("collections", "OrderedDict") + b"h\x00\x85R0") * 250,
        UnsafeCheckpoint,
        "memory bomb",
    ),
    "copies of a long text": (
        text("x" * 400_000)
        + b"q\x00"
        + (glob("_codecs", "encode") + b"h\x00" + text("latin1") + b"\x86R") * 99,
        UnsafeCheckpoint,
        "memory bomb",
    ),
    "a memo index of two billion": (b"Nr\xff\xff\xff\x7f", WeightsError, "without any named tensor"),
    "bytes of 2 ** 60": (b"\x8e" + struct.pack("<Q", 2**60) + b"x", WeightsError, "makes no sense"),
    "bytes of 2 ** 31": (b"B\xff\xff\xff\x7fx", WeightsError, "makes no sense"),
    "text of 2 ** 62": (b"\x8d" + struct.pack("<Q", 2**62) + b"x", WeightsError, "makes no sense"),
    "a bytearray of 2 ** 50": (b"\x96" + struct.pack("<Q", 2**50) + b"x", WeightsError, "makes no sense"),
    "an integer of 2 ** 31 bytes": (b"\x8b\xff\xff\xff\x7fx", WeightsError, "makes no sense"),
    "an integer of a million digits": (b"I" + b"9" * 900_000 + b"\n", WeightsError, "makes no sense"),
    "integers that collide": (
        b"}(" + b"".join(integer((2**61 - 1) * n) + b"N" for n in range(1, 2000)) + b"u",
        WeightsError,
        "key of type int",
    ),
    "a line without end": (b"c" + b"a" * 2_000_000, WeightsError, "makes no sense"),
    "an empty stack": (b"R", WeightsError, "makes no sense"),
    "an unknown opcode": (b"\xff", WeightsError, "makes no sense"),
    "protocol 9": (b"\x80\x09N", WeightsError, "makes no sense|protocol 9"),
}


@pytest.mark.parametrize("container", ["raw", "torch zip", "legacy"])
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, container: str, tmp_path: pathlib.Path) -> None:
    """Neither memory nor time grows beyond the size of the file."""
    body, error, message = BOMBS[name]
    content = CONTAINERS[container](body)
    tracemalloc.start()
    start = time.process_time()
    try:
        refuse(tmp_path, content, error, message)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 48e6
    assert time.process_time() - start < 15


def test_endless_work(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle of very many opcodes is given up, however little each of them does."""
    monkeypatch.setattr(limits, "MAX_OPCODES", 1000)

    refuse(tmp_path, raw(b"N0" * 600 + b"N"), UnsafeCheckpoint, "more than 1000 steps")


# --- archives -----------------------------------------------------------------------------------------------
def link() -> zipfile.ZipInfo:
    """The directory entry of a symbolic link."""
    info = zipfile.ZipInfo("archive/data/0")
    info.external_attr = 0o120777 << 16
    return info


def overlapping() -> bytes:
    """A zip whose directory lists the same megabyte a hundred times."""
    data = archive(("a/0", b"\0" * 1_000_000))
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    directory = b"".join(data[start:end].replace(b"a/0", b"%03d" % n) for n in range(100))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 100, 100, len(directory), start, 0)
    return data[:start] + directory + tail


def flags(data: bytes, bits: int) -> bytes:
    """The archive with flag bits set in every entry, in both places where they stand."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = changed.find(signature)
        while place >= 0:
            changed[place + offset] |= bits
            place = changed.find(signature, place + 1)
    return bytes(changed)


ZEROS = archive(("model.pt", b"\0" * 200_000_000), packing=zipfile.ZIP_DEFLATED)
ARCHIVES: dict[str, tuple[bytes, type[WeightsError], str]] = {
    "a zip bomb": (ZEROS, UnsafeCheckpoint, "zip bomb"),
    "a zip bomb as a record": (
        archive(
            ("archive/data.pkl", raw(b"}")),
            ("archive/data/0", b"\0" * 200_000_000),
            packing=zipfile.ZIP_DEFLATED,
        ),
        UnsafeCheckpoint,
        "zip bomb",
    ),
    "a zip bomb in a zip": (archive(("m.pt", ZEROS)), UnsafeCheckpoint, "zip bomb"),
    "overlapping entries": (overlapping(), UnsafeCheckpoint, "zip bomb"),
    "zips in zips": (
        archive(("b.zip", archive(("a.pt", torch_zip(b"}"))))),
        UnsafeCheckpoint,
        "zip archive inside",
    ),
    "a path upwards": (archive(("../canary", b"x")), UnsafeCheckpoint, "outside of its zip"),
    "an absolute path": (archive(("/tmp/canary", b"x")), UnsafeCheckpoint, "outside of its zip"),
    "a Windows path": (archive(("..\\canary", b"x")), UnsafeCheckpoint, "outside of its zip"),
    "a drive": (archive(("C:/canary", b"x")), UnsafeCheckpoint, "outside of its zip"),
    "a symbolic link": (archive((link(), b"/etc/passwd")), UnsafeCheckpoint, "symbolic link"),
    "two checkpoints in one": (
        archive(("a/data.pkl", raw(b"}")), ("b/data.pkl", raw(b"}"))),
        UnsafeCheckpoint,
        "several checkpoints",
    ),
    "a TorchScript program": (
        archive(("a/data.pkl", raw(b"}")), ("a/constants.pkl", raw(b")"))),
        UnsafeCheckpoint,
        "TorchScript",
    ),
    "big-endian numbers": (
        archive(("a/data.pkl", raw(b"}")), ("a/byteorder", b"big")),
        WeightsError,
        "big-endian",
    ),
    "an encrypted record": (flags(torch_zip(b"}"), 1), WeightsError, "encrypted"),
    "many files": (archive(("a.pt", b"x"), ("b.pt", b"y")), WeightsError, "2 files"),
    "a record too short": (
        archive(("a/data.pkl", raw(HONEST)), ("a/data/0", b"1234")),
        WeightsError,
        "8 bytes in a record of 4",
    ),
    "a record that is not there": (
        archive(("a/data.pkl", raw(HONEST))),
        WeightsError,
        "without the record",
    ),
    "a record with a wrong checksum": (
        torch_zip(HONEST).replace(struct.pack("<2f", 1, 2), struct.pack("<2f", 1, 3)),
        WeightsError,
        "damaged record",
    ),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name: str, tmp_path: pathlib.Path) -> None:
    """An archive unpacks to nothing but its own checkpoint, in memory, and to no more than it holds."""
    content, error, message = ARCHIVES[name]

    refuse(tmp_path, content, error, message)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_entries(tmp_path: pathlib.Path) -> None:
    """Two records of one name would let two readers see two files."""
    content = archive(
        ("a/data.pkl", raw(b"}")), ("a/data.pkl", raw(call("os", "system", text("touch canary"))))
    )

    refuse(tmp_path, content, UnsafeCheckpoint, "several entries")


def test_no_regular_file(tmp_path: pathlib.Path) -> None:
    """A pipe or a device is not read, as it might never end."""
    with pytest.raises(WeightsError, match="no regular file"):
        read_tensors("/dev/zero")
