"""A segmentation widget for napari: click, and the object is outlined.

The parts, each free of Qt but the last: `planes` and `pixels` take a plane of a layer to the core, `prompt_layers`
holds clicks and boxes, `worker` and `engine` run the model beside the window, `commits` and `history` write objects
into a labels layer, `controller` joins them, and `widget` is the panel. napari finds it by ``napari.yaml``.
"""
