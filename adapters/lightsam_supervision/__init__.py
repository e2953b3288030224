"""Masks for supervision's detections: the place of the adapter, which has not been written yet.

It will translate frames and detections of supervision to `lightsam_plugins` and masks back to detections.
"""
