"""Hosts write their settings where tests may, and read a video that the tests wrote."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# `--import-mode=importlib` leaves `sys.path` alone.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "core")]


@pytest.fixture(scope="session")
def ultralytics_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """Ultralytics, with its settings in a folder of the tests and no look at the network."""
    patch = pytest.MonkeyPatch()
    patch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("ultralytics")))
    patch.setenv("YOLO_OFFLINE", "1")
    yield patch
    patch.undo()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video file of 300 frames, written by OpenCV."""
    import clips

    return clips.write(tmp_path_factory.mktemp("clip") / "clip.avi", map(clips.frame, range(clips.FRAMES)))


@pytest.fixture(scope="session")
def pyav_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same frames, written by PyAV."""
    import clips

    return clips.write_by_pyav(
        tmp_path_factory.mktemp("clip") / "clip.mp4", map(clips.frame, range(clips.FRAMES))
    )
