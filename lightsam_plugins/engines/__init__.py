"""What runs the image encoder: torch itself, torch's compiler, or an inference engine for the CPU.

Prompts are decoded by torch always: its decoder is faster here than the same network in an engine (a box takes
OpenVINO twice as long), and what an engine encodes is an embedding like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from lightsam_plugins.errors import DeviceError, OptionError, did_you_mean
from lightsam_plugins.extras import require_packages

if TYPE_CHECKING:
    import torch

    from lightsam_plugins.model_spec import ModelSpec
    from lightsam_plugins.types import Features

    Encoder: TypeAlias = Callable[[torch.Tensor], Features]

# Engine -> the packages it needs, by the names that are imported; each engine is an extra of that name.
PACKAGES = {
    "torch": (),
    "compile": (),
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime", "onnx", "onnxscript"),
}
ENGINES = tuple(PACKAGES)
CONVERTED = ("openvino", "onnxruntime")  # those that run a copy of the encoder in a form of their own


def check_engine(engine: str, device: str | torch.device, dtype: str | torch.dtype | None) -> torch.device:
    """The device to run on, where an engine can be used as asked for.

    Args:
        engine: One of `ENGINES`.
        device: As in `load`; ``"auto"`` is the CPU for an engine that runs nowhere else.
        dtype: As in `load`.

    Raises:
        OptionError: No engine of that name.
        DeviceError: The device is not there, or the engine does not run on it or in that precision.
        MissingExtra: A package that the engine needs is not installed.
    """
    if engine not in PACKAGES:
        raise OptionError(
            "unknown engine",
            expected=f"one of {list(ENGINES)}",
            got=repr(engine),
            hint=did_you_mean(str(engine), PACKAGES),
        )
    from lightsam_plugins.devices import resolve_device

    converted = engine in CONVERTED
    target = resolve_device("cpu" if converted and str(device) == "auto" else device)
    if converted and target.type != "cpu":
        raise DeviceError(
            f"the engine {engine!r} does not run on {target.type}",
            expected="device='cpu'",
            got=repr(str(device)),
            hint="Leave engine out: torch runs everywhere.",
        )
    taken = ("float32", "bfloat16") if engine == "openvino" else ("float32",)
    name = "float32" if dtype is None else str(dtype).removeprefix("torch.")
    if converted and name not in taken:
        raise DeviceError(
            f"the engine {engine!r} does not compute in {name}",
            expected=f"dtype one of {list(taken)}",
            hint="Leave dtype out to run in float32.",
        )
    require_packages(engine, PACKAGES[engine])
    return target


def make_encoder(
    engine: str, network: torch.nn.Module, spec: ModelSpec, dtype: torch.dtype
) -> Encoder | None:
    """The encoder of `network` in an engine; None where torch runs it as it is.

    Args:
        engine: One of `ENGINES`, of which `check_engine` has approved.
        network: Its weights as they were loaded, in float32.
        spec: Its model card.
        dtype: Precision to compute in.

    Raises:
        EngineError: The network cannot be converted, or the engine answers otherwise than torch.
    """
    if engine == "torch":
        return None
    if engine == "compile":
        from lightsam_plugins.engines.compiled import CompiledEncoder

        return CompiledEncoder(network, spec, dtype)
    from lightsam_plugins.engines.converted import ConvertedEncoder

    return ConvertedEncoder(engine, network, spec, dtype)
