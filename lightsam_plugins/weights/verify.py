"""Whether a file is the published one."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lightsam_plugins.registry import WeightFile


def identity(weights: WeightFile) -> str:
    """What the published file is recognised by, as text."""
    hashes = [("sha256", weights.sha256), ("git blob id", weights.git_blob)]
    known = " or ".join(f"{kind} {digest}" for kind, digest in hashes if digest)
    return f"{weights.size} bytes with {known}" if known else f"{weights.size} bytes"


def difference(path: Path, weights: WeightFile, *, trust: bool = False) -> str | None:
    """In what `path` differs from the published file, as text; None where it is that file.

    Where a sha256 and a git blob id are published, one of them is enough: they may be of files that were saved twice.

    Args:
        path: The file on disk.
        weights: What is known of the published one.
        trust: Where the hash is weak, look at the size only.

    Raises:
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    if weights.size and size != weights.size:
        return f"a file of {size} bytes"
    if trust and weights.weak:
        return None
    wrong = None
    for kind, published in (("sha256", weights.sha256), ("git blob id", weights.git_blob)):
        if published:
            digest = _digest(path, kind, size)
            if digest == published.lower():
                return None
            wrong = wrong or f"a file with {kind} {digest}"
    return wrong


def _digest(path: Path, kind: str, size: int) -> str:
    hasher = hashlib.sha256()
    if kind == "git blob id":
        hasher = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hasher).hexdigest()


def known(path: Path, weights: WeightFile, markers: Path) -> bool:
    """Whether `remember` was called for this very file and it has not changed since."""
    try:
        return bool(json.loads(_marker(path, markers).read_text("utf-8")) == _record(path, weights))
    except (OSError, ValueError):
        return False


def remember(path: Path, weights: WeightFile, markers: Path) -> None:
    """Note that a file was found right, so that gigabytes are not hashed at every load.

    Best effort: where `markers` cannot be written, the file is hashed again next time.
    """
    marker = _marker(path, markers)
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps(_record(path, weights)), "utf-8")
    except OSError:
        return


def _marker(path: Path, markers: Path) -> Path:
    return markers / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]}.json"


def _record(path: Path, weights: WeightFile) -> list[object]:
    """What changes with the file; ctime gives away edits that put the time of modification back."""
    status = path.stat()
    return [identity(weights), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
