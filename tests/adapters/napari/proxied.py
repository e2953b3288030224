"""The hand's whole way in windows of napari's own fixture, which hands out its public names only, and finds leaks.

Run by `test_proxied.py`: the fixture is a plugin of pytest that imports napari, and its home pytest-qt, into all tests.
"""

from typing import Any

import numpy as np
import pytest
from discs import iou, plane, stack, two_discs
from qtpy.QtCore import Qt
from window import Window, opened

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning",
    "error:Private attribute access:FutureWarning",
)
A, B = (50, 40), (50, 110)


@pytest.fixture
def w(make_napari_viewer_proxy: Any) -> Window:
    """A window with two discs."""
    return opened(
        make_napari_viewer_proxy(show=True), lambda viewer: viewer.add_image(two_discs(), name="discs")
    )


def kept(w: Window) -> Any:
    """The data of the output."""
    return w.controller.labels.data


def test_from_hover_to_redo(w: Window) -> None:
    """Hover, click, negative click, moved click, commit, box, undo, redo: each with the mask of its disc."""
    w.move(A)
    w.settle()
    assert w.controller.session.preview.shown
    w.click(A)
    w.click((95, 80), "control")
    w.settle()
    assert w.controller.candidate.prompts.labels == (1, 0)
    w.drag([A, (50, 60), (50, 90), B])
    w.settle()
    w.key(Qt.Key.Key_N)
    assert iou(kept(w) == 1, plane(column=110) > 0.5) > 0.9
    w.drag([(24, 14), (40, 30), (76, 66)], "shift")
    w.settle()
    w.key(Qt.Key.Key_N)
    both = kept(w).copy()
    assert iou(both == 2, plane(column=40) > 0.5) > 0.9
    for _ in range(3):
        w.key(Qt.Key.Key_U)
    w.settle()
    assert not kept(w).any()
    for _ in range(3):
        w.key(Qt.Key.Key_U, "shift")
    assert (kept(w) == both).all()


def test_planes_models_and_layers_change_mid_job(make_napari_viewer_proxy: Any) -> None:
    """Another plane or model, a stop, a deleted image and a closed window while the model works: no error, no leak."""
    viewer = make_napari_viewer_proxy(show=True)
    w = opened(viewer, lambda viewer: viewer.add_image(stack(), name="stack"))
    w.viewer.dims.set_point(0, 2)
    w.click((50, 90))
    w.viewer.dims.set_point(0, 0)
    w.settle()
    assert w.controller.candidate is None
    w.viewer.dims.set_point(0, 2)
    before = w.controller.models.current
    w.controller.change_model("nano", "cpu")
    w.settle(lambda: w.controller.models.current is not before)
    w.settle()
    w.key(Qt.Key.Key_N)
    assert iou(kept(w)[2] > 0, plane() > 0.5) > 0.9
    w.press(w.panel.batch.everything)
    w.controller.cancel()
    w.settle()
    w.click((50, 90))
    w.viewer.layers.remove("stack")
    w.settle()
    assert w.controller.image is None
    w.viewer.add_image(np.asarray(two_discs()), name="next")
    w.settle()
    w.press(w.panel.batch.everything)
    assert w.controller.worker.busy()
