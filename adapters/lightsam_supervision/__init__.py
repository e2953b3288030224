"""Masks for supervision: prompts and detections in, `supervision.Detections` with masks out.

::

    import supervision as sv
    from lightsam_supervision import LightSAM

    sam = LightSAM("nano", bgr=True)                  # frames of OpenCV and of supervision are BGR
    detections = sam.refine(frame, detections)        # the boxes of any detector or tracker get masks
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightsam_supervision.compact import compact_mask
from lightsam_supervision.model import LightSAM

if TYPE_CHECKING:
    from lightsam_supervision.mask_generator import LightSAMMaskGenerator

__all__ = ["LightSAM", "LightSAMMaskGenerator", "compact_mask"]


def __getattr__(name: str) -> Any:
    if name != "LightSAMMaskGenerator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lightsam_supervision.mask_generator import LightSAMMaskGenerator  # needs the package trackers

    return LightSAMMaskGenerator
