"""Checkpoints come from the Hub for real, are verified, found again, and refused when wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hub_server import CONTENT, GIT_BLOB, REPO, SHA256, HubServer, Terminal, leftovers, model, serving

from lightsam_plugins.errors import ChecksumError, DownloadError, WeightsError
from lightsam_plugins.weights import cache_dir, fetch, is_downloaded, sources, verify


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The loopback server."""
    with serving(tmp_path, monkeypatch) as running:
        yield running


def test_hub_download_and_second_call(server: HubServer, tmp_path: pathlib.Path) -> None:
    """huggingface_hub itself downloads into its own cache, with a progress bar; then no request is made."""
    server.add_hub(REPO, "fake.pt", CONTENT)

    with contextlib.redirect_stderr(Terminal()) as stderr:
        path = fetch(model(repo=REPO))
    first = len(server.requests)

    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "hf" / "models--someone--fake-sam")
    assert "fake.pt: 100%" in stderr.getvalue()
    assert fetch(model(repo=REPO)) == path
    assert is_downloaded(model(repo=REPO)) == path
    assert len(server.requests) == first


def test_progress_can_be_off(server: HubServer, tmp_path: pathlib.Path) -> None:
    """progress=False prints nothing, for both kinds of sources."""
    server.add_hub(REPO, "fake.pt", CONTENT)
    _, url = server.add_url("/files/fake.pt", CONTENT)

    with contextlib.redirect_stderr(Terminal()) as stderr:
        fetch(model(repo=REPO), progress=False)
        fetch(model(url=url), progress=False)

    assert stderr.getvalue() == ""


def test_hub_small_file_and_revision(server: HubServer, tmp_path: pathlib.Path) -> None:
    """A file that lies in git itself comes without a redirect; the revision is asked for."""
    served = server.add_hub(REPO, "sub/fake.pt", CONTENT, revision="v1.0")
    served.lfs, served.etag = False, f'"{GIT_BLOB}"'

    path = fetch(model(repo=REPO, filename="sub/fake.pt", revision="v1.0", sha256=None, git_blob=GIT_BLOB))

    assert path.read_bytes() == CONTENT
    assert not server.asked("GET", "main")


@pytest.mark.parametrize("right", ["sha256", "git_blob"])
def test_either_hash_is_enough(server: HubServer, tmp_path: pathlib.Path, right: str) -> None:
    """Of a file whose sha256 and git blob id are published, each is enough; with neither it is refused by both."""
    server.add_hub(REPO, "fake.pt", CONTENT)
    wrong = {"sha256": "0" * 64, "git_blob": "0" * 40}
    known = wrong | {right: {"sha256": SHA256, "git_blob": GIT_BLOB}[right]}

    assert fetch(model(repo=REPO, **known), progress=False).read_bytes() == CONTENT
    with pytest.raises(ChecksumError, match=rf"sha256 {'0' * 64} or git blob id {'0' * 40}.*sha256 {SHA256}"):
        fetch(model(repo=REPO, **wrong), progress=False)


def test_hub_connection_cut_is_resumed(server: HubServer, tmp_path: pathlib.Path) -> None:
    """A connection that breaks goes on by a range request: at once, or in old versions at the next call.

    huggingface_hub works in pieces of 10 MiB.
    """
    content = CONTENT * 40
    server.add_hub(REPO, "fake.pt", content).cuts = [11_000_000]
    spec = model(repo=REPO, size=len(content), sha256=hashlib.sha256(content).hexdigest())

    with contextlib.suppress(DownloadError):
        fetch(spec, progress=False)

    assert fetch(spec, progress=False).read_bytes() == content
    assert [headers.get("Range") for headers in server.asked("GET", "storage")] == [None, "bytes=10485760-"]


@pytest.mark.parametrize("wrong", [CONTENT[::-1], CONTENT[:1000], CONTENT + b"more"])
def test_hub_wrong_file(server: HubServer, tmp_path: pathlib.Path, wrong: bytes) -> None:
    """A file of another content or size is refused, named, and neither blob nor link stays in the cache."""
    server.add_hub(REPO, "fake.pt", wrong)

    with pytest.raises(ChecksumError, match=r"'fake\.pt' of 'fake': expected 300000 bytes with sha256 .*got"):
        fetch(model(repo=REPO), progress=False)

    assert leftovers(tmp_path) == []
    assert is_downloaded(model(repo=REPO)) is None
    server.add_hub(REPO, "fake.pt", CONTENT)
    assert fetch(model(repo=REPO), progress=False).read_bytes() == CONTENT


def test_hub_then_url(server: HubServer, tmp_path: pathlib.Path) -> None:
    """Where the Hub has no such file, the URL is asked."""
    _, url = server.add_url("/files/fake.pt", CONTENT)

    assert fetch(model(repo=REPO, url=url), progress=False).read_bytes() == CONTENT


def test_wrong_on_the_hub_right_at_the_url(server: HubServer, tmp_path: pathlib.Path) -> None:
    """A wrong file on the Hub does not stop the right one at the URL."""
    server.add_hub(REPO, "fake.pt", CONTENT[::-1])
    _, url = server.add_url("/files/fake.pt", CONTENT)

    path = fetch(model(repo=REPO, url=url), progress=False)

    assert path.read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["fake.pt"]


def test_every_source_is_listed(server: HubServer, tmp_path: pathlib.Path) -> None:
    """When all fail, the error names each source with its reason and what to do."""
    spec = model(repo=REPO, url=f"{server.endpoint}/none.pt")

    with pytest.raises(
        DownloadError, match=r"Hub someone/fake-sam \(main\): .*NotFound.*none\.pt: HTTP 404"
    ) as caught:
        fetch(spec, progress=False)
    assert "weights=PATH to load('fake'), or --weights PATH" in str(caught.value)
    assert str(caught.value).count("Check the network") == 1


def test_no_network(server: HubServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub and a server that are not there are reported in seconds."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()

    with pytest.raises(DownloadError, match=r"Connect.*127\.0\.0\.1:9/fake\.pt: URLError"):
        fetch(model(repo=REPO, url="http://127.0.0.1:9/fake.pt"), progress=False)

    assert time.monotonic() - start < 10


@pytest.mark.parametrize("source", ["hub", "url"])
def test_changed_file_is_noticed_and_replaced(
    server: HubServer, tmp_path: pathlib.Path, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that was verified and then altered, even with its times put back, is named and fetched again."""
    server.add_hub(REPO, "fake.pt", CONTENT)
    _, url = server.add_url("/files/fake.pt", CONTENT)
    spec = model(repo=REPO) if source == "hub" else model(url=url)
    path = fetch(spec, progress=False)
    times = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert fetch(spec, progress=False).read_bytes() == CONTENT
    assert f"{path} was a file with sha256" in caplog.text


def test_changed_file_offline(server: HubServer, tmp_path: pathlib.Path) -> None:
    """Offline, an altered file is refused and removed."""
    _, url = server.add_url("/files/fake.pt", CONTENT)
    path = fetch(model(url=url), progress=False)
    path.write_bytes(CONTENT[:-5])

    with pytest.raises(ChecksumError, match=r"the cache \(.*fake\.pt\): a file of 299995 bytes.*removed"):
        fetch(model(url=url), offline=True)

    assert not path.exists()


def test_hashed_once(server: HubServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verified file is not hashed at every load, and is hashed again in another cache."""
    _, url = server.add_url("/files/fake.pt", CONTENT)
    hashed = []
    real = verify.difference
    for module in (sources, sys.modules["lightsam_plugins.weights.fetching"]):
        monkeypatch.setattr(module, "difference", lambda *a, **k: hashed.append(a[0].name) or real(*a, **k))

    for _ in range(3):
        fetch(model(url=url), progress=False)
    assert hashed == ["fake.pt.part", "fake.pt"]
    fetch(model(url=url), cache_dir=tmp_path / "other", progress=False)

    assert len(hashed) == 4


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "LIGHTSAM_OFFLINE"])
def test_offline(
    server: HubServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Offline, what is on disk is used and the rest is refused with the next step; nothing is asked."""
    server.add_hub(REPO, "fake.pt", CONTENT)
    monkeypatch.setenv(variable, "1")
    with pytest.raises(
        DownloadError,
        match=rf"'fake\.pt' of 'fake'.*{variable} is set.*lightsam download fake.*--weights PATH",
    ):
        fetch(model(repo=REPO))
    with pytest.raises(DownloadError, match="offline=True"):
        fetch(model(repo=REPO), offline=True)
    assert server.requests == []

    monkeypatch.delenv(variable)
    fetch(model(repo=REPO), progress=False)
    done = len(server.requests)
    monkeypatch.setenv(variable, "1")

    assert fetch(model(repo=REPO)).read_bytes() == CONTENT
    assert fetch(model(repo=REPO), offline=True).read_bytes() == CONTENT
    assert len(server.requests) == done


def test_caches_follow_the_environment(
    server: HubServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LIGHTSAM_CACHE, or cache_dir for one call, holds both kinds of files."""
    server.add_hub(REPO, "fake.pt", CONTENT)
    _, url = server.add_url("/files/fake.pt", CONTENT)
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path / "mine"))

    assert cache_dir() == tmp_path / "mine"
    assert fetch(model(repo=REPO), progress=False).is_relative_to(tmp_path / "mine" / "hub")
    assert fetch(model(url=url), progress=False).is_relative_to(tmp_path / "mine" / "urls")
    path = fetch(model(repo=REPO, url=url), cache_dir=tmp_path / "other", progress=False)
    assert path.is_relative_to(tmp_path / "other")


@pytest.mark.parametrize("source", ["hub", "url"])
def test_cache_that_cannot_be_written(
    server: HubServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A cache folder that cannot be made is a clear error, with the variable that helps."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path / "file" / "cache"))
    server.add_hub(REPO, "fake.pt", CONTENT)
    _, url = server.add_url("/files/fake.pt", CONTENT)

    with pytest.raises(DownloadError, match=r"cannot write to '.*file.*Set LIGHTSAM_CACHE"):
        fetch(model(repo=REPO) if source == "hub" else model(url=url), progress=False)


@pytest.mark.parametrize("source", ["hub", "url"])
def test_disk_too_small(
    server: HubServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A file that does not fit on the disk is not even begun."""
    server.add_hub(REPO, "fake.pt", CONTENT)
    _, url = server.add_url("/files/fake.pt", CONTENT)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    with pytest.raises(DownloadError, match=r"no space left in .*: 300000 bytes are needed, 1000 are free"):
        fetch(model(repo=REPO) if source == "hub" else model(url=url), progress=False)

    assert server.asked("GET") == []


def test_bundled(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundled weights come from the package, verified, without a cache; a missing or damaged one says so."""
    fetching = sys.modules["lightsam_plugins.weights.fetching"]
    monkeypatch.setattr(fetching.resources, "files", lambda _: tmp_path)
    spec = model(bundled=True)
    assert is_downloaded(spec) is None
    with pytest.raises(WeightsError, match=r"not in the package.*Install the package again"):
        fetch(spec)

    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "fake.pt").write_bytes(CONTENT)
    assert fetch(spec) == is_downloaded(spec) == tmp_path / "assets" / "fake.pt"
    (tmp_path / "assets" / "fake.pt").write_bytes(CONTENT[::-1])
    with pytest.raises(ChecksumError, match=r"damaged.*pip install"):
        fetch(spec)


def test_no_torch_for_downloads() -> None:
    """Listing and downloading models does not take the time to import torch."""
    code = "import sys, json, lightsam_plugins.weights as w; print(json.dumps('torch' in sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) is False
