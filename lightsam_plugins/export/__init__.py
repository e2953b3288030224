"""Models as ONNX files, for programs without torch (extra ``export``); `docs/export.md` has an example.

::

    from lightsam_plugins.export import export_onnx

    report = export_onnx("mobilesam", "mobilesam-onnx")
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lightsam_plugins.engines import PACKAGES
from lightsam_plugins.errors import OptionError
from lightsam_plugins.extras import require_packages

if TYPE_CHECKING:
    from lightsam_plugins.segmenter import Segmenter

TOLERANCE = 1e-3  # largest difference from torch, over the largest value


@dataclass(frozen=True)
class Exported:
    """One ONNX file.

    Args:
        path: The file.
        difference: Largest difference between ONNX Runtime's and torch's outputs, over the largest value.
    """

    path: Path
    difference: float


def export_onnx(model: str | Segmenter, out: str | Path) -> list[Exported]:
    """Write ``encoder.onnx``, ``decoder.onnx`` and ``model.json``, which says how to use them.

    Each file is run by ONNX Runtime and compared with torch before this returns. A model that selects among its own
    proposals (FastSAM) has no decoder.

    Args:
        model: A name, or a model as `load` gives it, on the CPU in float32.
        out: Folder, which is made where it is not there.

    Returns:
        The files and how far they are from torch.

    Raises:
        OptionError: The model is not on the CPU in float32.
        MissingExtra: The extra ``export`` is not installed.
        EngineError: Torch cannot export the model, or ONNX Runtime answers otherwise than torch.
    """
    require_packages("export", PACKAGES["onnxruntime"])
    from lightsam_plugins.export.card import describe
    from lightsam_plugins.export.decoders import decoder_graph
    from lightsam_plugins.export.encoder import encoder_graph
    from lightsam_plugins.loading import load

    segmenter = load(model, device="cpu") if isinstance(model, str) else model
    where = f"{segmenter.device}, {str(segmenter.dtype).removeprefix('torch.')}"
    if where != "cpu, float32":
        raise OptionError("model", expected="one on the CPU in float32", got=where)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    encoder = encoder_graph(segmenter)
    graphs = [encoder]
    if (decoder := decoder_graph(segmenter, encoder)) is not None:
        graphs.append(decoder)
    done = [graph.write(folder) for graph in graphs]
    card = describe(segmenter.spec, graphs)
    card["largest_difference"] = {one.path.name: one.difference for one in done}
    (folder / "model.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    return done
