"""`yolo.track` with a real YOLO network and a real ByteTrack, and masks for its results: ids stay where they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
import supervision as sv
from disc_yolo import disc_yolo
from fake_network import wand_segmenter

from lightsam_ultralytics import Refiner

SETTINGS = {"imgsz": 224, "iou": 0.01, "tracker": "bytetrack.yaml", "verbose": False}


@pytest.fixture
def yolo(ultralytics_settings: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Finds red discs as class 0 and blue ones as class 1."""
    return disc_yolo(tmp_path)


def test_a_tracked_stream_gets_masks_and_keeps_its_ids(yolo: Any, clip: Path) -> None:
    """300 frames of `track(stream=True)`: ids, classes, confidence and order are the tracker's, each row has a mask."""
    before: list[Any] = []

    def stream() -> Iterator[Any]:
        for result in yolo.track(clip, stream=True, **SETTINGS):
            before.append((result.boxes.data.clone(), clips.number(result.orig_img)))
            yield result

    ids: dict[int, set[int]] = {0: set(), 1: set()}
    for refined in Refiner(wand_segmenter()).refine(stream()):
        assert refined.boxes.is_track
        assert refined.boxes.data.equal(before[-1][0])
        assert len(refined.masks) == len(refined.boxes)
        for one, kind, box, mask in zip(
            refined.boxes.id, refined.boxes.cls, refined.boxes.xyxy, refined.masks.data, strict=True
        ):
            ids[int(kind)].add(int(one))
            assert mask.sum() == pytest.approx(float((box[2:] - box[:2]).prod()), rel=0.15, abs=30)

    assert [number for _, number in before] == list(range(clips.FRAMES))
    assert ids == {0: {2}, 1: {1}}  # each disc has one id for as long as it is seen


def test_each_track_has_the_mask_of_its_disc(yolo: Any, clip: Path) -> None:
    """With `nano`: of every tenth frame, as supervision reads it, an id has the pixels of the disc of its class."""
    refiner, seen = Refiner("nano", device="cpu"), 0
    for result in yolo.track(clip, stream=True, vid_stride=10, **SETTINGS):
        index = clips.number(result.orig_img)
        detections = sv.Detections.from_ultralytics(refiner.refine(result))
        for row, kind in enumerate(detections.class_id):
            if clips.inside(index)[kind] and np.abs(np.diff(clips.centres(index), axis=0)).max() > 30:
                seen += 1
                assert clips.iou(detections.mask[row], clips.centres(index)[kind]) > 0.55
        if result.boxes.is_track:
            np.testing.assert_array_equal(detections.tracker_id, result.boxes.id.int())

    assert seen > 30
