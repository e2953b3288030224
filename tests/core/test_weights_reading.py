"""Honest checkpoints in every container give back exactly their tensors."""

from __future__ import annotations

import collections
import io
import pathlib
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lightsam_plugins.errors import UnsafeCheckpoint, WeightsError
from lightsam_plugins.weights import read_tensors


def example() -> dict[str, torch.Tensor]:
    """Tensors of every kind a checkpoint holds."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return collections.OrderedDict(
        float=torch.randn(3, 4),
        half=torch.randn(5).half(),
        bfloat=torch.randn(2, 2).bfloat16(),
        double=torch.randn(2, dtype=torch.float64),
        long=torch.tensor([2**60, -1]),
        small=torch.tensor([3, -4], dtype=torch.int8),
        flags=torch.tensor([True, False, True]),
        scalar=torch.tensor(7),
        empty=torch.empty(0, 3),
        shared=base,
        part=base[1:3, 2:],
        transposed=base.t(),
        parameter=torch.nn.Parameter(torch.randn(2, 3)),
        name_with=torch.randn(1),
    )


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    """Whether names, dtypes, shapes and values all agree."""
    return found.keys() == expected.keys() and all(
        found[k].dtype == t.dtype and found[k].shape == t.shape and torch.equal(found[k], t.detach())
        for k, t in expected.items()
    )


def zipped(tensors: object, path: pathlib.Path) -> None:
    """Torch's format since 1.6."""
    torch.save(tensors, path)


def legacy(tensors: object, path: pathlib.Path) -> None:
    """Torch's format before."""
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def plain(tensors: object, path: pathlib.Path) -> None:
    """A plain pickle."""
    path.write_bytes(pickle.dumps(tensors, protocol=2))


def plain0(tensors: object, path: pathlib.Path) -> None:
    """A plain pickle of the oldest protocol."""
    path.write_bytes(pickle.dumps(tensors, protocol=0))


def plain5(tensors: object, path: pathlib.Path) -> None:
    """A plain pickle of the newest protocol."""
    path.write_bytes(pickle.dumps(tensors, protocol=5))


def nested_zip(tensors: object, path: pathlib.Path) -> None:
    """A zip archive around a checkpoint, as macOS packs it."""
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("weights")
        archive.writestr("weights/efficient_sam_vits.pt", buffer.getvalue())
        archive.writestr("__MACOSX/weights/._efficient_sam_vits.pt", b"finder")


CONTAINERS = [zipped, legacy, plain, plain0, plain5, nested_zip]


@pytest.mark.parametrize("save", CONTAINERS)
def test_round_trip(save, tmp_path: pathlib.Path) -> None:
    """Every container gives back the names, dtypes, shapes and values that went in."""
    torch.manual_seed(0)
    tensors = example()
    save(tensors, tmp_path / "w.pt")

    assert same(read_tensors(tmp_path / "w.pt"), tensors)


def test_round_trip_safetensors(tmp_path: pathlib.Path) -> None:
    """A safetensors file is recognised by its content, whatever it is called."""
    torch.manual_seed(0)
    tensors = {name: t.detach().clone().contiguous() for name, t in example().items()}
    save_file(tensors, tmp_path / "w.bin")

    assert same(read_tensors(tmp_path / "w.bin"), tensors)


@pytest.mark.parametrize("save", [zipped, legacy])
def test_shared_storage_stays_shared(save, tmp_path: pathlib.Path) -> None:
    """Views of one storage are views of one storage again, so that a file takes its memory once."""
    save(example(), tmp_path / "w.pt")

    tensors = read_tensors(tmp_path / "w.pt")

    assert tensors["shared"].untyped_storage().data_ptr() == tensors["part"].untyped_storage().data_ptr()
    assert tensors["transposed"].stride() == (1, 6)


@pytest.mark.parametrize("save", CONTAINERS)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda sd: {"model": sd},
        lambda sd: {"epoch": 3, "state_dict": sd, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}},
        lambda sd: {"model": {"w": torch.zeros(1)}, "ema": sd, "path": pathlib.PurePosixPath("a/b")},
        lambda sd: {"ema": None, "model": {"state_dict": sd}, "best": np.float64(0.5), "curve": np.ones(3)},
    ],
)
def test_wrappers_are_taken_off(wrap, save, tmp_path: pathlib.Path) -> None:
    """What training scripts put around the weights goes, and an average (ema) is preferred."""
    tensors = example()
    save(wrap(tensors), tmp_path / "w.pt")

    assert same(read_tensors(tmp_path / "w.pt"), tensors)


def test_nested_dicts_are_joined(tmp_path: pathlib.Path) -> None:
    """The two parts of MobileSAMv2's decoder file keep their names in front."""
    one, two = {"a.weight": torch.ones(2)}, {"a.weight": torch.zeros(2), "n": torch.tensor(1)}
    zipped({"PromtEncoder": one, "MaskDecoder": two}, tmp_path / "w.pt")

    tensors = read_tensors(tmp_path / "w.pt")

    assert list(tensors) == ["PromtEncoder.a.weight", "MaskDecoder.a.weight", "MaskDecoder.n"]
    assert torch.equal(tensors["MaskDecoder.a.weight"], torch.zeros(2))


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch):
    """A network of a package that exists while it is saved, and a function that makes the package vanish."""
    names = ("ultralytics", "ultralytics.nn", "ultralytics.nn.tasks", "ultralytics.utils")
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 2, 1)
            self.register_buffer("anchors", torch.zeros(4), persistent=False)
            self.register_buffer("stride", torch.tensor([8.0, 16.0]))
            self.register_parameter("bias", None)
            self.skip = {"a", "b"}
            self.act = torch.nn.functional.silu

    class Segment(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch.nn.Sequential(
                torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.SiLU(), Head()
            )
            self.detect = Head.forward  # a function of a class: written as a call of getattr
            self.args = IterableSimpleNamespace(imgsz=640)
            self.tied = self.model[3]

    class IterableSimpleNamespace(types.SimpleNamespace):
        pass

    for module, group in (
        ("ultralytics.nn.tasks", (Head, Segment)),
        ("ultralytics.utils", (IterableSimpleNamespace,)),
    ):
        for cls in group:
            cls.__module__, cls.__qualname__ = module, cls.__name__
            setattr(sys.modules[module], cls.__name__, cls)
    Head.forward = torch.nn.Module.forward  # type: ignore[method-assign]
    torch.manual_seed(0)

    def vanish() -> None:
        for name in names:
            monkeypatch.delitem(sys.modules, name)

    return Segment().eval(), vanish


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("save", CONTAINERS)
@pytest.mark.parametrize("half", [True, False])
def test_pickled_module_of_a_missing_package(save, half, foreign, tmp_path: pathlib.Path) -> None:
    """A pickled network gives its state dict, in float32, though its classes are nowhere to be found."""
    network, vanish = foreign
    network = network.half() if half else network
    expected = {k: t.float() if t.is_floating_point() else t for k, t in network.state_dict().items()}
    save({"epoch": -1, "model": network, "ema": None, "date": "2024"}, tmp_path / "w.pt")
    vanish()

    tensors = read_tensors(tmp_path / "w.pt")

    assert list(tensors)[:2] == ["model.0.weight", "model.0.bias"]
    assert same(tensors, expected)
    assert "ultralytics" not in sys.modules


def test_extra_attributes_of_tensors(tmp_path: pathlib.Path) -> None:
    """Parameters and tensors with attributes set by hand are read like others."""
    parameter, tensor = torch.nn.Parameter(torch.ones(2)), torch.zeros(3)
    parameter.tag, tensor.tag = "x", "y"  # type: ignore[attr-defined]
    torch.save({"p": parameter, "t": tensor}, tmp_path / "w.pt")

    assert same(read_tensors(tmp_path / "w.pt"), {"p": parameter, "t": tensor})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS pointer"),
        (b"\x1f\x8b\x08\x00rest", "gzip"),
        (b"\x00" * 100, "makes no sense"),
        (b"PK\x03\x04" + b"\x00" * 60, "zip archive that cannot be opened"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{" + b"x" * 40, "safetensors file that cannot be read"),
        (pickle.dumps({"epoch": 3}), "without any named tensor"),
        (pickle.dumps(3), "without any named tensor"),
        (pickle.dumps(torch.ones(2)), "without any named tensor"),
    ],
)
def test_what_is_no_checkpoint(content: bytes, message: str, tmp_path: pathlib.Path) -> None:
    """A file of another kind is refused, and named with what it is."""
    (tmp_path / "weights.pt").write_bytes(content)

    with pytest.raises(WeightsError, match=rf"weights\.pt.*{message}") as caught:
        read_tensors(tmp_path / "weights.pt")

    assert not isinstance(caught.value, UnsafeCheckpoint)


def test_missing_file_and_folder(tmp_path: pathlib.Path) -> None:
    """A path that is no file is refused with the reason of the system."""
    with pytest.raises(WeightsError, match=r"missing\.pt.*No such file"):
        read_tensors(tmp_path / "missing.pt")
    with pytest.raises(WeightsError, match="Is a directory"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("save", CONTAINERS)
def test_cut_files(save, tmp_path: pathlib.Path) -> None:
    """A file cut anywhere is refused as damaged, and never gives wrong numbers."""
    torch.manual_seed(0)
    tensors = {"a": torch.randn(40), "b": torch.randn(3, 3)}
    save(tensors, tmp_path / "w.pt")
    data = (tmp_path / "w.pt").read_bytes()

    for length in {*range(1, len(data), 37), len(data) - 1}:
        (tmp_path / "cut.pt").write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"cut\.pt"):
            read_tensors(tmp_path / "cut.pt")


@pytest.mark.parametrize("save", CONTAINERS)
def test_flipped_bytes(save, tmp_path: pathlib.Path) -> None:
    """Whatever is changed in a file, the answer is tensors or one of our errors, at once."""
    save({"a": torch.ones(4), "b": torch.nn.Parameter(torch.ones(2).half())}, tmp_path / "w.pt")
    data = (tmp_path / "w.pt").read_bytes()
    random = np.random.default_rng(0)

    outcomes = set()
    for _ in range(100):
        changed = bytearray(data)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            changed[place] = random.integers(256)
        (tmp_path / "changed.pt").write_bytes(changed)
        try:
            outcomes.add(type(read_tensors(tmp_path / "changed.pt")))
        except WeightsError as error:
            outcomes.add(type(error))

    assert outcomes >= {dict, WeightsError}
