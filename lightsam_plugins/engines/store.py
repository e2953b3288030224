"""Converted encoders on disk: made once, used by all processes, made again where a file was damaged."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lightsam_plugins.errors import EngineError
from lightsam_plugins.weights.cache import cache_dir

if TYPE_CHECKING:
    import torch

_CONTENTS = "contents.json"  # file -> sha256; written last
_NETWORKS = Path(__file__).parents[1] / "models"


def stored(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, filled by `make` where it is not there or not whole.

    One process fills it while others wait. They see a whole folder or none, whenever the first is stopped.

    Raises:
        EngineError: The cache cannot be written.
    """
    from filelock import FileLock

    place = cache_dir() / "engines" / name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_name(f"{name}.lock")):
            if not _whole(place):
                part = place.with_name(f"{name}.part")
                for leftover in (part, place):
                    shutil.rmtree(leftover, ignore_errors=True)
                part.mkdir()
                make(part)
                digests = {file.name: _digest(file) for file in sorted(part.iterdir())}
                (part / _CONTENTS).write_text(json.dumps(digests), "utf-8")
                part.rename(place)
    except OSError as error:
        raise EngineError(
            f"the converted encoder cannot be stored in {str(place)!r}",
            got=error.strerror or str(error),
            hint="Point LIGHTSAM_CACHE to a folder that you may write to and that has space left.",
        ) from error
    return place


def digest(module: torch.nn.Module, *versions: str) -> str:
    """What tells a module, its weights and code, and the versions of what converts it from others: 16 digits."""
    import torch

    found = hashlib.sha256(repr(versions).encode())
    for source in sorted(_NETWORKS.glob("*.py")):  # the same weights in other code are another graph
        found.update(source.read_bytes())
    for name, tensor in module.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()[:16]


def _whole(place: Path) -> bool:
    try:
        digests = json.loads((place / _CONTENTS).read_text("utf-8"))
        return all(_digest(place / name) == known for name, known in digests.items())
    except (OSError, ValueError, AttributeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
