"""Ultralytics' video loaders around our predictor, and masks for the results of YOLO."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
import supervision as sv
import torch
from fake_network import wand_segmenter

import lightsam_plugins as ls
from lightsam_ultralytics import Refiner

DISC = np.array([46, 40, 74, 112])  # all places of the second disc


@pytest.fixture(scope="module")
def refiner() -> Refiner:
    """`nano` for the results of others."""
    return Refiner("nano", device="cpu")


def result(index: int, *, ids: bool = True) -> Any:
    """What YOLO's tracker would say of a frame."""
    from ultralytics.engine.results import Results

    rows = np.column_stack([clips.boxes(index), [[7.0], [3.0]], [[0.9], [0.8]], [[2.0], [0.0]]])
    rows = rows if ids else np.delete(rows, 4, axis=1)
    names = {0: "disc", 2: "other"}
    return Results(clips.frame(index), f"frame{index}", names, boxes=torch.from_numpy(rows).float())


@pytest.mark.parametrize("source", ["clip", "pyav_clip"])
def test_a_video_is_followed_frame_by_frame_and_saved(
    source: str, request: pytest.FixtureRequest, ultralytics_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Through Ultralytics' loader: 300 frames in order, one mask each, held one at a time, and a video of them."""
    from lightsam_ultralytics import LightSAM

    settings = {"save": True, "project": str(tmp_path), "name": "out", "verbose": False, "stream": True}
    sam = LightSAM(wand_segmenter())
    numbers, areas = [], []
    for one in sam(request.getfixturevalue(source), bboxes=DISC, **settings):
        numbers.append(clips.number(one.orig_img))
        areas.append(int(one.masks.data.sum()))

    assert numbers == list(range(clips.FRAMES))
    assert len(areas) == clips.FRAMES
    assert set(areas) == {int(np.prod(DISC[2:] - DISC[:2]))}
    assert len(sam._cache) == 0
    written = next((tmp_path / "out").glob("clip.*"))
    for read in (clips.read, clips.read_by_pyav):
        assert [clips.number(image) for image in read(written)] == numbers


def test_a_file_that_breaks_off_gives_what_there_is(
    ultralytics_settings: pytest.MonkeyPatch, clip: Path, tmp_path: Path
) -> None:
    """Of a video cut in its middle the frames that Ultralytics can read are segmented, in order."""
    from lightsam_ultralytics import LightSAM

    broken = tmp_path / "broken.avi"
    broken.write_bytes(clip.read_bytes()[: clip.stat().st_size // 5])
    numbers = [
        clips.number(one.orig_img)
        for one in LightSAM(wand_segmenter())(broken, bboxes=DISC, stream=True, verbose=False)
    ]

    assert 30 < len(numbers) < clips.FRAMES
    assert numbers[:-1] == list(range(len(numbers) - 1))  # the last frame may be half of one


def test_tracked_results_get_masks_and_keep_their_ids(
    ultralytics_settings: pytest.MonkeyPatch, refiner: Refiner
) -> None:
    """Boxes, classes, confidence and ids are as before, each row has the mask of its disc; supervision reads all."""
    given = result(120)
    refined = refiner.refine(given)

    assert given.masks is None
    assert refined.boxes is given.boxes
    assert refined.boxes.id.tolist() == [7, 3]
    detections = sv.Detections.from_ultralytics(refined)
    assert detections.tracker_id.tolist() == [7, 3]
    assert detections.class_id.tolist() == [2, 0]
    assert detections.data["class_name"].tolist() == ["other", "disc"]
    for mask, centre in zip(detections.mask, clips.centres(120), strict=True):
        assert clips.iou(mask, centre) > 0.8
    assert [row["track_id"] for row in refined.summary()] == [7, 3]
    assert refined.plot().shape == (*clips.SIZE, 3)


def test_streams_lists_and_arrays_come_back_as_they_were_given(
    ultralytics_settings: pytest.MonkeyPatch, refiner: Refiner
) -> None:
    """A stream stays a stream that reads one frame at a time, a list a list in its order, numpy results numpy."""
    read = []

    def stream() -> Any:
        for index in range(100, 103):
            read.append(index)
            yield result(index)

    refined = refiner.refine(stream())
    assert read == []
    assert next(refined).path == "frame100"
    assert read == [100]
    several = refiner.refine([result(101), result(100, ids=False)])
    assert [one.path for one in several] == ["frame101", "frame100"]
    np.testing.assert_array_equal(several[0].masks.data, next(refined).masks.data)
    assert isinstance(refiner.refine(result(101).numpy()).masks.data, np.ndarray)


def test_a_stream_that_breaks_gives_what_came_before(
    ultralytics_settings: pytest.MonkeyPatch, refiner: Refiner
) -> None:
    """Results before the break are refined, then the source's own error comes through."""

    def stream() -> Any:
        yield result(100)
        raise ConnectionError("the camera is gone")

    refined = refiner.refine(stream())
    assert len(next(refined).masks) == 2
    with pytest.raises(ConnectionError, match="the camera is gone"):
        next(refined)


def test_a_yolo_is_refined(ultralytics_settings: pytest.MonkeyPatch, refiner: Refiner) -> None:
    """The network of YOLO11 with weights at random: its results of a frame, whatever they are, have a mask a box."""
    from ultralytics import YOLO

    torch.manual_seed(0)
    found = YOLO("yolo11n.yaml").predict(clips.frame(50), conf=1e-7, max_det=6, verbose=False)
    refined = refiner.refine(found)

    assert len(found[0]) > 0
    assert len(refined[0].masks) == len(found[0])
    nothing = refiner.refine(found[0][:0])
    assert len(nothing) == 0


def test_results_without_boxes_are_told(ultralytics_settings: pytest.MonkeyPatch, refiner: Refiner) -> None:
    """Those of a classifier are named by their image; what is no result at all, by its type."""
    from ultralytics.engine.results import Results

    with pytest.raises(
        ls.InputError, match="one.jpg: results without boxes.*got a Results whose boxes are None"
    ):
        refiner.refine(Results(clips.frame(0), "one.jpg", {}, probs=torch.ones(3)))
    with pytest.raises(ls.InputError, match="not results of Ultralytics: expected a Results.*got ndarray"):
        refiner.refine(clips.frame(0))


def test_refining_imports_no_ultralytics() -> None:
    """The refiner is imported and set up without the AGPL package, which the predictor alone needs."""
    code = (
        "import sys, lightsam_ultralytics as lu; lu.Refiner('nano', device='cpu');"
        "print([name for name in sys.modules if name.partition('.')[0] == 'ultralytics'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
