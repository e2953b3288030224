"""A loopback server that speaks as much of the Hugging Face Hub's API as a download takes, and plain HTTP.

Hub files are answered like large files there: `resolve` redirects to another host, with the hash of the file
as its ETag. `127.0.0.1` plays the Hub and `localhost` the storage behind it.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import pathlib
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import huggingface_hub.file_download  # noqa: F401 - before any test, as its logger keeps the stderr it finds
import pytest

from lightsam_plugins.registry import ModelSpec, WeightFile
from lightsam_plugins.weights import urls

COMMIT = "1234567890abcdef1234567890abcdef12345678"


CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT_BLOB = hashlib.sha1(b"blob 300000\0" + CONTENT).hexdigest()
REPO = "someone/fake-sam"
_VARIABLES = ("LIGHTSAM_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "LIGHTSAM_CACHE", "HF_TOKEN")


def model(**changes: object) -> ModelSpec:
    """A registry entry of a model that does not exist, for `CONTENT` unless changed."""
    weights = replace(WeightFile("fake.pt", len(CONTENT), SHA256), **changes)  # type: ignore[arg-type]
    return ModelSpec("fake", "nowhere:build", weights, 1, 64, 64, "MIT", "MIT", "", "", "fast")


def leftovers(folder: pathlib.Path) -> list[str]:
    """Files below `folder` that hold (part of) a checkpoint, and dangling links."""
    files = [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]
    return sorted(path.name for path in files if not path.exists() or path.stat().st_size > 2000)


class Terminal(io.StringIO):
    """What progress bars take for a terminal."""

    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def serving(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A running server that is the Hub; all caches are under `folder`, and retries do not wait."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "user"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hf"))
    monkeypatch.setattr(urls, "PAUSE", 0.0)
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


class Served:
    """A file and how it is served. Change the attributes while the server runs.

    Args:
        content: What is sent.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.ranges = True  # answers range requests
        self.etag: str | None = f'"{hashlib.sha256(content).hexdigest()}"'
        self.lfs = True  # on the Hub: a large file, behind a redirect
        self.sized = True  # says its length
        self.cuts: list[int] = []  # the next answers end after so many bytes
        self.statuses: list[int] = []  # the next GET answers are these errors
        self.stall = threading.Event()  # set while downloads hang after their first bytes
        self.released = threading.Event()


class HubServer:
    """The server, as a context manager.

    Attributes:
        requests: (method, path, headers) of every request, in order.
    """

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self._server = _Server(self)
        self.port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for served in self.files.values():
            served.released.set()
        self._server.shutdown()
        self._server.server_close()

    def add_hub(self, repo: str, filename: str, content: bytes, revision: str = "main") -> Served:
        """Offer a file of a repository, for HF_ENDPOINT = `endpoint`."""
        served = Served(content)
        self.files[f"/{repo}/resolve/{revision}/{filename}"] = self.files[f"/storage/{filename}"] = served
        return served

    def add_url(self, path: str, content: bytes) -> tuple[Served, str]:
        """Offer a plain file.

        Returns:
            How it is served, and its address.
        """
        served = self.files[path] = Served(content)
        return served, self.endpoint + path

    def asked(self, method: str, part: str = "") -> list[dict[str, str]]:
        """Headers of the requests of one method whose path contains `part`."""
        return [headers for verb, path, headers in self.requests if verb == method and part in path]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: HubServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to print."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        files, path = self.server.hub.files, unquote(urlsplit(self.path).path)
        headers = {name.title(): value for name, value in self.headers.items()}
        self.server.hub.requests.append((self.command, path, headers))
        served = files.get(path)
        if served is None:
            known = any(path.split("/resolve/")[0] + "/resolve/" in name for name in files)
            code = "EntryNotFound" if known else "RepoNotFound"
            self.plain(404, {"X-Error-Code": code, "X-Error-Message": f"no {path} here"})
        elif body and served.statuses:
            self.plain(served.statuses.pop(0), {})
        elif "/resolve/" in path and served.lfs:
            self.redirect(path.split("/", 5)[5], served)
        else:
            self.send_file(served, body)

    def plain(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def redirect(self, filename: str, served: Served) -> None:
        headers = {
            "Location": f"http://localhost:{self.server.hub.port}/storage/{filename}",
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(served.content)),
            "X-Linked-ETag": str(served.etag),
        }
        self.plain(302, headers)

    def send_file(self, served: Served, body: bool) -> None:
        start, size = 0, len(served.content)
        same = self.headers.get("If-Range") in (None, served.etag)
        if served.ranges and same and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        if start and start >= size:
            self.plain(416, {"Content-Range": f"bytes */{size}"})
            return
        headers = {"ETag": served.etag, "X-Repo-Commit": COMMIT}
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        headers["Content-Length" if served.sized else "Connection"] = (
            str(size - start) if served.sized else "close"
        )
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if body:
            self.send_body(served, served.content[start:])

    def send_body(self, served: Served, data: bytes) -> None:
        if served.cuts:
            data = data[: served.cuts.pop(0)]
            self.close_connection = True
        resumed = len(data) < len(served.content)
        half = len(data) if not served.stall.is_set() else 0 if resumed else len(data) // 2
        self.wfile.write(data[:half])
        if half < len(data):
            self.wfile.flush()
            served.released.wait(30)
            self.wfile.write(data[half:])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has in the base class
        """Tests read `requests` instead."""
