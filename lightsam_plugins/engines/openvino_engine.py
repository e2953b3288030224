"""OpenVINO (extra ``openvino``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from lightsam_plugins.engines.converted import Session
    from lightsam_plugins.types import FloatArray

_FILE = "encoder.xml"


def convert(program: torch.export.ExportedProgram, folder: Path) -> None:
    """Write an exported encoder as OpenVINO's intermediate representation, in float32."""
    import openvino

    model = openvino.convert_model(program)
    openvino.save_model(model, folder / _FILE, compress_to_fp16=False)


def open_session(folder: Path, shape: tuple[int, ...], threads: int, *, bfloat16: bool) -> Session:
    """Compile it for images of one shape.

    The precision is always said: on a CPU with AMX OpenVINO takes bfloat16 of its own accord. Threads are not bound
    to cores, since two processes would be bound to the same ones.
    """
    import openvino

    core = openvino.Core()
    model = core.read_model(folder / _FILE)
    model.reshape(shape)
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(model, "CPU", options)

    def run(images: FloatArray) -> list[FloatArray]:
        # A request of its own for each call: one that is shared cannot run in two threads at once.
        found = compiled.create_infer_request().infer([images], share_inputs=True, share_outputs=False)
        return [found[output] for output in compiled.outputs]

    return run
