"""What can be measured: a model, or a classical method that answers the same calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from lightsam_plugins.masks import Masks


class Subject(Protocol):
    """What a measurement calls; `Segmenter` and `baselines.Baseline` are such, and a stand-in of yours may be.

    ``prompts`` (of it, or of its ``spec``) are the kinds it takes: "box", "point", "negative_point", "mask", "everything".
    """

    @property
    def name(self) -> str:
        """Name for reports."""
        ...

    def embed(self, image: Any, *, batch_size: int = 8) -> Any:
        """Encode a list of (H, W, 3) uint8 RGB images."""
        ...

    def segment(self, image: Any, **prompts: Any) -> Masks:
        """One mask an object from ``boxes``, or from ``points`` with ``point_labels`` and ``mask_input``."""
        ...

    def everything(self, image: Any) -> Masks:
        """All masks of an image, with scores."""
        ...


def prompts_of(subject: Subject) -> frozenset[str]:
    """The kinds of prompt a subject takes."""
    kinds: Iterable[str] = getattr(subject, "spec", subject).prompts
    return frozenset(kinds)
