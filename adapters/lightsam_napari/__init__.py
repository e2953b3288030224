"""A segmentation widget for napari: the place of the adapter, which has not been written yet.

It will translate layers and clicks of napari to `lightsam_plugins` and masks back to labels layers. Until
then the distribution declares no napari plugin.
"""
