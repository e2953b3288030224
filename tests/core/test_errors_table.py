"""One test for each row of docs/errors.md: it does what the row says and compares class and message."""

from __future__ import annotations

import re
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import lightsam_plugins as ls
from lightsam_plugins import errors
from lightsam_plugins.images import load_image
from lightsam_plugins.prompts import make_prompts
from lightsam_plugins.registry import WeightFile, model_card
from lightsam_plugins.types import Frame
from lightsam_plugins.weights import fetch, urls

TABLE = Path(__file__).parents[2] / "docs" / "errors.md"
PHOTO = np.full((48, 64, 3), 128, np.uint8)
FRAME = Frame(48, 64, 1024)
SIZE = 4000


def table():
    """The rows of the document: bad input -> (name of the error, message)."""
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]
    return {row[0]: (row[1], row[2].strip("`")) for row in rows}


@pytest.fixture(scope="module")
def nano():
    """The model in the package."""
    return ls.load("nano", device="cpu")


@pytest.fixture
def server():
    """Address of a server whose files have 4000 bytes, except /cut, which ends after 1000 bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(SIZE))
            self.end_headers()
            self.wfile.write(b"x" * (1000 if self.path == "/cut" else SIZE))

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as loopback:
        threading.Thread(target=loopback.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{loopback.server_port}"
        loopback.shutdown()


@pytest.fixture
def download(server, tmp_path, monkeypatch):
    """Download a file of the server as the weights of a model."""
    monkeypatch.setattr(urls, "PAUSE", 0)
    for name in ("LIGHTSAM_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)

    def run(name="file", size=SIZE, folder=tmp_path / "cache"):
        file = WeightFile("weights.pt", size, sha256="0" * 64, url=f"{server}/{name}")
        return fetch(replace(model_card("mobilesam"), weights=file), cache_dir=folder, progress=False)

    return run


@pytest.fixture
def provoke(nano, download, tmp_path, monkeypatch):
    """What does the thing of the first column, for every row."""
    missing, empty = tmp_path / "gone.jpg", tmp_path / "empty.bin"
    empty.touch()
    box, points = [1, 2, 30, 40], [[5, 5], [9, 9]]

    def interrupt(done, total):
        raise KeyboardInterrupt

    def without_extra():
        monkeypatch.setitem(sys.modules, "transformers", None)
        nano.segment(PHOTO, text="a dog")

    return {
        "unknown model": lambda: ls.load("mobilsam"),
        "licence not accepted": lambda: ls.load("edgesam"),
        "missing image file": lambda: nano.embed(missing),
        "empty image file": lambda: nano.embed(empty),
        "missing weights file": lambda: ls.load("nano", weights=missing),
        "empty weights file": lambda: ls.load("nano", weights=empty),
        "weights with a wrong hash": download,
        "weights of another model": lambda: ls.load("mobilesam", weights=fetch(model_card("nano"))),
        "box with NaN": lambda: nano.segment(PHOTO, boxes=[box, [np.nan, 2, 30, 40]]),
        "inverted box": lambda: nano.segment(PHOTO, boxes=[[30, 2, 10, 40]]),
        "box outside the image": lambda: nano.segment(PHOTO, boxes=[[100, 100, 120, 130]]),
        "click outside the image": lambda: nano.segment(PHOTO, points=[[5, 5], [100, 20]]),
        "boxes of the wrong shape": lambda: nano.segment(PHOTO, boxes=[[1, 2, 3], [4, 5, 6]]),
        "labels that do not match points": lambda: nano.segment(PHOTO, points=points, point_labels=[1, 0, 1]),
        "background click on a model without": lambda: make_prompts(
            model_card("efficientsam-ti"), FRAME, points=points, point_labels=[1, 0]
        ),
        "more points than a model takes": lambda: make_prompts(
            model_card("efficientsam-ti"), FRAME, boxes=box, points=[[5, 5]] * 5
        ),
        "image of the wrong dtype": lambda: load_image(PHOTO.astype(np.complex64)),
        "image of zero size": lambda: load_image(PHOTO[:0]),
        "text without its extra": without_extra,
        "text and an embedding": lambda: nano.segment(nano.embed(PHOTO), text="a dog"),
        "text and other prompts": lambda: nano.segment(PHOTO, text="a dog", boxes=box),
        "embedding of another model": lambda: nano.segment(
            replace(nano.embed(PHOTO), model="mobilesam"), boxes=box
        ),
        "device that is not there": lambda: ls.load("nano", device="cuda:99"),
        "no disk space": lambda: download(size=2**60),
        "read-only cache": lambda: download(folder=Path("/sys/lightsam")),
        "interrupted download": lambda: download("cut"),
        "Ctrl-C in everything mode": lambda: nano.everything(PHOTO, points_per_side=2, progress=interrupt),
    }


@pytest.mark.parametrize("row", table())
def test_bad_input_gives_the_error_of_the_table(row, provoke):
    """The error has the class the row names, and its message is the row's, where … stands for anything."""
    name, message = table()[row]

    with pytest.raises(getattr(errors, name)) as caught:
        provoke[row]()

    assert type(caught.value).__name__ == name
    assert caught.value.hint, "it does not say what to do next"
    pattern = ".+".join(re.escape(part) for part in message.split("…"))
    assert re.fullmatch(pattern, str(caught.value), re.DOTALL), (
        f"documented: {message}\nshown: {caught.value}"
    )


def test_every_kind_of_bad_input_is_in_the_table(provoke):
    """The document and this file speak of the same cases."""
    assert set(table()) == set(provoke)


def test_nothing_bad_is_kept(download, tmp_path):
    """A file with the wrong hash is not in the cache afterwards; what came of an interrupted one is."""
    for name in ("file", "cut"):
        with pytest.raises(errors.WeightsError):
            download(name, folder=tmp_path / name)

    assert [path for path in (tmp_path / "file").rglob("weights*") if path.suffix != ".lock"] == []
    (part,) = (tmp_path / "cut").rglob("*.part")
    assert part.stat().st_size == 1000


def test_interrupted_everything_hands_over_what_was_found(nano):
    """The masks found before Ctrl-C are in the error."""

    def stop_later(done, total):
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(errors.Interrupted) as caught:
        nano.everything(PHOTO, points_per_side=4, points_per_batch=4, progress=stop_later)

    assert caught.value.partial.size == (48, 64)
