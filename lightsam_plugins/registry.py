"""The models, as data: one entry each; resolving an entry imports that one architecture only."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from lightsam_plugins.errors import UnknownModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from lightsam_plugins.types import Fit

Prompt = Literal["point", "negative_point", "box", "mask", "text", "everything"]
SAM_PROMPTS: frozenset[Prompt] = frozenset({"point", "negative_point", "box", "mask", "everything"})
SAM_MEAN = (123.675, 116.28, 103.53)  # RGB, 0-255; SAM's, which are ImageNet's
SAM_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Where a checkpoint comes from and how it is recognised.

    Args:
        filename: Name of the file, in the Hub repository or at the end of the URL.
        size: Bytes.
        sha256: Hex digest of the whole file, or None where none is published.
        git_blob: sha1 git blob id, the check used where no sha256 is published.
        repo: Hugging Face Hub repository ("owner/name"), or None.
        revision: Hub revision (branch, tag or commit).
        url: Plain URL, used where there is no Hub repository or as a second source.
        bundled: The file ships inside the package, in ``lightsam_plugins/assets``.
    """

    filename: str
    size: int
    sha256: str | None = None
    git_blob: str | None = None
    repo: str | None = None
    revision: str = "main"
    url: str | None = None
    bundled: bool = False


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that is known of a model without importing its code: the model card.

    Args:
        name: Public name.
        builder: ``"module:function"``; the function returns the network without weights.
        weights: Source and identity of the checkpoint.
        params: Number of parameters used at inference.
        encoder_side: Side of the encoder's input in pixels.
        prompt_side: Side of the frame prompts are expressed in, in pixels.
        fit: How an image is fitted into the square.
        mean: Channel means (RGB, 0-255 scale).
        std: Channel standard deviations (RGB, 0-255 scale).
        prompts: Prompts it takes.
        licence_code: SPDX id of the licence of the official code.
        licence_weights: SPDX id of the licence of the weights.
        paper: URL of the paper, or of the model card.
        repository: URL of the official code.
        speed: Speed class on a CPU.
        everything_defaults: Options of everything mode where SAM's own do not suit the model.
        unsafe_dtypes: ``(device type, dtype)`` pairs known to give wrong masks.
        notes: What a user should know, in one or two sentences.
    """

    name: str
    builder: str
    weights: WeightFile
    params: int
    encoder_side: int
    prompt_side: int
    licence_code: str
    licence_weights: str
    paper: str
    repository: str
    speed: Literal["fastest", "fast", "medium", "slow"]
    fit: Fit = "pad"
    mean: tuple[float, float, float] = SAM_MEAN
    std: tuple[float, float, float] = SAM_STD
    prompts: frozenset[Prompt] = SAM_PROMPTS
    everything_defaults: Mapping[str, float] = field(default_factory=dict)
    unsafe_dtypes: frozenset[tuple[str, str]] = frozenset()
    notes: str = ""


_SPECS = (
    ModelSpec(
        name="mobilesam",
        builder="lightsam_plugins.models.mobile_sam:build",
        weights=WeightFile(
            filename="mobile_sam.pt",
            size=40_728_226,
            sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            git_blob="7ef2d090979fd9853adf17b7a99c8b94a1c5a6a7",
            repo="dhkim2810/MobileSAM",
            url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        ),
        params=9_808_452,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="https://arxiv.org/abs/2306.14289",
        repository="https://github.com/ChaoningZhang/MobileSAM",
        speed="fast",
        # NanoSAM's authors build MobileSAM's encoder in float32 because float16 gives wrong masks.
        unsafe_dtypes=frozenset({("cpu", "float16"), ("cuda", "float16"), ("mps", "float16")}),
        notes="SAM's decoder behind a TinyViT encoder of 6 M parameters.",
    ),
    ModelSpec(
        name="nano",
        builder="lightsam_plugins.models.nano:build",
        weights=WeightFile(
            filename="nano.safetensors",
            size=5_251_766,
            sha256="b9c2a2bd27212335e2cc88f35253fdf69a8e6506bc1749ddc6f9e56e612b435c",
            bundled=True,
        ),
        params=2_619_871,
        encoder_side=384,
        prompt_side=384,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="docs/nano.md",
        repository="this package",
        speed="fastest",
        # A small model is less sure of itself than SAM, whose thresholds (0.88, 0.95) would leave next to nothing.
        everything_defaults={"points_per_side": 24, "pred_iou_thresh": 0.6, "stability_score_thresh": 0.85},
        notes="Ships inside the wheel; trained from scratch on licence-clean images. A quick default.",
    ),
)

MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _SPECS}


def list_models() -> list[str]:
    """Names of all models, sorted."""
    return sorted(MODELS)


def model_card(name: str) -> ModelSpec:
    """Everything known of a model: licences, source, hash, size, prompts, paper.

    Raises:
        UnknownModel: No model of that name; the message lists the names and the nearest one.
    """
    try:
        return MODELS[name]
    except (KeyError, TypeError):
        near = get_close_matches(str(name), MODELS, 1)
        raise UnknownModel(
            f"unknown model {name!r}",
            expected=f"one of {list_models()}",
            hint=f"Did you mean {near[0]!r}?" if near else "lightsam models lists them.",
        ) from None


def build_network(spec: ModelSpec) -> torch.nn.Module:
    """Import the architecture of `spec` and build it, without weights."""
    module, function = spec.builder.split(":")
    builder: Callable[[], torch.nn.Module] = getattr(import_module(module), function)
    return builder()
