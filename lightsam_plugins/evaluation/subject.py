"""What can be measured: a model, or a classical method that answers the same calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lightsam_plugins.masks import Masks


class Subject(Protocol):
    """What a measurement calls; `Segmenter` and `baselines.Baseline` are such, and a stand-in of yours may be.

    Its ``prompts``, or those of its ``spec``, are the kinds it takes: "box", "point", "negative_point", "mask",
    "everything".
    """

    @property
    def name(self) -> str:
        """Name for reports."""
        ...

    @property
    def embed(self) -> Callable[..., Any]:
        """Encodes a list of (H, W, 3) uint8 RGB images."""
        ...

    @property
    def segment(self) -> Callable[..., Masks]:
        """One mask an object from ``boxes``, or from ``points`` with ``point_labels`` and ``mask_input``."""
        ...

    @property
    def everything(self) -> Callable[..., Masks]:
        """All masks of an image, with scores."""
        ...


def prompts_of(subject: Subject) -> frozenset[str]:
    """The kinds of prompt a subject takes."""
    owner: Any = getattr(subject, "spec", subject)
    return frozenset(owner.prompts)
