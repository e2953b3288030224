"""A predictor for Ultralytics: the place of the adapter, which has not been written yet.

It will translate sources and prompts of Ultralytics to `lightsam_plugins` and masks back to its results.
"""
