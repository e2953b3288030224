"""`load`: from a model's name to something that segments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightsam_plugins.devices import resolve_dtype
from lightsam_plugins.engines import check_engine
from lightsam_plugins.licences import require_licence
from lightsam_plugins.recognition import recognise
from lightsam_plugins.registry import build_network, model_card
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.weights import fetch, load_into
from lightsam_plugins.weights.blank import Uninitialised
from lightsam_plugins.weights.parts import WHOLE, own_files, read_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from lightsam_plugins.registry import ModelSpec


def load(
    name: str = "nano",
    device: str | torch.device = "auto",
    weights: str | Path | Mapping[str, str | Path] | None = None,
    dtype: str | torch.dtype | None = None,
    *,
    engine: str = "torch",
    accept_licence: str | None = None,
    trust: bool = False,
) -> Segmenter:
    """Load a model, downloading its weights on first use.

    Args:
        name: One of `list_models()`; ``"nano"`` ships with the package and needs no network.
        device: ``"auto"`` (CUDA, then MPS, then CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        weights: A checkpoint of this model to use instead of the download. Only its tensors are read,
            whatever the container; no code in it is ever run. Of a model of several files (MobileSAMv2) their
            folder, or a mapping such as ``{"decoder": PATH}`` of the parts ``encoder``, ``decoder`` and
            ``detector``; the parts left out are downloaded. One file with the tensors of all parts will do too.
        dtype: ``"float16"`` or ``"bfloat16"`` to trade exactness for speed; float32 where left out.
        engine: What runs the image encoder: ``"torch"``; ``"compile"``, torch's compiler, whose first call takes a
            minute; ``"openvino"`` or ``"onnxruntime"`` on a CPU (extras of these names). An engine's copy of the
            encoder is made at the first load and kept in the cache. Embeddings are alike, whatever made them.
        accept_licence: Name of the licence of the weights, for the models whose card has `licence_terms`.
        trust: Take a download of another hash by its size, where the card says that the hash is weak
            (``model_card(name).weights.weak``): others than the authors published it.

    Returns:
        The model, ready to `embed`, `segment` and segment `everything`.

    Raises:
        UnknownModel: No model of that name.
        LicenceNotAccepted: The model's licence has to be accepted by name.
        DeviceError: The device is not there, or the dtype gives wrong masks on it, or the engine does not run there.
        EngineError: The engine cannot run this model.
        MissingExtra: A package that the engine needs is not installed.
        WeightsError: The weights cannot be fetched, verified or read, or are those of another model.
    """
    spec = model_card(name)
    require_licence(spec, accept_licence)
    target = check_engine(engine, device, dtype)
    precision = resolve_dtype(dtype, target, spec)
    files = _files(spec, weights, trust)
    with Uninitialised():
        network = build_network(spec)
    tensors = read_parts(spec, network, files)
    source = ", ".join(map(str, files.values()))
    load_into(network, tensors, model=spec.name, source=source, recognise=recognise)
    return Segmenter(network, spec, target, precision, engine)


def _files(
    spec: ModelSpec, weights: str | Path | Mapping[str, str | Path] | None, trust: bool
) -> dict[str, Path]:
    """Part -> file on disk: the user's own, else the verified download."""
    files = {} if weights is None else own_files(spec, weights)
    if WHOLE in files:
        return files
    return {file.part: files.get(file.part) or fetch(spec, file, trust=trust) for file in spec.files}
