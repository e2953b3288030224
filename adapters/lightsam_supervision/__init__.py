"""Masks for supervision: prompts and detections in, `supervision.Detections` with masks out.

::

    import supervision as sv
    from lightsam_supervision import LightSAM

    sam = LightSAM("nano", bgr=True)                  # frames of OpenCV and of supervision are BGR
    detections = sam.refine(frame, detections)        # the boxes of any detector or tracker get masks
"""

from lightsam_supervision.compact import compact_mask
from lightsam_supervision.model import LightSAM

__all__ = ["LightSAM", "compact_mask"]
