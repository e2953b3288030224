"""What is known of a model without importing its code: the model card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        weak: Why the hash proves little, where it comes from others than the authors; None where it is sound.
        part: Which part of the network it holds, where a model has several files.
    """

    filename: str
    size: int
    sha256: str | None = None
    git_blob: str | None = None
    repo: str | None = None
    revision: str = "main"
    url: str | None = None
    bundled: bool = False
    weak: str | None = None
    part: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A published measurement.

    Args:
        what: What was measured, and on what: ``"COCO box mIoU"``, ``"encode + 1 prompt, A100, ms"``.
        value: The number, in the unit that `what` names.
        source: Where it was read.
    """

    what: str
    value: float
    source: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that is known of a model without importing its code: the model card.

    Args:
        name: Public name.
        builder: ``"module:function"``; the function returns the network without weights.
        weights: Source and identity of the checkpoint; of a model with several, of the encoder's.
        params: Number of parameters used at inference.
        encoder_side: Side of the encoder's input in pixels.
        prompt_side: Side of the frame prompts are expressed in, in pixels.
        fit: How an image is fitted into the square.
        mean: Channel means (RGB, 0-255 scale).
        std: Channel standard deviations (RGB, 0-255 scale).
        prompts: Prompts it takes.
        point_slots: Points that an object can have at most, a box counting as two; None: any number.
        licence_code: SPDX id of the licence of the official code.
        licence_weights: SPDX id of the licence of the weights, or its name where it has none.
        paper: URL of the paper, or of the model card.
        repository: URL of the official code.
        speed: Speed class on a CPU.
        everything_defaults: Options of everything mode where SAM's own do not suit the model.
        unsafe_dtypes: ``(device type, dtype)`` pairs known to give wrong masks.
        published: Quality and speed as others have measured them; papers differ, see their sources.
        notes: What a user should know, in one or two sentences.
        experimental: No output of the official implementation was compared. The network has the published names
            and shapes of weights, and was written after public code and papers.
        licence_terms: URL of the licence of the weights where a user must accept it by name, as where it forbids
            commercial use; None where nothing has to be accepted.
        more_weights: The checkpoints of its other parts, where a model has several files.
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
    point_slots: int | None = None
    everything_defaults: Mapping[str, float] = field(default_factory=dict)
    unsafe_dtypes: frozenset[tuple[str, str]] = frozenset()
    published: tuple[Figure, ...] = ()
    notes: str = ""
    experimental: bool = False
    licence_terms: str | None = None
    more_weights: tuple[WeightFile, ...] = ()

    @property
    def files(self) -> tuple[WeightFile, ...]:
        """All files of its weights."""
        return self.weights, *self.more_weights
