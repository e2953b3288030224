"""Prompts become masks by themselves, and masks objects, in every kind of image; no window is needed."""

import json
from pathlib import Path

import numpy as np
import pytest
from bench import bench, clicked_in_stack, opened
from discs import CASES, RADIUS, disc, iou, plane, rectangle, two_discs
from napari.components import ViewerModel

from lightsam_napari.prompts import Prompts
from lightsam_plugins.masks import Masks


@pytest.mark.parametrize("name", CASES)
def test_a_click_finds_the_disc(name: str, tmp_path: Path) -> None:
    """In every kind of image one click gives the disc's mask by itself; kept, it lies in the data at its place."""
    case = CASES[name]
    viewer, image = case.open(tmp_path)
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.click(case.centre)
        b.settle()
        b.controller.commit()

        kept = np.asarray(b.label())
        truth = disc(image, case)
        shown = np.zeros_like(truth)
        plane_of = b.controller.picture().plane
        rows, columns = np.indices(plane_of.shape).reshape(2, -1)
        shown[plane_of.index(rows, columns)] = True

        assert iou(kept > 0, truth & shown) > 0.9
        assert not kept[~shown].any()
        assert kept.dtype == np.int32


@pytest.mark.parametrize("name", CASES)
def test_the_candidate_covers_the_disc_in_the_world(name: str, tmp_path: Path) -> None:
    """The shown candidate's own pixels, taken to the world and back into the image, are those of the disc."""
    case = CASES[name]
    viewer, image = case.open(tmp_path)
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.click(case.centre)
        b.settle()
        layer = b.controller.session.preview.layer

        places = np.argwhere(np.asarray(layer.data) > 0)
        data = np.array([image.world_to_data(layer.data_to_world(place)) for place in places])
        mask = np.zeros(disc(image, case).shape, bool)
        mask[tuple(np.rint(data).astype(int).T)] = True

        inside = disc(image, case)[tuple(np.rint(data).astype(int).T)]
        assert inside.mean() > 0.93
        assert abs(mask.sum() - np.pi * RADIUS**2) < 0.12 * np.pi * RADIUS**2
        assert layer.visible


def test_every_kind_of_prompt_finds_the_disc() -> None:
    """A box, a polygon, a lasso's polygon and a scribble each find the disc they are about."""
    viewer = ViewerModel()
    image = viewer.add_image(two_discs())
    truth = plane(column=110) > 0.5
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.stack([50 + 25 * np.sin(angles), 110 + 25 * np.cos(angles)], 1)
    with bench(viewer) as b:
        b.controller.image = image
        shapes = b.controller.session.prompts.open_shapes()
        for kind, corners in {
            "rectangle": rectangle(26, 86, 74, 134),
            "polygon": ring,
            "path": np.array([[50.0, 98.0], [52.0, 110.0], [48.0, 122.0]]),
        }.items():
            shapes.add(corners, shape_type=kind)
            b.settle()

            assert b.controller.candidate is not None, f"{kind}: {b.messages}"
            x0, y0, mask = b.controller.candidate.crop
            found = np.zeros_like(truth)
            found[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
            assert iou(found, truth) > 0.85, kind
            b.controller.discard()


def test_negative_clicks_take_away_and_moves_and_deletions_count() -> None:
    """After a click between two discs' colours, edits of the clicks change the mask without any key."""
    viewer = ViewerModel()
    image = viewer.add_image(two_discs())
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.click((50, 40))
        b.settle()
        first = b.controller.candidate
        points = b.controller.session.prompts.points

        points.data = np.array([[50.0, 110.0]])  # moved
        b.settle()
        second = b.controller.candidate
        assert first.crop[0] < 40 < second.crop[0]

        b.controller.click((50, 40), "negative")
        b.settle()
        assert b.controller.candidate.prompts.labels == (1, 0)
        assert list(points.features["polarity"]) == ["positive", "negative"]
        assert [str(symbol) for symbol in points.symbol] == ["disc", "x"]

        points.selected_data = {0, 1}
        points.remove_selected()
        b.settle()
        assert b.controller.candidate is None
        assert not b.controller.session.preview.shown


def test_hover_shows_and_a_click_keeps_what_was_shown() -> None:
    """A preview follows the mouse; the click at the same place takes it over without asking the model again."""
    viewer = ViewerModel()
    image = viewer.add_image(two_discs())
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.hover.at((50, 40))
        b.settle()
        assert b.controller.session.preview.shown
        assert b.controller.candidate is None
        question = (b.controller.picture(), Prompts(((40.5, 50.5),), (1,)), "best")
        shown = b.controller.engine.known(*question)

        b.controller.click((50, 40))
        assert b.controller.candidate is shown
        b.controller.hover.at((50, 110))
        b.settle()
        assert b.controller.candidate is shown

        b.controller.discard()
        b.controller.hover.at((500, 500))
        b.settle()
        assert not b.controller.session.preview.shown


@pytest.mark.parametrize("columns", [160, 81])
def test_the_ground_under_the_mouse_is_not_shown_but_can_be_clicked(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask that reaches all four sides, or covers more than half, is no preview; a click has it as always."""
    viewer = ViewerModel()
    image = viewer.add_image(two_discs())
    mask = np.ones((120, columns), bool)
    mask[10:30, 10:30] = columns != 160
    with bench(viewer) as b:
        b.controller.image = image
        b.settle()
        with monkeypatch.context() as patched:
            patched.setattr(Masks, "crops", lambda self: [(0, 0, mask)])
            b.controller.hover.at((100, 75))
            b.settle()
            assert not b.controller.session.preview.shown
            b.controller.click((100, 75))
            b.settle()
        assert b.controller.candidate.crop[2] is mask
        assert b.controller.session.preview.shown


def test_a_click_is_answered_from_what_was_begun_at_the_press(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the press began is the answer to the click, be it the first or a correction; it is not asked twice."""
    monkeypatch.setattr("lightsam_napari.hover.PRESS", 60)
    with opened(two_discs()) as b:
        b.controller.hover.on = False
        b.settle()
        for place, polarity in (((50, 40), "positive"), ((95, 80), "negative")):
            b.controller.hover.pressed(place, polarity)
            assert not b.controller.worker.busy(
                "hover"
            )  # the press waits for it, as it takes no longer than that
            b.settle()
            assert b.controller.candidate is None or len(b.controller.candidate.prompts.points) == 1
            begun = b.controller.engine._last[1]
            b.controller.click(place, polarity)
            assert b.controller.candidate is begun
        assert b.controller.candidate.prompts.labels == (1, 0)


def test_the_mouse_waits_for_previews_of_a_quick_model_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A move waits for its preview; where that took too long, moves wait no more until a press was answered in time."""
    with opened(two_discs()) as b:
        b.settle()
        waits: list[bool] = []
        answers = [True, False, True, True]
        monkeypatch.setattr(
            b.controller.worker, "wait", lambda *_: waits.append(True) or answers[len(waits) - 1]
        )
        for column, count in ((40, 1), (42, 2), (44, 2), (46, 2)):
            b.controller.hover.at((50, column))
            b.settle()
            assert len(waits) == count
        b.controller.hover.pressed((50, 48), "positive")
        b.settle()
        b.controller.hover.at((50, 50))
        b.settle()
        assert len(waits) == 4


def test_a_click_beside_the_image_says_why_nothing_comes() -> None:
    """A click beside the image, and one "not this" alone, have no mask; the panel says what is missing."""
    viewer = ViewerModel()
    image = viewer.add_image(two_discs())
    with bench(viewer) as b:
        b.controller.image = image
        for place, polarity in (((-30, 40), "positive"), ((50, 40), "negative")):
            b.controller.click(place, polarity)
            b.settle()
            assert b.controller.candidate is None
            assert (
                b.messages[-1]
                == "This points at nothing: begin with a click on the object, inside of the image."
            )
            b.controller.discard()
            assert b.messages[-1] == "The prompts of this plane are gone."


def test_events_that_change_nothing_keep_the_candidate() -> None:
    """napari tells of sliders that did not move: the candidate stays and nothing is asked again."""
    with clicked_in_stack() as b:
        found = b.controller.candidate
        b.viewer.dims.events.point(value=b.viewer.dims.point)
        b.viewer.add_points([[2, 300, 300]])  # a larger world
        b.settle()
        assert b.controller.candidate is found


def test_undo_and_redo_of_prompts_and_objects() -> None:
    """Steps go back one by one: object, second click, first click; and forth again, table and pixels included."""
    with opened(two_discs()) as b:
        c = b.controller
        c.click((50, 40))
        c.click((55, 45))
        b.settle()
        c.commit()
        assert len(c.session.prompts.snapshot().points) == 0
        assert len(c.labels.features) == 1
        kept = b.label().copy()

        assert c.undo()
        b.settle()
        assert not b.label().any()
        assert len(c.labels.features) == 0
        assert len(c.session.prompts.snapshot().points) == 2
        assert c.candidate is not None
        assert c.undo()
        assert len(c.session.prompts.snapshot().points) == 1
        assert c.undo()
        assert b.messages[-1] == "Taken back."
        b.settle()
        assert c.candidate is None
        assert not c.undo()

        assert c.redo()
        assert c.redo()
        assert c.redo()
        assert b.messages[-1] == "Made again."
        assert not c.redo()
        b.settle()
        assert (b.label() == kept).all()
        assert len(c.labels.features) == 1
        assert c.candidate is None


def test_an_answer_that_comes_in_a_view_of_three_dimensions_is_dropped() -> None:
    """Where no plane is shown any more, and napari has not said so yet, an answer is no candidate and no error."""
    with opened(two_discs()) as b:
        c = b.controller
        c.click((50, 40))
        with b.viewer.dims.events.ndisplay.blocker():
            b.viewer.dims.ndisplay = 3
        b.settle()
        assert c.candidate is None

        b.viewer.dims.ndisplay = 2
        b.settle()
        assert c.candidate is None or c.candidate.prompts.points == ((40.5, 50.5),)


def test_crumbs_beside_older_objects_are_no_objects() -> None:
    """Of an object that was kept already nothing is added when it is found again a little larger."""
    viewer = ViewerModel()
    image = viewer.add_image(plane())
    labels = viewer.add_labels(np.zeros((120, 160), np.int32))
    with bench(viewer) as b:
        c = b.controller
        c.image, c.labels = image, labels
        c.click((50, 90))
        b.settle()
        c.commit()
        assert b.messages[-1].startswith("Kept as object 1, score 0.")
        labels.data[labels.data.nonzero()[0].min()] = 0  # its first row
        before = labels.data.copy()
        c.click((50, 90))
        b.settle()
        c.commit()

        assert (labels.data == before).all()
        assert len(labels.features) == 1
        assert b.messages[-1].startswith("It is part of older objects")


def test_older_objects_are_protected_unless_asked() -> None:
    """Keep leaves the pixels of older objects; overwrite takes them."""
    viewer = ViewerModel()
    image = viewer.add_image(plane())
    labels = viewer.add_labels(np.zeros((120, 160), np.int32))
    labels.data[:, :90] = 7
    with bench(viewer) as b:
        c = b.controller
        c.image, c.labels = image, labels
        c.click((50, 90))
        b.settle()
        c.commit()
        assert (labels.data[:, :90] == 7).all()
        assert set(np.unique(labels.data[:, 90:])) == {0, 8}

        c.undo()
        b.settle()
        c.protect = False
        c.commit()
        assert iou(labels.data == 8, plane() > 0.5) > 0.9


def test_objects_are_described_in_the_table() -> None:
    """Each object has its number, model, score and prompts, from which it can be made again."""
    with clicked_in_stack() as b:
        b.controller.commit()

        row = b.controller.labels.features.iloc[0]
        assert (row["index"], row["model"]) == (1, "nano")
        assert 0.5 < row["score"] <= 1
        assert json.loads(row["prompts"]) == {
            "plane": [2, 0, 0], "axes": [1, 2], "points": [[90.5, 50.5]], "labels": [1],
        }  # fmt: skip


def test_granularities_are_three_sizes() -> None:
    """The three candidates come in the order of their size, and the key goes round."""
    viewer = ViewerModel()
    image = viewer.add_image(two_discs())
    with bench(viewer) as b:
        b.controller.image = image
        b.controller.click((50, 40))
        b.settle()
        sizes = []
        for _ in range(3):
            b.controller.cycle_granularity()
            b.settle()
            sizes.append(int(b.controller.candidate.crop[2].sum()))
        assert sizes == sorted(sizes)
        b.controller.cycle_granularity()
        assert b.controller.granularity == "best"
