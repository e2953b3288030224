"""Torch's exported programs as ONNX files (extra ``export`` or ``onnxruntime``)."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lightsam_plugins.errors import EngineError, in_short

if TYPE_CHECKING:
    import onnxruntime

OPSET = 18


def write_onnx(
    program: torch.export.ExportedProgram, path: Path, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Write a program; weights of more than 1.5 GB into a file beside it.

    Args:
        program: What `graph.export_graph` made.
        path: The file.
        inputs: Names of its inputs.
        outputs: Names of its outputs.

    Raises:
        EngineError: Torch has no ONNX operators for it.
    """
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # torch's exporter warns of its own parts, and prints its steps
            written: Any = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
    except (RuntimeError, TypeError, ValueError, NotImplementedError, torch.onnx.OnnxExporterError) as error:
        raise EngineError(
            "torch cannot write this network as ONNX",
            got=in_short(error),
            hint="Use the versions that docs/export.md names.",
        ) from error
    size = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    written.save(path, external_data=size > 1.5e9)


def open_onnx(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; it warns of weights that it leaves out
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
