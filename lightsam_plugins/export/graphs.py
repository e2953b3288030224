"""One part of a model, ready to be written as ONNX and compared with torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lightsam_plugins.engines.graph import export_graph
from lightsam_plugins.engines.onnx_files import open_onnx, write_onnx
from lightsam_plugins.errors import EngineError
from lightsam_plugins.export import TOLERANCE, Exported


@dataclass(frozen=True)
class Value:
    """An input of a graph.

    Args:
        example: The values it is exported with.
        about: What it means, for people.
        axes: Axes of another length than in the example, and their names.
    """

    example: torch.Tensor
    about: str
    axes: Mapping[int, torch.export.Dim]


@dataclass(frozen=True)
class Graph:
    """A part of a model.

    Args:
        file: Name of the ONNX file.
        what: Its name, for errors.
        module: Takes the inputs in their order, and gives the outputs.
        inputs: By name.
        outputs: Name -> what it means.
        other: More inputs of other lengths, to compare with.
    """

    file: str
    what: str
    module: torch.nn.Module
    inputs: Mapping[str, Value]
    outputs: Mapping[str, str]
    other: tuple[torch.Tensor, ...]

    @torch.inference_mode()
    def run(self, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """The outputs by torch."""
        outputs: tuple[torch.Tensor, ...] = self.module(*inputs)
        return outputs

    def examples(self) -> tuple[torch.Tensor, ...]:
        """The inputs it is exported with."""
        return tuple(value.example for value in self.inputs.values())

    def write(self, folder: Path) -> Exported:
        """Write the file, and compare it with torch.

        Raises:
            EngineError: It cannot be exported, or the answers differ.
        """
        dynamic = tuple(dict(value.axes) or None for value in self.inputs.values())
        program = export_graph(self.module, self.examples(), dynamic, self.what)
        path = folder / self.file
        write_onnx(program, path, list(self.inputs), list(self.outputs))
        apart = max(self.difference(path, inputs) for inputs in (self.examples(), self.other))
        if not apart <= TOLERANCE:
            raise EngineError(
                f"ONNX Runtime answers otherwise than torch for {self.what}",
                expected=f"a difference up to {TOLERANCE:g} of the largest value",
                got=f"{apart:.2g}",
                hint="Please report it with the versions that lightsam doctor shows.",
            )
        return Exported(path, apart)

    def difference(self, path: Path, inputs: tuple[torch.Tensor, ...]) -> float:
        """Largest difference of an output, over its largest value."""
        session = open_onnx(path, torch.get_num_threads())
        given = {name: value.numpy() for name, value in zip(self.inputs, inputs, strict=True)}
        found = session.run(None, given)
        expected = [output.numpy() for output in self.run(inputs)]
        return max(
            float(np.abs(ours - theirs).max() / np.abs(theirs).max())
            for ours, theirs in zip(found, expected, strict=True)
        )
