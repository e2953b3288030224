"""Ultralytics: its sources, prompts and results around the models of lightsam-plugins.

::

    from lightsam_ultralytics import LightSAM

    sam = LightSAM("nano")
    results = sam("photo.jpg", bboxes=[[315, 155, 382, 219]])       # Ultralytics' own Results
    for result in yolo.track("clip.mp4", stream=True):              # any YOLO of yours
        result = sam.refine(result)                                 # the same, with masks

`Refiner` does the latter without importing ultralytics (AGPL-3.0); `LightSAM` imports it when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightsam_ultralytics.refiner import Refiner

if TYPE_CHECKING:
    from lightsam_ultralytics.model import LightSAM

__all__ = ["LightSAM", "Refiner"]


def __getattr__(name: str) -> Any:
    if name != "LightSAM":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lightsam_ultralytics.model import LightSAM

    return LightSAM
