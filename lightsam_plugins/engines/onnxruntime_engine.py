"""ONNX Runtime (extra ``onnxruntime``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from lightsam_plugins.engines.onnx_files import open_onnx, write_onnx

if TYPE_CHECKING:
    import torch

    from lightsam_plugins.engines.converted import Session
    from lightsam_plugins.types import FloatArray

_FILE = "encoder.onnx"


def convert(program: torch.export.ExportedProgram, folder: Path) -> None:
    """Write an exported encoder as ONNX."""
    outputs = len(program.graph_signature.user_outputs)
    write_onnx(program, folder / _FILE, ["images"], [f"map{number}" for number in range(outputs)])


def open_session(folder: Path, shape: tuple[int, ...], threads: int, *, bfloat16: bool) -> Session:
    """Load it; a session takes all shapes that the encoder takes, in float32."""
    session = open_onnx(folder / _FILE, threads)

    def run(images: FloatArray) -> list[FloatArray]:
        return cast("list[FloatArray]", session.run(None, {"images": images}))

    return run
