"""Prompts as users write them, checked and expressed in the input frame."""

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lightsam_plugins.errors import PromptError, UnsupportedPrompt
from lightsam_plugins.prompts import make_prompts, require_everything
from lightsam_plugins.registry import MODELS
from lightsam_plugins.types import Frame, PromptBatch

SPEC = MODELS["mobilesam"]
FRAME = Frame(height=50, width=100, side=1024)
NAN, INF = float("nan"), float("inf")


def prompts(**given: object) -> PromptBatch:
    """The prompts of the image of `FRAME`."""
    return make_prompts(SPEC, FRAME, **given)  # type: ignore[arg-type]


def test_flat_points_are_one_object() -> None:
    """(P, 2) points are P clicks on one object, foreground by default, scaled to the input frame."""
    batch = prompts(points=[[10, 20], [30, 40.5]])

    assert batch.points.shape == (1, 2, 2)
    assert batch.points.dtype == torch.float32
    np.testing.assert_allclose(batch.points[0], [[102.4, 204.8], [307.2, 414.72]], rtol=1e-6)
    assert batch.labels.tolist() == [[1, 1]]
    assert batch.labels.dtype == torch.int64
    assert batch.boxes is None
    assert batch.masks is None


def test_nested_points_are_many_objects() -> None:
    """(N, P, 2) points are N objects, with labels of their own; what is padded need not be a number."""
    batch = prompts(points=[[[1, 2], [3, 4]], [[5, 6], [NAN, NAN]]], point_labels=[[1, 0], [1, -1]])

    assert len(batch) == 2
    assert batch.labels.tolist() == [[1, 0], [1, -1]]
    assert batch.points[1, 1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "boxes",
    [
        [10, 5, 20, 25],
        [[10, 5, 20, 25]],
        np.array([[10, 5, 20, 25]], np.int16),
        torch.tensor([10, 5, 20, 25]),
    ],
)
def test_box_forms(boxes: object) -> None:
    """A box may be flat or one of a list, a list, an array of any number type or a tensor."""
    batch = prompts(boxes=boxes)

    assert batch.points.shape == (1, 0, 2)
    assert batch.boxes is not None
    np.testing.assert_allclose(batch.boxes, [[102.4, 51.2, 204.8, 256.0]], rtol=1e-6)


def test_prompts_across_the_border_are_clipped() -> None:
    """Boxes and points that touch or cross the border are clipped to the image, points up to 16 pixels off it."""
    batch = prompts(boxes=[[-5, -5, 1000, 20], [0, 0, 100, 50]], points=[[[-16, 66]], [[100, 50]]])

    assert batch.boxes is not None
    np.testing.assert_allclose(batch.boxes[0], [0, 0, 1024, 204.8], rtol=1e-6)
    np.testing.assert_allclose(batch.points[:, 0], [[0, 512.0], [1024, 512]], rtol=1e-6)


def test_one_box_goes_with_flat_points() -> None:
    """A single box, flat or not, and (P, 2) points are one object."""
    for boxes in ([10, 5, 20, 25], [[10, 5, 20, 25]]):
        assert len(prompts(boxes=boxes, points=[[12, 7], [1, 1]], point_labels=[1, 0])) == 1


def test_all_prompts_combine() -> None:
    """Boxes, points and masks of N objects go together."""
    masks = np.arange(2 * 256 * 256, dtype=np.float64).reshape(2, 256, 256)
    batch = prompts(boxes=[[0, 0, 9, 9]] * 2, points=np.ones((2, 3, 2)), mask_input=masks)

    assert batch.points.shape == (2, 3, 2)
    assert batch.masks is not None
    assert batch.masks.dtype == torch.float32
    assert batch.masks[1, 0, 0] == 256 * 256


def test_mask_input_tensor_and_single_mask() -> None:
    """A single (256, 256) mask is one object; tensors of reduced precision are taken."""
    batch = prompts(mask_input=torch.ones((256, 256), dtype=torch.bfloat16))

    assert batch.masks is not None
    assert batch.masks.shape == (1, 256, 256)
    assert batch.masks.dtype == torch.float32


@pytest.mark.parametrize(
    "given",
    [
        {"boxes": []},
        {"boxes": np.empty((0, 4))},
        {"points": []},
        {"points": np.empty((0, 2))},
        {"points": np.empty((0, 3, 2))},
        {"points": np.empty((0, 1, 2)), "point_labels": np.empty((0, 1))},
        {"boxes": [], "points": []},
        {"mask_input": np.empty((0, 256, 256))},
    ],
)
def test_zero_prompts_are_no_error(given: dict[str, object]) -> None:
    """No rows give a batch of no objects."""
    assert len(prompts(**given)) == 0


def test_empty_points_beside_boxes_are_no_clicks() -> None:
    """Boxes with an empty list of points are boxes without clicks."""
    assert prompts(boxes=[[0, 0, 9, 9]] * 3, points=[]).points.shape == (3, 0, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no prompt: expected boxes, points or mask_input. .* model.everything"),
        ({"boxes": [[0, 0, 5, 5], [0, NAN, 5, 5]]}, "box 1 holds NaN or infinity"),
        ({"boxes": [0, 0, INF, 5]}, "box 0 holds NaN or infinity"),
        (
            {"boxes": [[0, 0, 5, 5], [9, 0, 5, 5]]},
            "box 1 is empty or inverted: expected x0 < x1 and y0 < y1, got",
        ),
        ({"boxes": [[5, 5, 5, 9]]}, "box 0 is empty or inverted"),
        ({"boxes": [[0, 0, 5, 5], [100, 0, 120, 9]]}, "box 1 lies outside the image: .* x 0..100, y 0..50"),
        ({"boxes": [[-9, -9, 0, 9]]}, "box 0 lies outside the image"),
        ({"boxes": [1, 2, 3]}, r"boxes have the wrong shape: expected \(N, 4\) .* got \(3,\)"),
        ({"boxes": np.ones((2, 2, 2))}, r"boxes have the wrong shape: .* got \(2, 2, 2\)"),
        (
            {"boxes": [[1, 2, 3, 4], [1, 2]]},
            "boxes is not an array of numbers: expected rows of equal length",
        ),
        (
            {"points": [[1, 2], [9, 67]]},
            r"a click of object 0 lies outside the image: expected x 0..100, y 0..50, or at most 16 .*\[9.0, 67.0\]",
        ),
        ({"points": [[[1, 2]], [[640, 2]]], "point_labels": [[1], [0]]}, "a click of object 1 lies outside"),
        (
            {"points": [[1, 2]], "point_labels": ["a"]},
            "point_labels is not an array of numbers: expected the numbers 1 .foreground., 0 .background. or -1",
        ),
        ({"boxes": "box"}, "boxes is not an array of numbers: .* got dtype"),
        ({"points": [10, 20]}, r"points have the wrong shape: .* got \(2,\). A single click is \[\[x, y\]\]"),
        ({"points": [[1, 2, 3]]}, r"points have the wrong shape: .* got \(1, 3\)"),
        (
            {"points": [[[1, 2]], [[1, 2], [3, 4]]]},
            "points is not an array of numbers: .* padded with label -1",
        ),
        ({"points": [[[1, 2]], [[NAN, 2]]]}, "points of object 1 hold NaN or infinity"),
        (
            {"points": [[1, 2]], "point_labels": [1, 0]},
            r"point_labels do not match points: expected shape \(1,\)",
        ),
        (
            {"points": [[[1, 2]]], "point_labels": [1]},
            r"do not match points: expected shape \(1, 1\).* got \(1,\)",
        ),
        (
            {"points": [[1, 2], [3, 4]], "point_labels": [1, 5]},
            "unknown label at point 1: expected 1 .foreground",
        ),
        ({"points": [[[1, 2]]] * 2, "point_labels": [[1], [2]]}, "unknown label at object 1: .* into boxes="),
        ({"points": [[1, 2]], "point_labels": [0.5]}, "unknown label at point 0"),
        (
            {"points": [[[1, 2]]] * 2, "point_labels": [[1], [-1]]},
            "object 1 has no prompt: expected at least one",
        ),
        ({"points": np.ones((2, 0, 2))}, "object 0 has no prompt"),
        ({"point_labels": [1]}, "point_labels without points"),
        ({"boxes": [0, 0, 5, 5], "point_labels": [1]}, "point_labels without points"),
        (
            {"mask_input": np.zeros((2, 128, 128))},
            r"mask_input is no .* \(N, 256, 256\) .* got \(2, 128, 128\)",
        ),
        (
            {"mask_input": np.zeros((256, 256), bool)},
            r"mask_input is no low-resolution mask: .* bool.*\.logits",
        ),
        (
            {"mask_input": SimpleNamespace(logits=torch.zeros(1, 256, 256))},
            "mask_input is an answer, not its logits: .* Pass its .logits: mask_input=masks.logits",
        ),
        ({"mask_input": torch.zeros((256, 256), dtype=torch.bool)}, "mask_input is no low-resolution mask"),
        ({"mask_input": np.full((256, 256), NAN)}, "mask_input 0 holds NaN or infinity"),
        (
            {"boxes": [[0, 0, 5, 5]] * 3, "points": [[1, 2]]},
            "different numbers of objects: .* got boxes for 3, points for 1",
        ),
        (
            {"boxes": [[0, 0, 5, 5]], "mask_input": np.zeros((3, 256, 256))},
            r"different numbers of objects: .* mask_input for 3.*masks.best\(\)",
        ),
        ({"boxes": [], "points": [[1, 2]]}, "different numbers of objects: .* boxes for 0, points for 1"),
    ],
)
def test_bad_prompts_are_named(given: dict[str, object], message: str) -> None:
    """Whatever does not fit is refused by a PromptError that names the argument or row."""
    with pytest.raises(PromptError, match=message):
        prompts(**given)


@pytest.mark.parametrize(
    ("missing", "given", "what"),
    [
        ("negative_point", {"points": [[1, 2]], "point_labels": [0]}, "background points (label 0)"),
        ("point", {"points": [[1, 2]]}, "points"),
        ("box", {"boxes": [0, 0, 5, 5]}, "boxes"),
        ("mask", {"mask_input": np.zeros((256, 256))}, "a mask input"),
    ],
)
def test_unsupported_prompts_name_who_can(missing: str, given: dict[str, object], what: str) -> None:
    """What a model cannot take is refused with its name, what is missing and the models that can."""
    spec = dataclasses.replace(SPEC, name="weak", prompts=SPEC.prompts - {missing})

    with pytest.raises(UnsupportedPrompt, match=re.escape(f"weak does not take {what}: expected")) as caught:
        make_prompts(spec, FRAME, **given)  # type: ignore[arg-type]
    assert "mobilesam" in str(caught.value)


def test_unsupported_everything() -> None:
    """A model without everything mode says so before any work is done."""
    with pytest.raises(UnsupportedPrompt, match="weak does not take everything mode"):
        require_everything(dataclasses.replace(SPEC, name="weak", prompts=frozenset({"box"})))


def test_how_far_a_click_may_be_off_grows_with_the_image() -> None:
    """A tenth of the longer side is clipped, more is an error; a place that holds no click may lie anywhere."""
    frame = Frame(height=500, width=1000, side=1024)
    batch = make_prompts(SPEC, frame, points=[[-100, 600], [5000, 5000]], point_labels=[1, -1])

    np.testing.assert_allclose(batch.points[0, 0], [0, 512])
    with pytest.raises(PromptError, match="at most 100 pixels from there, got .-101.0, 600.0."):
        make_prompts(SPEC, frame, points=[[-101, 600]])


@pytest.mark.parametrize(
    "given",
    [
        {"points": [[0.3, 0.4]]},
        {"boxes": [0.1, 0.2, 0.5, 1]},
        {"boxes": [0, 0, 1, 1], "points": [[0.5, 0.5]]},
        {"points": [[0.3, 0.4], [70, 7]], "point_labels": [1, -1]},
    ],
)
def test_coordinates_in_parts_of_the_image_are_warned_of(given: dict[str, object]) -> None:
    """Where all coordinates lie in 0..1 the user is told that they are pixels; the prompts are taken as they are."""
    with pytest.warns(UserWarning, match="all coordinates lie in 0..1, .* 100 x 50: they are in pixels"):
        assert len(prompts(**given)) == 1


def test_whole_pixels_and_tiny_images_are_not_warned_of() -> None:
    """The first pixel, a box around it, one larger coordinate, and an image of 8 pixels are what they say."""
    tiny = Frame(height=8, width=8, side=1024)

    assert len(prompts(points=[[0, 0], [1, 1]])) == len(prompts(boxes=[0, 0, 1, 1])) == 1
    assert (
        len(prompts(boxes=[0.5, 0.5, 1.5, 1])) == len(prompts(boxes=[0, 0, 9, 9], points=[[0.5, 0.5]])) == 1
    )
    assert len(make_prompts(SPEC, tiny, points=[[0.5, 0.5]])) == 1


def test_the_users_arrays_stay_as_they_were() -> None:
    """Clipping works on copies."""
    boxes, points = np.array([[-5.0, 0, 200, 20]], np.float32), np.array([[-1.0, 5]], np.float32)
    prompts(boxes=boxes, points=points)

    assert boxes.tolist() == [[-5, 0, 200, 20]]
    assert points.tolist() == [[-1, 5]]
