"""One inference core for the lightweight Segment-Anything family.

::

    import lightsam_plugins as ls

    model = ls.load("nano")
    masks = model.segment("photo.jpg", points=[[210, 140]])

Importing the package loads neither torch nor numpy: each public name is imported when first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightsam_plugins._version import __version__
    from lightsam_plugins.errors import (
        Cancelled,
        ChecksumError,
        DeviceError,
        DownloadError,
        EmbeddingMismatch,
        EngineError,
        ImageError,
        InputError,
        Interrupted,
        LicenceNotAccepted,
        LightSamError,
        MissingExtra,
        OptionError,
        PromptError,
        UnknownModel,
        UnsafeCheckpoint,
        UnsupportedPrompt,
        WeightsError,
        WeightsMismatch,
    )
    from lightsam_plugins.loading import load
    from lightsam_plugins.masks import Masks
    from lightsam_plugins.registry import ModelSpec, list_models, model_card
    from lightsam_plugins.segmenter import Segmenter
    from lightsam_plugins.types import Embedding, Frame
    from lightsam_plugins.video import VideoFrame, VideoSegmenter

__all__ = [
    "Cancelled",
    "ChecksumError",
    "DeviceError",
    "DownloadError",
    "Embedding",
    "EmbeddingMismatch",
    "EngineError",
    "Frame",
    "ImageError",
    "InputError",
    "Interrupted",
    "LicenceNotAccepted",
    "LightSamError",
    "Masks",
    "MissingExtra",
    "ModelSpec",
    "OptionError",
    "PromptError",
    "Segmenter",
    "UnknownModel",
    "UnsafeCheckpoint",
    "UnsupportedPrompt",
    "VideoFrame",
    "VideoSegmenter",
    "WeightsError",
    "WeightsMismatch",
    "__version__",
    "list_models",
    "load",
    "model_card",
]

_HOMES = {
    "__version__": "_version",
    "Embedding": "types",
    "Frame": "types",
    "Masks": "masks",
    "ModelSpec": "registry",
    "Segmenter": "segmenter",
    "VideoFrame": "video",
    "VideoSegmenter": "video",
    "list_models": "registry",
    "load": "loading",
    "model_card": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Names without a home of their own are the errors.
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
