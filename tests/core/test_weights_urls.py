"""Checkpoints at plain URLs: resumed where the connection broke, and refused when wrong."""

from __future__ import annotations

import contextlib
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest
from hub_server import CONTENT, GIT_BLOB, REPO, SHA256, HubServer, Terminal, leftovers, model, serving

from lightsam_plugins.errors import ChecksumError, DownloadError
from lightsam_plugins.weights import fetch, is_downloaded, urls


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The loopback server."""
    with serving(tmp_path, monkeypatch) as running:
        yield running


def test_url_download(server: HubServer, tmp_path: pathlib.Path) -> None:
    """A plain URL is downloaded once, with a progress bar, into the user's cache."""
    _, url = server.add_url("/files/fake.pt", CONTENT)

    with contextlib.redirect_stderr(Terminal()) as stderr:
        path = fetch(model(url=url))

    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "user" / "lightsam")
    assert "fake.pt: 100%" in stderr.getvalue()
    assert fetch(model(url=url)) == path
    assert len(server.requests) == 1


def test_url_redirect_and_git_blob(server: HubServer, tmp_path: pathlib.Path) -> None:
    """Redirects are followed, and a git blob id will do where no sha256 is published."""
    server.add_hub(REPO, "fake.pt", CONTENT)
    url = f"{server.endpoint}/{REPO}/resolve/main/fake.pt"

    assert fetch(model(url=url, sha256=None, git_blob=GIT_BLOB), progress=False).read_bytes() == CONTENT
    with pytest.raises(ChecksumError, match="git blob id 0000.*got .*git blob id " + GIT_BLOB):
        fetch(model(url=url, sha256=None, git_blob="0" * 40), progress=False)


@pytest.mark.parametrize("etag", [True, False])
def test_url_cut_is_resumed_at_once(server: HubServer, tmp_path: pathlib.Path, etag: bool) -> None:
    """A broken connection goes on from where it broke, with and without an ETag to go by."""
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.cuts, served.etag = [100_000, 50_000], served.etag if etag else None

    assert fetch(model(url=url), progress=False).read_bytes() == CONTENT
    assert [headers.get("Range") for headers in server.asked("GET")] == [
        None,
        "bytes=100000-",
        "bytes=150000-",
    ]
    assert ("If-Range" in server.asked("GET")[1]) == etag


def test_url_cut_then_resumed_later(server: HubServer, tmp_path: pathlib.Path) -> None:
    """A download that fails for good leaves its part, no final file, and the next call goes on from there."""
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.cuts = [100_000, 0, 0, 0, 0]
    spec = model(url=url)

    with pytest.raises(DownloadError, match=r"cut after 100000 of 300000 bytes.*goes on where it stopped"):
        fetch(spec, progress=False)
    assert leftovers(tmp_path) == ["fake.pt.part"]
    assert is_downloaded(spec) is None
    served.cuts = []
    path = fetch(spec, progress=False)

    assert path.read_bytes() == CONTENT
    assert server.asked("GET")[-1]["Range"] == "bytes=100000-"
    assert leftovers(tmp_path) == ["fake.pt"]


def test_url_changed_while_away(server: HubServer, tmp_path: pathlib.Path) -> None:
    """A part of an older file is not continued with a newer one: the ETag tells, and it starts again."""
    served, url = server.add_url("/files/fake.pt", CONTENT[::-1])
    served.cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError):
        fetch(model(url=url), progress=False)
    server.add_url("/files/fake.pt", CONTENT)

    assert fetch(model(url=url), progress=False).read_bytes() == CONTENT


def test_a_login_page_costs_nothing(server: HubServer, tmp_path: pathlib.Path) -> None:
    """What came before is kept when a network answers with a page of its own, and the download goes on."""
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError):
        fetch(model(url=url), progress=False)
    served.content, served.ranges = b"<html>please log in</html>", False
    with pytest.raises(ChecksumError, match="a file of 26 bytes"):
        fetch(model(url=url), progress=False)
    served.content, served.ranges = CONTENT, True

    assert fetch(model(url=url), progress=False).read_bytes() == CONTENT
    assert server.asked("GET")[-1]["Range"] == "bytes=100000-"


def test_url_without_ranges(server: HubServer, tmp_path: pathlib.Path) -> None:
    """A server that cannot go on from the middle is asked for all of it again."""
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.cuts, served.ranges = [100_000], False

    assert fetch(model(url=url), progress=False).read_bytes() == CONTENT


def test_url_of_unknown_length(server: HubServer, tmp_path: pathlib.Path) -> None:
    """Without a Content-Length, the registry's size says when a file is cut."""
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.sized, served.cuts = False, [1234]

    assert fetch(model(url=url), progress=False).read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (CONTENT[::-1], "a file with sha256"),
        (b"<html>please log in</html>" * 20_000, "a file of .*bytes"),
    ],
)
def test_url_wrong_file(
    server: HubServer, tmp_path: pathlib.Path, wrong: bytes, got: str, sized: bool
) -> None:
    """Another content or a longer file is refused, named, and nothing of it is kept."""
    served, url = server.add_url("/files/fake.pt", wrong)
    served.sized = sized

    with pytest.raises(ChecksumError, match=rf"'fake\.pt' of 'fake': expected 300000 bytes.*{url}: {got}"):
        fetch(model(url=url), progress=False)

    assert leftovers(tmp_path) == []


def test_url_server_errors(server: HubServer, tmp_path: pathlib.Path) -> None:
    """An overloaded server is asked again; a refusal is final."""
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.statuses = [503, 429]
    assert fetch(model(url=url), progress=False).read_bytes() == CONTENT

    served, url = server.add_url("/files/secret.pt", CONTENT)
    served.statuses = [403, 403]
    with pytest.raises(DownloadError, match="HTTP 403"):
        fetch(model(url=url, sha256="0" * 64), progress=False)
    assert len(served.statuses) == 1


def test_url_stall(server: HubServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that goes silent is given up after the timeout; what came is kept."""
    monkeypatch.setattr(urls, "TIMEOUT", 0.2)
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.stall.set()

    with pytest.raises(DownloadError, match="timed out"):
        fetch(model(url=url), progress=False)

    assert leftovers(tmp_path) == ["fake.pt.part"]


def test_a_complete_part_needs_no_request(
    server: HubServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that is whole is verified and used; one that is too long or of another file is thrown away."""
    _, url = server.add_url("/files/fake.pt", CONTENT)
    part = tmp_path / "user" / "lightsam" / "urls" / SHA256[:16] / "fake.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    path = fetch(model(url=url), progress=False)
    assert path.read_bytes() == CONTENT
    assert server.requests == []

    path.unlink()
    part.write_bytes(CONTENT + b"?")
    assert fetch(model(url=url), progress=False).read_bytes() == CONTENT


def test_only_http(server: HubServer, tmp_path: pathlib.Path) -> None:
    """No other scheme is opened: a registry entry cannot name a local file."""
    (tmp_path / "local.pt").write_bytes(CONTENT)

    with pytest.raises(DownloadError, match="neither http nor https"):
        fetch(model(url=(tmp_path / "local.pt").as_uri()), progress=False)


@pytest.mark.skipif(sys.platform != "linux", reason="the device that is always full is Linux's")
def test_disk_full_while_writing(server: HubServer, tmp_path: pathlib.Path) -> None:
    """A disk that fills up on the way is a clear error."""
    _, url = server.add_url("/files/fake.pt", CONTENT)
    folder = tmp_path / "user" / "lightsam" / "urls" / SHA256[:16]
    folder.mkdir(parents=True)
    (folder / "fake.pt.part").symlink_to("/dev/full")

    with pytest.raises(DownloadError, match=r"no space left in .*Set LIGHTSAM_CACHE"):
        fetch(model(url=url), progress=False)


def test_ctrl_c_leaves_a_part(server: HubServer, tmp_path: pathlib.Path) -> None:
    """Ctrl-C on the way ends the program, and leaves a part from which the next call goes on."""
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.stall.set()
    # In a job of the background Ctrl-C is ignored, unless the program asks for it.
    program = textwrap.dedent(f"""
        import signal
        from lightsam_plugins.registry import ModelSpec, WeightFile
        from lightsam_plugins.weights import fetch
        signal.signal(signal.SIGINT, signal.default_int_handler)
        weights = WeightFile("fake.pt", {len(CONTENT)}, {SHA256!r}, url={url!r})
        fetch(ModelSpec("fake", "x:y", weights, 1, 64, 64, "MIT", "MIT", "", "", "fast"), progress=False)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    part = tmp_path / "user" / "lightsam" / "urls" / SHA256[:16] / "fake.pt.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]

    assert "KeyboardInterrupt" in error
    assert leftovers(tmp_path) == ["fake.pt.part"]
    served.stall.clear()
    assert fetch(model(url=url), progress=False).read_bytes() == CONTENT
    assert server.asked("GET")[-1]["Range"].startswith("bytes=")


def test_two_at_once(server: HubServer, tmp_path: pathlib.Path) -> None:
    """Two threads that want the same file download it once."""
    served, url = server.add_url("/files/fake.pt", CONTENT)
    served.stall.set()
    found: list[pathlib.Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(model(url=url), progress=False))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    served.released.set()
    for thread in threads:
        thread.join(30)

    assert [path.read_bytes() == CONTENT for path in found] == [True, True]
    assert len(server.requests) == 1
