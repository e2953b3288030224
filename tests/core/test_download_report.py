"""A download tells how far it is, and stops when it is told to."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from hub_server import CONTENT, REPO, HubServer, model, serving

from lightsam_plugins.devices import use_threads
from lightsam_plugins.errors import Cancelled, OptionError
from lightsam_plugins.weights import fetch


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The loopback server."""
    with serving(tmp_path, monkeypatch) as running:
        yield running


@pytest.mark.parametrize("hub", [True, False], ids=["hub", "url"])
def test_a_download_is_reported_and_stopped(
    server: HubServer, hub: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps are told with the whole size; False stops it, and the next try gets the file."""
    if hub:
        server.add_hub(REPO, "fake.pt", CONTENT)
        spec = model(repo=REPO)
    else:
        spec = model(url=server.add_url("/files/fake.pt", CONTENT)[1])

    with pytest.raises(Cancelled, match="the download of fake.pt was stopped after"):
        fetch(spec, progress=False, report=lambda done, total: False)

    steps: list[tuple[int, int]] = []
    path = fetch(spec, progress=False, report=lambda done, total: steps.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("count", [0, True, 1.5])
def test_threads_are_a_whole_number(count: int) -> None:
    """Less than one thread cannot work."""
    with pytest.raises(OptionError, match=f"threads: expected a whole number >= 1, got {count}"):
        use_threads(count)
