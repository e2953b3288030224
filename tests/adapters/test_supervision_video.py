"""supervision's own video tools around `refine`: frames, ids and counts of a real file, exactly."""

from __future__ import annotations

from pathlib import Path

import clips
import numpy as np
import pytest
import supervision as sv
from fake_network import wand_segmenter

import lightsam_plugins as ls
from lightsam_supervision import LightSAM


@pytest.fixture(scope="module")
def sam() -> LightSAM:
    """`nano` for frames of OpenCV."""
    return LightSAM("nano", bgr=True, device="cpu")


def tracked(index: int) -> sv.Detections:
    """What a perfect tracker knows of a frame: two ids, in another order in each second frame."""
    order = [0, 1] if index % 2 else [1, 0]
    return sv.Detections(
        xyxy=clips.boxes(index)[order], tracker_id=np.array([11, 22])[order], class_id=np.zeros(2, int)
    )


@pytest.mark.parametrize("source", ["clip", "pyav_clip"])
def test_a_whole_video_keeps_frames_ids_and_counts(
    source: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Through `sv.process_video`: 300 frames in order, each id with the mask of its own box, and who is in the zone."""
    exact = LightSAM(wand_segmenter(), bgr=True)  # fills its boxes
    zone = sv.PolygonZone(np.array([(104, 0), (208, 0), (208, 100), (104, 100)]), [sv.Position.CENTER])
    counts = []

    def annotate(image: np.ndarray, index: int) -> np.ndarray:
        assert clips.number(image) == index
        refined = exact.refine(image, tracked(index))
        counts.append(int(zone.trigger(refined).sum()))
        assert sorted(refined.tracker_id) == [11, 22]
        for row, identity in enumerate(refined.tracker_id):
            box = np.clip(clips.boxes(index)[int(identity == 22)], 0, clips.SIZE[::-1] * 2)
            x0, y0 = refined.mask.offsets[row]
            height, width = refined.mask.crop(row).shape
            if (box[2:] - box[:2]).min() >= 2:
                np.testing.assert_allclose((x0, y0, x0 + width, y0 + height), box, atol=1.5)
                assert refined.mask.crop(row).mean() > 0.97  # but for the corners
        return sv.BoxAnnotator(color_lookup=sv.ColorLookup.TRACK).annotate(image, refined)

    sv.process_video(str(request.getfixturevalue(source)), str(tmp_path / "out.mp4"), annotate)

    assert len(counts) == clips.FRAMES
    expected = [int(104 <= clips.centres(index)[0, 0] < 208) for index in range(clips.FRAMES)]
    assert np.abs(np.subtract(counts, expected)).sum() <= 2  # the zone is of whole pixels
    for read in (clips.read, clips.read_by_pyav):
        assert [clips.number(image) for image in read(tmp_path / "out.mp4")] == list(range(clips.FRAMES))


def test_discs_of_a_video_are_segmented(sam: LightSAM, clip: Path) -> None:
    """With `nano`, in every twentieth frame, each id that is in the frame has the mask of its disc."""
    for index, image in enumerate(sv.get_video_frames_generator(str(clip), stride=20)):
        refined = sam.refine(image, tracked(index * 20))
        for row, identity in enumerate(refined.tracker_id):
            disc = int(identity == 22)
            if clips.inside(index * 20)[disc]:
                assert clips.iou(refined.mask[row], clips.centres(index * 20)[disc]) > 0.55


def test_batches_of_frames_are_the_single_frames(sam: LightSAM, clip: Path) -> None:
    """Frames taken eight at a time have the masks and ids they have alone, but for rounding."""
    frames = list(sv.get_video_frames_generator(str(clip), start=40, end=56))
    detections = [tracked(index) for index in range(40, 56)]
    batched = sam.refine(frames, detections)

    assert [one.tracker_id.tolist() for one in batched] == [one.tracker_id.tolist() for one in detections]
    for image, one, together in zip(frames, detections, batched, strict=True):
        alone = sam.refine(image, one).mask.to_dense()
        assert (alone ^ together.mask.to_dense()).sum() <= 0.005 * alone.sum()


def test_frames_of_another_size_and_without_objects_go_on(sam: LightSAM) -> None:
    """A stream that changes its size, or shows nothing for a while, is refined frame by frame."""
    image = clips.frame(100)
    stream = [
        (image, tracked(100)),
        (image, sv.Detections.empty()),
        (np.repeat(np.repeat(image, 2, 0), 2, 1), sv.Detections(xyxy=2 * clips.boxes(100))),
        (image[:90], tracked(100)),
    ]
    answers = [sam.refine(frame, detections) for frame, detections in stream]

    assert [len(one) for one in answers] == [2, 0, 2, 2]
    assert [one.mask.shape[1:] for one in answers] == [frame.shape[:2] for frame, _ in stream]
    np.testing.assert_allclose(answers[2].mask.area, 4 * answers[0].mask.area[::-1], rtol=0.1)


def test_a_file_that_breaks_off_gives_what_there_is(clip: Path, tmp_path: Path) -> None:
    """Of a video cut in its middle the frames that can be read are refined, in order, and the output has them all."""
    broken = tmp_path / "broken.avi"
    broken.write_bytes(clip.read_bytes()[: clip.stat().st_size // 3])
    exact, seen = LightSAM(wand_segmenter(), bgr=True), []

    def annotate(image: np.ndarray, index: int) -> np.ndarray:
        seen.append(clips.number(image))
        return image if len(exact.refine(image, tracked(index)).mask) == 2 else image * 0

    sv.process_video(str(broken), str(tmp_path / "out.mp4"), annotate)

    assert 50 < len(seen) < clips.FRAMES
    assert seen == list(range(len(seen)))
    assert [clips.number(image) for image in clips.read(tmp_path / "out.mp4")] == seen


def test_no_frame_is_an_error_that_says_so(sam: LightSAM) -> None:
    """What a source hands out at its end (None), or without pixels, is named."""
    with pytest.raises(
        ls.ImageError, match="not an image: expected a numpy array, a PIL image or a path, got NoneType"
    ):
        sam.refine(None, tracked(3))  # type: ignore[call-overload]
    with pytest.raises(ls.ImageError, match="the image has no pixels"):
        sam.refine(np.empty((0, 10, 3), np.uint8), tracked(3))
