"""What a program without this package must know of an exported model, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightsam_plugins._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightsam_plugins.export.graphs import Graph
    from lightsam_plugins.model_spec import ModelSpec

_FITS = {
    "pad": "scale the longest side to `side`, pad right and bottom with the mean colour (0 after normalisation)",
    "stretch": "scale both sides to `side`",
    "letterbox": "scale the longest side to `side`, centre in the smallest rectangle whose sides are multiples of 32, "
    "fill with 114",
}
_TOKENS = {
    3: "0 to 2, best by iou",
    4: "0 for the single answer, 1 to 3 the candidates of an ambiguous prompt",
}


def describe(spec: ModelSpec, graphs: Sequence[Graph]) -> dict[str, Any]:
    """Frames, normalisation, inputs and outputs."""
    return {
        "model": spec.name,
        "made_by": f"lightsam-plugins {__version__}",
        "licence_weights": spec.licence_weights,
        "input": {
            "side": spec.encoder_side,
            "fit": spec.fit,
            "how": _FITS[spec.fit],
            "channels": "RGB",
            "mean": list(spec.mean),
            "std": list(spec.std),
        },
        "prompt_frame": {
            "side": spec.prompt_side,
            "fit": spec.fit,
            "how": "coordinates of the image times the factor that scales its side to this one",
        },
        "files": {
            graph.file: {
                "inputs": {name: value.about for name, value in graph.inputs.items()},
                "outputs": dict(graph.outputs),
            }
            for graph in graphs
        },
        "masks": _TOKENS[3 if spec.name == "nano" else 4] if len(graphs) > 1 else "see docs/export.md",
    }
