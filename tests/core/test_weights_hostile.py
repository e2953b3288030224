"""Checkpoints that ask for code are refused: nothing is executed, imported, opened or written."""

from __future__ import annotations

import contextlib
import pathlib
import pickle
import struct

import pytest
from hostile_pickles import (
    CONTAINERS,
    HONEST,
    call,
    entry,
    glob,
    legacy,
    raw,
    refuse,
    text,
    torch_zip,
    tup,
    watched,
)

from lightsam_plugins.errors import UnsafeCheckpoint

TOUCH = text("touch canary")
WRITE = text("open('canary', 'w').close()")
CODE: dict[str, tuple[bytes, str]] = {
    "os.system": (call("os", "system", TOUCH), r"os\.system"),
    "posix.system": (call("posix", "system", TOUCH), r"posix\.system"),
    "nt.system": (call("nt", "system", TOUCH), r"nt\.system"),
    "commands.getoutput": (call("commands", "getoutput", TOUCH), "commands"),
    "subprocess.Popen": (call("subprocess", "Popen", TOUCH), r"subprocess\.Popen"),
    "subprocess.check_output": (call("subprocess", "check_output", TOUCH), "check_output"),
    "eval": (call("builtins", "eval", WRITE), r"builtins\.eval"),
    "exec": (call("builtins", "exec", WRITE), r"builtins\.exec"),
    "python 2 eval": (call("__builtin__", "eval", WRITE), r"__builtin__\.eval"),
    "compile": (call("builtins", "compile", WRITE, text("f"), text("exec")), "compile"),
    "__import__": (call("builtins", "__import__", text("os")), "__import__"),
    "open for writing": (call("builtins", "open", text("canary"), text("w")), r"builtins\.open"),
    "io.open": (call("io", "open", text("canary"), text("w")), r"io\.open"),
    "Path.write_text": (call("pathlib", "Path.write_text", text("canary"), text("x")), "write_text"),
    "Path().touch by getattr": (
        call("builtins", "getattr", call("pathlib", "PosixPath", text("canary")), text("touch")) + b")R",
        "touch",
    ),
    "getattr of a module": (
        call("builtins", "getattr", call("builtins", "__import__", text("os")), text("system")),
        "__import__",
    ),
    "getattr of a dunder": (
        call("builtins", "getattr", glob("ultralytics.nn", "Detect"), text("__init__")) + b")R",
        "getattr",
    ),
    "getattr, then a call": (
        call("builtins", "getattr", glob("evil.mod", "Run"), text("go")) + tup(TOUCH) + b"R",
        r"evil\.mod\.Run\.go",
    ),
    "torch.load": (call("torch", "load", text("other.pt")), r"torch\.load"),
    "torch.serialization.load": (
        call("torch.serialization", "load", text("other.pt")),
        r"serialization\.load",
    ),
    "dotted through torch": (call("torch.serialization", "os.system", TOUCH), r"serialization\.os\.system"),
    "dotted through a layer": (
        call("torch.nn.modules.module", "torch.hub.os.system", TOUCH),
        r"hub\.os\.system",
    ),
    "torch.hub.load": (call("torch.hub", "load", text("a/b"), text("c")), r"torch\.hub"),
    "torch.jit.load": (call("torch.jit", "load", text("other.pt")), r"torch\.jit"),
    "cpp_extension": (call("torch.utils.cpp_extension", "load_inline", text("a")), "cpp_extension"),
    "runpy": (call("runpy", "run_path", text("canary.py")), "runpy"),
    "types.CodeType": (call("types", "CodeType", b"K\x00", b"K\x00"), r"types\.CodeType"),
    "types.FunctionType": (call("types", "FunctionType", b"N"), r"types\.FunctionType"),
    "marshal": (call("marshal", "loads", text("x")), "marshal"),
    "functools.partial": (call("functools", "partial", glob("os", "system"), TOUCH), r"functools\.partial"),
    "operator.attrgetter": (call("operator", "attrgetter", text("system")), r"operator\.attrgetter"),
    "operator.methodcaller": (call("operator", "methodcaller", text("touch")), "methodcaller"),
    "map": (call("builtins", "map", glob("os", "system"), b"]"), r"builtins\.map"),
    "numpy.load": (call("numpy", "load", text("other.npy"), b"N", b"\x88"), r"numpy\.load"),
    "numpy._reconstruct": (
        call("numpy.core.multiarray", "_reconstruct", glob("evil", "Array"), tup(b"K\x00"), text("b")),
        "array of a class of its own",
    ),
    "numpy runstring": (call("numpy.testing._private.utils", "runstring", WRITE, b"}"), "runstring"),
    "importlib": (call("importlib", "import_module", text("os")), "importlib"),
    "ctypes": (call("ctypes", "CDLL", text("libc.so.6")), r"ctypes\.CDLL"),
    "nested pickle": (call("pickle", "loads", text("x")), r"pickle\.loads"),
    "nested _pickle": (call("_pickle", "loads", text("x")), r"_pickle\.loads"),
    "webbrowser": (call("webbrowser", "open", text("http://127.0.0.1:1/")), "webbrowser"),
    "socket": (call("socket", "create_connection", tup(text("127.0.0.1"), b"K\x01")), "socket"),
    "urlopen": (call("urllib.request", "urlopen", text("http://127.0.0.1:1/")), "urlopen"),
    "shutil.rmtree": (call("shutil", "rmtree", text(".")), "rmtree"),
    "logging.FileHandler": (call("logging", "FileHandler", text("canary")), "FileHandler"),
    "sqlite3": (call("sqlite3", "connect", text("canary")), "sqlite3"),
    "pty": (call("pty", "spawn", TOUCH), "pty"),
    "timeit": (call("timeit", "timeit", WRITE), "timeit"),
    "code": (call("code", "InteractiveInterpreter"), r"code\."),
    "pip": (call("pip", "main", b"]"), r"pip\.main"),
    "copyreg": (call("copyreg", "add_extension", text("os"), text("system"), b"K\x01"), "add_extension"),
    "an unknown function": (call("evil.mod", "run", TOUCH), r"evil\.mod\.run"),
    "an unknown function without arguments": (glob("evil.mod", "run") + b")R", r"evil\.mod\.run"),
    "a layer, called": (call("torch.nn.modules.linear", "Linear", b"K\x01", b"K\x01"), "Linear"),
    "a global alone": (entry("w", glob("os", "system")), r"os\.system"),
    "STACK_GLOBAL": (text("os") + text("system") + b"\x93" + tup(TOUCH) + b"R", r"os\.system"),
    "STACK_GLOBAL of no text": (b"K\x01" + text("system") + b"\x93", "no text"),
    "INST": (b"(" + TOUCH + b"ios\nsystem\n", r"os\.system"),
    "INST of an unknown class": (b"(" + TOUCH + b"ievil.mod\nRun\n", r"evil\.mod\.Run"),
    "OBJ": (b"(" + glob("subprocess", "Popen") + TOUCH + b"o", "subprocess"),
    "OBJ of an unknown class": (b"(" + glob("evil.mod", "Run") + TOUCH + b"o", r"evil\.mod\.Run"),
    "NEWOBJ": (glob("subprocess", "Popen") + tup(TOUCH) + b"\x81", "subprocess"),
    "NEWOBJ of an unknown class": (glob("evil.mod", "Run") + tup(TOUCH) + b"\x81", r"evil\.mod\.Run"),
    "NEWOBJ of an allowed function": (glob("builtins", "getattr") + b")\x81", r"builtins\.getattr"),
    "NEWOBJ_EX": (glob("evil.mod", "Run") + b")" + entry("a", TOUCH) + b"\x92", r"evil\.mod\.Run"),
    "EXT1": (b"\x82\x01", "EXT1"),
    "EXT2": (b"\x83\x01\x00", "EXT2"),
    "EXT4": (b"\x84\x01\x00\x00\x00", "EXT4"),
    "PERSID": (b"Pcanary\n", "PERSID"),
    "an out-of-band buffer": (b"\x97", "NEXT_BUFFER"),
    "a persistent id of another kind": (tup(text("file"), text("canary")) + b"Q", "persistent id"),
    "a persistent id that is text": (text("canary") + b"Q", "persistent id"),
    "a storage of another folder": (
        tup(text("storage"), glob("torch", "FloatStorage"), text("../x"), text("cpu"), b"K\x01") + b"Q",
        "key",
    ),
    "a storage of another type": (
        tup(text("storage"), glob("os", "system"), text("0"), text("cpu"), b"K\x01") + b"Q",
        r"os\.system",
    ),
    "BUILD of __setstate__": (
        glob("evil.mod", "Run") + b")\x81" + entry("__setstate__", glob("builtins", "getattr")) + b"b",
        "__setstate__",
    ),
    "BUILD of __class__": (glob("evil.mod", "Run") + b")\x81" + entry("__class__", b"N") + b"b", "__class__"),
    "BUILD of __dict__ in slots": (
        glob("evil.mod", "Run") + b")\x81N" + entry("__dict__", b"}") + b"\x86b",
        "__dict__",
    ),
    "BUILD of a class": (glob("evil.mod", "Run") + entry("a", b"N") + b"b", r"evil\.mod\.Run"),
    "BUILD of a function": (glob("builtins", "getattr") + entry("a", b"N") + b"b", "getattr"),
    "a reconstructor of another base": (
        call("copyreg", "_reconstructor", glob("evil", "A"), glob("collections", "OrderedDict"), b"N"),
        "built from another",
    ),
    "a tensor rebuilt by a foreign function": (
        call("torch._tensor", "_rebuild_from_type_v2", glob("evil", "f"), glob("evil", "A"), b")", b"}"),
        "function of its own",
    ),
    "another codec": (call("_codecs", "encode", text("x"), text("unicode_escape")), "codec"),
    "bytes decoded by _codecs": (call("_codecs", "decode", text("x"), text("zip")), r"_codecs\.decode"),
}


def test_the_canary_sings(tmp_path: pathlib.Path) -> None:
    """Python's own unpickler falls for such a file, and the watch notices: the other tests can fail."""
    with contextlib.chdir(tmp_path), watched() as events:
        pickle.loads(raw(call("builtins", "exec", WRITE)))

    assert (tmp_path / "canary").exists()
    assert {event.split()[0] for event in events} >= {"pickle.find_class", "exec", "open"}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", CODE)
def test_code_is_refused(name: str, container: str, tmp_path: pathlib.Path) -> None:
    """A pickle that asks for code is refused in every container, and what it asks for is named."""
    body, message = CODE[name]

    refuse(tmp_path, CONTAINERS[container](body), UnsafeCheckpoint, message)


@pytest.mark.parametrize("container", ["torch zip", "legacy"])
def test_code_beside_tensors_is_refused(container: str, tmp_path: pathlib.Path) -> None:
    """A good state dict does not buy its neighbour a call."""
    body = b"}" + text("model") + HONEST + b"s" + text("args") + call("os", "system", TOUCH) + b"s"

    refuse(tmp_path, CONTAINERS[container](body), UnsafeCheckpoint, r"os\.system")


def test_code_in_every_part_of_a_legacy_file(tmp_path: pathlib.Path) -> None:
    """The magic number, the header and the list of storages are pickles too, and read as carefully."""
    evil = raw(call("os", "system", TOUCH))
    parts = [pickle.dumps(p, 2) for p in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, [])]

    for place in range(5):
        refuse(
            tmp_path, b"".join([*parts[:place], evil, *parts[place + 1 :]]), UnsafeCheckpoint, r"os\.system"
        )


def test_code_inside_inline_storages(tmp_path: pathlib.Path) -> None:
    """A plain pickle holds storages as files in the file: read as carefully, and they nest no further."""

    def inline(data: bytes) -> bytes:
        return call("torch.storage", "_load_from_bytes", b"B" + struct.pack("<I", len(data)) + data)

    refuse(tmp_path, raw(inline(legacy(call("os", "system", TOUCH)))), UnsafeCheckpoint, r"os\.system")
    refuse(tmp_path, raw(inline(legacy(inline(legacy(b"}"))))), UnsafeCheckpoint, "_load_from_bytes")
    refuse(tmp_path, raw(inline(raw(b"}"))), UnsafeCheckpoint, "file inside the file")
    refuse(tmp_path, torch_zip(inline(legacy(b"}"))), UnsafeCheckpoint, "_load_from_bytes")
