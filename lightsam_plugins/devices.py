"""Which device and which precision a model runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lightsam_plugins.errors import DeviceError, OptionError, did_you_mean

if TYPE_CHECKING:
    from lightsam_plugins.registry import ModelSpec

_USUAL_THREADS = torch.get_num_threads()  # before anyone sets another number
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def available_devices() -> list[str]:
    """Names of the devices this machine offers, the one ``"auto"`` takes first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn a user's device into one that exists, with its index where it has one.

    Args:
        device: ``"auto"`` (CUDA, then MPS, then CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"``, ``"mps"``
            or a `torch.device`.

    Raises:
        DeviceError: It is no device name, or that device is not there; the message names those that are.
    """
    there = available_devices()
    name = str(device)
    if name == "auto":
        return torch.device(there[0])
    try:
        wanted = torch.device(name)
    except (RuntimeError, ValueError):
        wanted = torch.device("meta")
    if wanted.type == "cuda" and wanted.index is None and torch.cuda.is_available():
        wanted = torch.device("cuda", torch.cuda.current_device())
    if wanted.type in ("cpu", "mps"):
        wanted = torch.device(wanted.type)
    if str(wanted) not in there:
        raise DeviceError(
            f"device {name!r} is not there",
            expected=f"one of {['auto', *there]}",
            hint=_device_hint(wanted),
        )
    return wanted


def _device_hint(wanted: torch.device) -> str:
    if wanted.type == "cuda" and not torch.cuda.is_available():
        return "torch sees no CUDA device: see docs/devices.md, or use device='auto'."
    return "Use device='auto' to take the best one there is."


def resolve_dtype(dtype: str | torch.dtype | None, device: torch.device, spec: ModelSpec) -> torch.dtype:
    """The precision to run `spec` in on `device`; float32 unless asked otherwise.

    Args:
        dtype: None, ``"float32"``, ``"float16"``, ``"bfloat16"`` or the torch dtype of that name.
        device: Where the model will run.
        spec: The model, which knows the combinations that give wrong masks.

    Raises:
        OptionError: Not one of these dtypes.
        DeviceError: The model is known to give wrong masks in this dtype on this kind of device.
    """
    name = "float32" if dtype is None else str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise OptionError(
            "unknown dtype",
            expected=f"one of {list(DTYPES)}",
            got=repr(dtype),
            hint=did_you_mean(name, DTYPES),
        )
    if (device.type, name) in spec.unsafe_dtypes:
        safe = [other for other in DTYPES if (device.type, other) not in spec.unsafe_dtypes]
        raise DeviceError(
            f"{spec.name} is known to give wrong masks in {name} on {device.type}",
            expected=f"one of {safe}",
            hint="Leave dtype out to run in float32.",
        )
    return DTYPES[name]


def use_threads(count: int) -> None:
    """Let the CPU work on a model with this many threads, in the calling thread and in those it starts.

    Raises:
        OptionError: `count` is below 1.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise OptionError("threads", expected="a whole number >= 1", got=repr(count))
    torch.set_num_threads(count)


def spare_threads() -> int:
    """How many threads leave one core to others, such as a window that has to be drawn; at least one."""
    return max(1, _USUAL_THREADS - 1)
