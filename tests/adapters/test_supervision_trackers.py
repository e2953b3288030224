"""McByte of the package trackers, with our masks in the place of its SAM ViT-B."""

from __future__ import annotations

import sys
from typing import Any

import clips
import numpy as np
import pytest
import supervision as sv
from trackers import McByteTracker
from trackers.core.mcbyte import masks as host
from trackers.core.mcbyte.mask_manager import MaskManager
from trackers.core.mcbyte.masks.dummy import DummyIdentityMaskPropagator

import lightsam_plugins as ls
import lightsam_supervision
from lightsam_supervision import LightSAM, LightSAMMaskGenerator

FRAMES = range(60, 100)


@pytest.fixture(scope="module")
def generator() -> LightSAMMaskGenerator:
    """`nano` for McByte."""
    return LightSAMMaskGenerator("nano", device="cpu")


def snapshots(index: int) -> list[Any]:
    """The discs of a frame as McByte's tracklets."""
    return [host.TrackletSnapshot(id_, box) for id_, box in zip((7, 3), clips.boxes(index), strict=True)]


def test_it_gives_what_mcbyte_asks_for(generator: LightSAMMaskGenerator) -> None:
    """One full-size mask a tracklet, found by its id, with the predicted IoU as confidence; the masks of `refine`."""
    image = clips.frame(80)[..., ::-1]
    output = generator.generate(image, snapshots(80))

    assert isinstance(generator, host.MaskGenerator)
    assert output.masks is not None
    assert output.masks.dtype == bool
    assert output.tracklet_mask_dict == {7: 0, 3: 1}
    refined = LightSAM(generator.model).refine(image, sv.Detections(xyxy=clips.boxes(80)))
    np.testing.assert_array_equal(output.masks, np.asarray(refined.mask))
    assert output.mask_avg_prob_dict == pytest.approx(
        dict(zip((7, 3), refined.data["mask_score"], strict=True))
    )


def test_without_tracklets_and_outside_the_frame_there_are_no_pixels(
    generator: LightSAMMaskGenerator,
) -> None:
    """No tracklets give no masks of the frame's size; one that has left gives a mask without pixels."""
    image = clips.frame(0)[..., ::-1]
    nothing = generator.generate(image, [])
    gone = generator.generate(image, [host.TrackletSnapshot(5, np.array([-90, 10, -20, 40]))])

    assert nothing.masks is not None
    assert nothing.masks.shape == (0, *clips.SIZE)
    assert nothing.tracklet_mask_dict == {}
    assert gone.masks is not None
    assert gone.masks.sum() == 0
    assert gone.mask_avg_prob_dict == {5: 0}


def test_mcbyte_tracks_with_it(generator: LightSAMMaskGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real tracker and its manager ask for the masks of both discs once, and keep their ids for 40 frames."""
    asked: list[list[int]] = []
    generate = generator.generate

    def counting(frame: np.ndarray, tracklets: Any) -> Any:
        asked.append([one.tracker_id for one in tracklets])
        return generate(frame, tracklets)

    monkeypatch.setattr(generator, "generate", counting)
    manager = MaskManager(mask_generator=generator, mask_propagator=DummyIdentityMaskPropagator())
    tracker = McByteTracker(mask_manager=manager, minimum_mask_creation_frames=1, enable_cmc=False)
    rows = []
    for index in FRAMES:
        found = sv.Detections(xyxy=clips.boxes(index), confidence=np.full(2, 0.9), class_id=np.arange(2))
        tracked = tracker.update(found, frame=clips.frame(index)[..., ::-1])
        rows.append(dict(zip(tracked.class_id.tolist(), tracked.tracker_id.tolist(), strict=True)))

    assert rows == [rows[0]] * len(FRAMES)
    assert sorted(rows[0].values()) == [0, 1]
    assert [sorted(ids) for ids in asked] == [[0, 1]]
    output = tracker._last_mask_output
    assert output is not None
    assert output.masks is not None
    for disc, identity in rows[0].items():
        mask = output.masks[output.tracklet_mask_dict[identity]]
        assert clips.iou(mask, clips.centres(FRAMES[0])[disc]) > 0.8


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who asks for the generator needs trackers; then the error has the command."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trackers", None)
    monkeypatch.delitem(sys.modules, "lightsam_supervision.mask_generator")
    with pytest.raises(ls.MissingExtra, match=r'trackers 2.6 or newer, got .*pip install "trackers>=2.6"'):
        _ = lightsam_supervision.LightSAMMaskGenerator
