"""The image encoder as a graph to export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lightsam_plugins.engines.graph import EncoderGraph, encoder_axes, sample_images
from lightsam_plugins.export.graphs import Graph, Value

if TYPE_CHECKING:
    from lightsam_plugins.segmenter import Segmenter


def encoder_graph(segmenter: Segmenter) -> Graph:
    """Images of a fixed size, one at a time; letterboxes of any sides where the model takes these."""
    spec = segmenter.spec
    module = EncoderGraph(segmenter.network).eval()
    images = sample_images(spec)
    with torch.inference_mode():
        names = list(module.maps(images))
    size = "H, W up to" if spec.fit == "letterbox" else "H = W ="
    about = f"(1, 3, H, W) RGB, {size} {spec.encoder_side}: (pixel - mean) / std, fitted as input.fit says"
    return Graph(
        "encoder.onnx",
        f"the encoder of {spec.name!r}",
        module,
        {"images": Value(images, about, encoder_axes(spec))},
        dict.fromkeys(names, "float32"),
        (images.flip(2, 3),),
    )
