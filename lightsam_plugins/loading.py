"""`load`: from a model's name to something that segments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightsam_plugins.devices import resolve_device, resolve_dtype
from lightsam_plugins.licences import require_licence
from lightsam_plugins.recognition import recognise
from lightsam_plugins.registry import build_network, model_card
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.weights import fetch, load_into, read_tensors

if TYPE_CHECKING:
    import torch


def load(
    name: str = "nano",
    device: str | torch.device = "auto",
    weights: str | Path | None = None,
    dtype: str | torch.dtype | None = None,
    *,
    accept_licence: str | None = None,
) -> Segmenter:
    """Load a model, downloading its weights on first use.

    Args:
        name: One of `list_models()`; ``"nano"`` ships with the package and needs no network.
        device: ``"auto"`` (CUDA, then MPS, then CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        weights: A checkpoint of this model to use instead of the download. Only its tensors are read,
            whatever the container; no code in it is ever run.
        dtype: ``"float16"`` or ``"bfloat16"`` to trade exactness for speed; float32 where left out.
        accept_licence: Name of the licence of the weights, for the models whose card has `licence_terms`.

    Returns:
        The model, ready to `embed`, `segment` and segment `everything`.

    Raises:
        UnknownModel: No model of that name.
        LicenceNotAccepted: The model's licence has to be accepted by name.
        DeviceError: The device is not there, or the dtype gives wrong masks on it.
        WeightsError: The weights cannot be fetched, verified or read, or are those of another model.
    """
    spec = model_card(name)
    require_licence(spec, accept_licence)
    target = resolve_device(device)
    precision = resolve_dtype(dtype, target, spec)
    path = fetch(spec) if weights is None else Path(weights)
    network = build_network(spec)
    load_into(network, read_tensors(path), model=spec.name, source=str(path), recognise=recognise)
    return Segmenter(network, spec, target, precision)
