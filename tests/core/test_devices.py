"""Which device and precision is taken, and what is refused."""

import dataclasses

import pytest
import torch

from lightsam_plugins.devices import available_devices, resolve_device, resolve_dtype
from lightsam_plugins.errors import DeviceError, OptionError
from lightsam_plugins.registry import MODELS

SPEC = dataclasses.replace(
    MODELS["mobilesam"], unsafe_dtypes=frozenset({("cpu", "float16"), ("mps", "float16")})
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Pretend that the machine has so many CUDA devices, and MPS or not."""

    def pretend(cuda: int, mps: bool, current: int = 0) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: current)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "best", "there"),
    [
        (2, True, "cuda:0", ["cuda:0", "cuda:1", "mps", "cpu"]),
        (0, True, "mps", ["mps", "cpu"]),
        (0, False, "cpu", ["cpu"]),
    ],
)
def test_auto_is_cuda_then_mps_then_cpu(machine, cuda: int, mps: bool, best: str, there: list[str]) -> None:
    """`auto` takes CUDA before MPS before the CPU."""
    machine(cuda, mps)

    assert available_devices() == there
    assert resolve_device("auto") == resolve_device() == torch.device(best)


def test_names_become_the_device_tensors_report(machine) -> None:
    """A device is named as tensors on it name it: the current CUDA device has its index, the CPU has none."""
    machine(3, True, current=2)

    assert str(resolve_device("cuda")) == "cuda:2"
    assert str(resolve_device("cuda:1")) == "cuda:1"
    assert str(resolve_device(torch.device("cpu", 0))) == "cpu"
    assert str(resolve_device("mps:0")) == "mps"


@pytest.mark.parametrize(
    ("cuda", "device", "message"),
    [
        (2, "cuda:3", r"device 'cuda:3' is not there: expected one of \['auto', 'cuda:0', 'cuda:1', 'cpu'\]"),
        (
            0,
            "cuda",
            r"device 'cuda' is not there: expected one of \['auto', 'cpu'\]. torch sees no CUDA device",
        ),
        (0, "mps", "device 'mps' is not there"),
        (0, "gpu", "device 'gpu' is not there: .*Use device='auto'"),
        (0, "meta", "device 'meta' is not there"),
        (0, "", "device '' is not there"),
    ],
)
def test_a_device_that_is_not_there(machine, cuda: int, device: str, message: str) -> None:
    """A missing device or a wrong name is refused, naming the devices there are."""
    machine(cuda, False)

    with pytest.raises(DeviceError, match=message):
        resolve_device(device)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (None, torch.float32),
        ("float32", torch.float32),
        ("bfloat16", torch.bfloat16),
        (torch.bfloat16, torch.bfloat16),
    ],
)
def test_float32_unless_asked(dtype: str | torch.dtype | None, expected: torch.dtype) -> None:
    """Precision is float32 by default; names and torch dtypes choose another."""
    assert resolve_dtype(dtype, torch.device("cpu"), SPEC) is expected


def test_unsafe_precision_is_refused_where_it_is_unsafe() -> None:
    """float16 is refused on the kinds of device where the model card calls it unsafe, and only there."""
    message = (
        r"mobilesam is known to give wrong masks in float16 on cpu: expected one of \['float32', 'bfloat16'\]"
    )
    with pytest.raises(DeviceError, match=message):
        resolve_dtype("float16", torch.device("cpu"), SPEC)

    assert resolve_dtype(torch.float16, torch.device("cuda", 0), SPEC) is torch.float16


@pytest.mark.parametrize("dtype", ["float64", torch.int8, "half", "bfloat61"])
def test_unknown_dtype(dtype: str | torch.dtype) -> None:
    """Other dtypes are refused with the ones to choose from; a slip gets a guess."""
    with pytest.raises(
        OptionError, match=r"unknown dtype: expected one of \['float32', 'float16', 'bfloat16'\]"
    ):
        resolve_dtype(dtype, torch.device("cpu"), SPEC)
    with pytest.raises(OptionError, match="Did you mean 'bfloat16'"):
        resolve_dtype("bfloat61", torch.device("cpu"), SPEC)
