"""Checkpoints at plain URLs: downloaded into a part file, from which an interrupted download goes on."""

from __future__ import annotations

import contextlib
import time
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lightsam_plugins.errors import Cancelled
from lightsam_plugins.weights.failures import NETWORK, Failed, check_space, not_stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from lightsam_plugins.registry import WeightFile

    Report: TypeAlias = Callable[[int, int], bool | None]

TIMEOUT = 30.0  # seconds without a byte
TRIES = 4  # in a row without progress
PAUSE = 1.0  # seconds before the second try, longer before each further one
CHUNK = 1 << 20
_TEMPORARY = (408, 416, 425, 429, 500, 502, 503, 504)
_AGAIN = "Run the same again: the download goes on where it stopped."


class _Cut(Exception):
    """The connection failed in a way that may pass."""


def download(weights: WeightFile, part: Path, *, progress: bool, report: Report | None = None) -> None:
    """Download into `part`, going on from what is there.

    Raises:
        Cancelled: `report` returned False.
        Failed: The server refuses, has a file of another size, or is not reached; or the disk is full or
            read-only. The bytes that came stay in `part`, unless they are of another file.
    """
    tries, best = 0, 0
    while True:
        try:
            have = part.stat().st_size if part.exists() else 0
            check_space(part.parent, weights.size - have)
            _receive(weights, part, have, progress, report)
            return
        except _Cut as error:
            size = part.stat().st_size if part.exists() else 0
            tries, best = (1, size) if size > best else (tries + 1, best)
            if tries >= TRIES:
                raise Failed(str(error), _AGAIN if size else NETWORK) from error
            time.sleep(PAUSE * tries)
        except OSError as error:
            raise not_stored(error, part.parent) from error


def _receive(weights: WeightFile, part: Path, have: int, progress: bool, report: Report | None) -> None:
    """One request: the rest of the file, or all of it where the server does not know where to go on."""
    from tqdm import tqdm

    if weights.size and have >= weights.size:
        if have == weights.size:
            return
        part.unlink()
        have = 0
    with _open(weights, part, have) as response:
        if response.status != 206:
            have = 0
        total = _total(response, have)
        if weights.size and total not in (None, weights.size):
            raise Failed(f"a file of {total} bytes", NETWORK, wrong=True)
        _etag(part).write_text(response.headers.get("ETag", ""), "utf-8")
        hidden = None if progress else True  # None: where stderr is a terminal, as huggingface_hub does
        bar = tqdm(
            desc=weights.filename, total=total, initial=have, unit="B", unit_scale=True, disable=hidden
        )
        with part.open("ab" if have else "wb") as file, bar:
            while chunk := _chunk(response):
                have += len(chunk)
                if weights.size and have > weights.size:
                    discard(part)
                    raise Failed(f"a file of more than {weights.size} bytes", NETWORK, wrong=True)
                file.write(chunk)
                bar.update(len(chunk))
                if report is not None and report(have, total or weights.size) is False:
                    raise Cancelled(f"the download of {weights.filename} was stopped after {have} bytes")
    whole = total or weights.size
    if have < whole:
        raise _Cut(f"the connection was cut after {have} of {whole} bytes")


def _open(weights: WeightFile, part: Path, have: int) -> HTTPResponse:
    url = str(weights.url)
    if not url.startswith(("https://", "http://")):
        raise Failed("an address that is neither http nor https", "Report it to the authors of the registry.")
    headers = {"User-Agent": "lightsam-plugins"}
    if have:
        headers["Range"] = f"bytes={have}-"
        etag = _etag(part).read_text("utf-8") if _etag(part).exists() else ""
        if etag.startswith('"'):  # a weak one may not be used here; the final hash tells then
            headers["If-Range"] = etag
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)  # noqa: S310 - checked above
    except HTTPError as error:
        with contextlib.closing(error):
            if error.code == 416:  # there is nothing after what we have, so that is of another file
                part.unlink(missing_ok=True)
            if error.code in _TEMPORARY:
                raise _Cut(f"HTTP {error.code} {error.reason}") from error
            raise Failed(f"HTTP {error.code} {error.reason}", NETWORK) from error
    except (OSError, HTTPException) as error:
        raise _Cut(f"{type(error).__name__}: {error}") from error
    start = f"bytes {have}-"
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(start):
        response.close()
        part.unlink(missing_ok=True)
        raise _Cut("the server went on from another place than asked")
    return response


def _chunk(response: HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK)  # what has come, so that nothing is lost when the rest does not
    except (OSError, HTTPException) as error:
        raise _Cut(f"the connection was cut ({type(error).__name__}: {error})") from error


def _total(response: HTTPResponse, have: int) -> int | None:
    """Size of the whole file as the server states it."""
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None


def _etag(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def discard(part: Path) -> None:
    """Remove a part file and what belongs to it."""
    part.unlink(missing_ok=True)
    _etag(part).unlink(missing_ok=True)


def finish(part: Path, final: Path) -> None:
    """Give a verified part file its name."""
    part.replace(final)
    _etag(part).unlink(missing_ok=True)
