"""LightSAM models in FiftyOne's model zoo: the place of the adapter, which has not been written yet.

It will translate samples, labels and prompts of FiftyOne to `lightsam_plugins`, and masks back to labels.
"""
