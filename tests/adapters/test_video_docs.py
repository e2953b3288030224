"""The first code of the pages on video runs as it stands, and so do the examples."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import sys
from pathlib import Path

import clips
import cv2
import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("page", "picture"), [("supervision", "coins.png"), ("ultralytics", "coins.png"), ("video", None)]
)
def test_the_first_code_of_a_page_runs(
    page: str,
    picture: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ultralytics_settings: pytest.MonkeyPatch,
) -> None:
    """It runs in an empty folder, and the picture it writes shows the photo with masks on it."""
    code = re.search(r"```python\n(.+?)```", (DOCS / f"{page}.md").read_text("utf-8"), re.DOTALL)
    assert code
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code[1], {"__name__": "page"})

    if picture is None:
        assert printed.getvalue().splitlines()[9].startswith("9 [0] ['visible']")
    else:
        assert cv2.imread(str(tmp_path / picture)).std(axis=2).max() > 20  # the photo is grey


def test_the_code_for_a_video_file_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ultralytics_settings: pytest.MonkeyPatch
) -> None:
    """On a clip of 40 frames it writes as many, and the disc that was clicked, and nothing else, has another colour."""
    code = re.findall(r"```python\n(.+?)```", (DOCS / "video.md").read_text("utf-8"), re.DOTALL)[1]
    clips.write_by_pyav(tmp_path / "clip.mp4", map(clips.frame, range(40)))
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "page"})
    written = list(clips.read(tmp_path / "masks.mp4"))

    assert len(written) == 40
    changed = np.abs(written[39].astype(int) - clips.frame(39)).max(-1) > 40
    x, y = clips.centres(39)[1].round().astype(int)
    assert changed[y - 8 : y + 8, x - 8 : x + 8].mean() > 0.9
    assert changed[:, 110:].mean() < 0.02


@pytest.mark.parametrize(
    ("name", "video"), [("supervision_zone", "zone.mp4"), ("ultralytics_zone", "zone.avi")]
)
def test_an_example_counts_what_is_in_the_zone(
    name: str,
    video: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ultralytics_settings: pytest.MonkeyPatch,
) -> None:
    """The first 40 frames of the clip after the second without coins, and the count of the coins in the right half."""
    monkeypatch.syspath_prepend(str(DOCS / "examples"))
    spec = importlib.util.spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, example)
    spec.loader.exec_module(example)
    short = example.write_clip
    monkeypatch.setattr(example, "write_clip", lambda path: short(path, frames=40))
    counts = example.main(tmp_path)

    assert counts[:30] == [0] * 30
    assert counts[-30:] == [1] * 30  # the first coin is in the left half
    assert len(list(clips.read(tmp_path / video))) == len(counts) == 70
