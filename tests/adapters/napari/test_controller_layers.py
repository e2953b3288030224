"""Slices, layers that come and go, many objects in one go, and what is left at the end; no window is needed."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bench import bench, clicked_in_stack, opened
from discs import MIDDLE, iou, look_at, plane, rectangle, stack, two_discs
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

from lightsam_plugins import Segmenter
from lightsam_plugins.errors import InputError


def test_slices_keep_their_prompts() -> None:
    """A click belongs to its slice: elsewhere there is no candidate, and back it is found again."""
    with clicked_in_stack() as b:
        assert b.controller.candidate is not None
        b.viewer.dims.set_point(0, 4)
        b.settle()
        assert b.controller.candidate is None
        b.viewer.dims.set_point(0, 2)
        b.settle()
        assert b.controller.candidate is not None
        assert len(b.controller.engine.cache) == 2


def test_an_encoding_that_nobody_waits_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another slice breaks the encoding of the first one off; a click in the same one does not."""
    viewer = ViewerModel()
    image = viewer.add_image(stack())
    look_at(viewer, image, MIDDLE)
    began, go_on, usual = threading.Event(), threading.Event(), Segmenter.embed

    def slow(self: Segmenter, pixels: np.ndarray, *, keep_going: Callable[[], bool]) -> Any:
        began.set()
        while keep_going() and not go_on.wait(0.002):
            pass
        return usual(self, pixels, keep_going=keep_going)

    monkeypatch.setattr(Segmenter, "embed", slow)
    with bench(viewer) as b:
        b.controller.image = image
        assert began.wait(20)
        began.clear()
        b.controller.hover.at(MIDDLE)
        b.controller.click(MIDDLE)
        assert not began.wait(0.1)
        viewer.dims.set_point(0, 4)
        assert began.wait(20)  # the next one began, while the first had not been let go on
        go_on.set()
        b.settle()
        assert len(b.controller.engine.cache) == 1
        began.clear()
        go_on.clear()
        viewer.dims.set_point(0, 2)
        assert began.wait(20)
        b.controller.cancel()
        b.settle()
        assert len(b.controller.engine.cache) == 1


def test_everything_boxes_and_points_in_one_go() -> None:
    """All discs at once, by no prompt, by a layer of boxes, by one of points; each is one step of undo."""
    viewer = ViewerModel()
    image = viewer.add_image(two_discs(), scale=(2, 2))
    boxes = Shapes([rectangle(26, 16, 74, 64), rectangle(26, 86, 74, 134)], scale=(2, 2))
    points = Points([[100, 80], [100, 220], [900, 900]])
    with bench(viewer) as b:
        c = b.controller
        c.image = image
        for start in (
            lambda: c.batch.from_shapes(boxes),
            lambda: c.batch.from_points(points),
            c.batch.everything,
        ):
            start()
            b.settle()
            for column in (40, 110):
                object_ = b.label() == b.label()[50, column]
                assert iou(object_, plane(column=column) > 0.5) > 0.9
            assert ("everything", 0, 0) in b.steps or len(c.labels.features) == 2
            c.undo()
            assert not b.label().any()
        c.batch.from_shapes(Shapes([rectangle(900, 900, 950, 950)], name="far"))
        assert b.messages[-1] == "The layer 'far' has nothing in this plane."


def test_the_ground_is_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the model finds, masks that reach all four sides, or nearly so, are left out; three make one."""
    ground = np.ones((120, 160), bool)
    ground[40:60, 40:60] = False
    crops = [(0, 0, ground), (0, 0, ground[:119]), (0, 0, ground[:100]), (40, 40, np.ones((20, 20), bool))]

    class Masks(list):
        areas = np.array([mask.sum() for _, _, mask in crops])
        scores = np.array([0.9, 0.85, 0.8, 0.7])

        def __getitem__(self, rows: np.ndarray) -> Any:
            return SimpleNamespace(crops=lambda: [crops[row] for row in rows], scores=self.scores[rows])

    viewer = ViewerModel()
    image = viewer.add_image(two_discs())
    with bench(viewer) as b:
        monkeypatch.setitem(vars(b.controller.models.current), "everything", lambda *_, **__: Masks())
        b.controller.image = image
        b.controller.batch.everything()
        b.settle()
        assert list(b.controller.labels.features["score"]) == [0.7, 0.8]
        assert set(np.unique(b.label()[119])) == {0}


def test_everything_can_be_stopped_and_answers_clicks_meanwhile() -> None:
    """A click during everything mode is answered before it ends, and cancelling leaves no object behind."""
    with opened(two_discs()) as b:
        c = b.controller
        b.settle()
        c.batch.everything()
        b.settle(lambda: any(name == "everything" and done for name, done, _ in b.steps))
        c.click((50, 40))
        b.settle(lambda: c.candidate is not None)
        assert c.worker.busy("batch")
        c.cancel()
        b.settle()
        assert c.labels is None
        assert b.messages[-1] == "Stopped."


def test_layers_may_go_at_any_moment() -> None:
    """Prompts, candidate and output are made again after they were deleted; without the image nothing is left."""
    with opened(two_discs()) as b:
        c = b.controller
        for layer in (lambda: c.session.prompts.points, lambda: c.session.preview.layer, lambda: c.labels):
            c.click((50, 40))
            b.settle()
            if c.labels is None:
                c.commit()
                c.click((50, 110))
                b.settle()
            b.viewer.layers.remove(layer())
            b.settle()
        c.click((50, 40))
        b.viewer.layers.remove(c.image)  # while the model works
        b.settle()
        assert c.image is None
        assert c.candidate is None
        assert [type(layer) for layer in b.viewer.layers] == []
        with pytest.raises(
            InputError, match="no image is chosen: expected an image layer. Open an image first."
        ):
            c.click((1, 1))


def test_renamed_and_replaced_data() -> None:
    """A renamed layer is the same one; new data are read again."""
    viewer = ViewerModel()
    image = viewer.add_image(plane(column=40))
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.click((50, 110))
        b.settle()
        image.name = "other"
        image.data = plane(column=110)
        b.settle()
        assert iou_of(b.controller.candidate.crop, plane(column=110) > 0.5) > 0.9


def iou_of(crop: tuple[int, int, np.ndarray], truth: np.ndarray) -> float:
    """IoU of a crop and a whole mask."""
    x0, y0, mask = crop
    whole = np.zeros_like(truth)
    whole[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
    return iou(whole, truth)


def test_other_channels_of_a_mix_count() -> None:
    """With the mix on, hiding, recolouring or replacing another channel is seen at once; with it off it is not."""
    viewer = ViewerModel()
    image = viewer.add_image(plane() * 0)
    image.contrast_limits = (0, 1)
    other = viewer.add_image(plane(), colormap="green", contrast_limits=(0, 1))
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.click((50, 90))
        b.settle()
        dark = b.controller.candidate
        other.visible = False
        assert b.controller.candidate is dark
        b.controller.set_mix(True)
        for change in (
            lambda: setattr(other, "visible", True),
            lambda: setattr(other, "colormap", "gray"),
            lambda: setattr(other, "data", plane() * 0.99),
        ):
            before = b.controller.picture().key
            change()
            assert b.controller.candidate is None
            b.settle()
            assert b.controller.picture().key != before
            assert iou_of(b.controller.candidate.crop, plane() > 0.5) > 0.9
        other.translate = (3, 3)
        b.controller.click((52, 90))
        assert "does not lie on" in b.messages[-1]


def test_two_viewers_at_once() -> None:
    """Two controllers on two viewers do not know of each other."""
    first, second = ViewerModel(), ViewerModel()
    images = [first.add_image(plane(column=40)), second.add_image(plane(column=110))]
    with bench(first) as a, bench(second) as b:
        for one, image, column in ((a, images[0], 40), (b, images[1], 110)):
            one.controller.image = image
            one.controller.click((50, column))
        a.settle()
        b.settle()
        a.controller.commit()
        b.controller.commit()
        assert iou(a.label() > 0, plane(column=40) > 0.5) > 0.9
        assert iou(b.label() > 0, plane(column=110) > 0.5) > 0.9


def test_wrong_outputs_are_refused_with_the_next_step() -> None:
    """A labels layer of another shape or place is told; one whose type is full too, and nothing is lost."""
    viewer = ViewerModel()
    image = viewer.add_image(plane())
    odd = viewer.add_labels(np.zeros((9, 9), int), name="odd")
    moved = viewer.add_labels(np.zeros((120, 160), int), translate=(5, 0))
    full = viewer.add_labels(np.full((120, 160), 0, np.uint8), name="full")
    full.data[0, 0] = 255
    with bench(viewer) as b:
        c = b.controller
        c.image = image
        c.labels = odd
        assert "'odd' does not lie on" in b.messages[-1]
        c.labels = moved
        assert 'Choose "new layer" as the output.' in b.messages[-1]
        assert c.labels is None
        c.labels = full
        c.click((50, 90))
        b.settle()
        c.commit()
        assert "'full' has no number left: expected at most 255 objects" in b.messages[-1]
        assert c.candidate is not None


def test_a_painted_stroke_is_a_step_of_its_own() -> None:
    """Undo goes back over the user's own brush, too, and the next object has a new number."""
    with opened(two_discs()) as b:
        c = b.controller
        c.click((50, 40))
        b.settle()
        c.commit()
        c.labels.selected_label = 9
        c.labels.paint((100, 10), 9)
        c.click((50, 110))
        b.settle()
        c.commit()
        assert set(np.unique(b.label())) == {0, 1, 9, 10}
        c.undo()
        c.undo()
        c.undo()
        assert set(np.unique(b.label())) == {0, 1}


def test_tiny_images_are_answered() -> None:
    """An image of one pixel takes a click without an error."""
    viewer = ViewerModel()
    image = viewer.add_image(np.ones((1, 1)))
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.click((0, 0))
        b.settle()
        assert b.controller.candidate is not None


def test_closing_leaves_the_users_layers_and_no_callback() -> None:
    """After closing, image and objects are left, and events of the viewer reach nobody."""
    viewer = ViewerModel()
    image = viewer.add_image(two_discs())
    before = [
        len(event.callbacks)
        for event in (viewer.layers.events.removed, viewer.dims.events.point, image.events.data)
    ]
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.click((50, 40))
        b.settle()
        b.controller.commit()
    after = [
        len(event.callbacks)
        for event in (viewer.layers.events.removed, viewer.dims.events.point, image.events.data)
    ]

    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert after == before
