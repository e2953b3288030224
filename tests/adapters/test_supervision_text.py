"""`predict(text=)` on the way that users go: CLIP is fetched from a Hub, and chooses among the masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_clip
from fake_network import blocks, wand_segmenter
from hub_server import HubServer

import lightsam_plugins as ls
from lightsam_plugins.text_clip import FILES
from lightsam_supervision import LightSAM

IMAGE, BLOCKS = blocks()
TEXTS = ["a dog", "a cup of tea", "zebra"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub with a CLIP of a few thousand weights."""
    with tiny_clip.served(tiny_clip.write(tmp_path / "tiny"), tmp_path, monkeypatch) as running:
        yield running


def test_each_text_is_a_row_named_after_it(server: HubServer) -> None:
    """Rows are in the order of the texts: class, name, mask and rating are those that the core finds in RGB."""
    sam = LightSAM(wand_segmenter(), bgr=True)
    found = sam.predict(IMAGE[..., ::-1], text=TEXTS)
    expected = sam.model.segment(IMAGE, text=TEXTS)

    fetched = [path.rpartition("/")[2] for verb, path, _ in server.requests if verb == "GET"]
    assert sorted(fetched) == sorted(FILES)
    assert len({tuple(box) for box in expected.boxes.tolist()}) > 1
    assert found.class_id.tolist() == [0, 1, 2]
    assert found.data["class_name"].tolist() == TEXTS
    np.testing.assert_array_equal(found.xyxy, expected.boxes)
    np.testing.assert_array_equal(found.confidence, expected.scores)
    np.testing.assert_array_equal(found.mask.to_dense(), expected.dense())


def test_several_frames_are_asked_for_the_same_texts(server: HubServer) -> None:
    """A list of frames gives a list, each as the frame alone; one text is a list of one."""
    sam = LightSAM(wand_segmenter())
    flipped = np.ascontiguousarray(IMAGE[:, ::-1])
    both = sam.predict([IMAGE, flipped], text="zebra")

    assert [len(one) for one in both] == [1, 1]
    assert both == [sam.predict(IMAGE, text="zebra"), sam.predict(flipped, text=["zebra"])]


def test_a_text_that_cannot_be_read_is_told(server: HubServer) -> None:
    """An empty text, and one longer than the CLIP reads, are named by their row."""
    sam = LightSAM(wand_segmenter())
    with pytest.raises(ls.PromptError, match="text 1 is empty"):
        sam.predict(IMAGE, text=["a dog", " "])
    with pytest.raises(ls.PromptError, match="text 0 is too long for CLIP"):
        sam.predict(IMAGE, text="zebra " * 20)
