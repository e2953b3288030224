"""`make_napari_viewer_proxy` is used in a process of its own, see `proxied.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from window import screen

HERE = Path(__file__).parent


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the screen lives on
@pytest.mark.timeout(900)
def test_the_hands_whole_way_by_public_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under napari's own fixture the suite passes: no private name is read, and no window leaks."""
    monkeypatch.setenv("DISPLAY", os.environ.get("DISPLAY", ""))
    screen.__wrapped__()  # one of its own, since a screen ends with its last client
    options = [
        "-p",
        "pytest-qt",
        "-p",
        "napari",
        "-W",
        "ignore",
        "-q",
    ]  # napari's own classes warn as they are made
    command = [sys.executable, "-m", "pytest", *options, str(HERE / "proxied.py")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[2], check=False)
    assert result.returncode == 0, result.stdout[-4000:]
    assert "2 passed" in result.stdout
