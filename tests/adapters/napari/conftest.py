"""napari is imported once, and helpers beside the tests by name: `--import-mode=importlib` leaves `sys.path` alone."""

import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of napari's own classes, while they are made
    import napari.layers
    import napari.settings
    import napari.viewer  # noqa: F401
