"""Where the checkpoint of a model may come from, in the order in which the places are tried."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lightsam_plugins.weights import cache, urls
from lightsam_plugins.weights.failures import Failed, not_stored
from lightsam_plugins.weights.hub import HubSource
from lightsam_plugins.weights.verify import difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightsam_plugins.registry import WeightFile
    from lightsam_plugins.weights.urls import Report

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UrlSource:
    """One file at a plain URL; the same methods as `HubSource`.

    Args:
        weights: The file.
        final: Where it is kept.
        trust: Where its hash is weak, the size will do.
    """

    weights: WeightFile
    final: Path
    trust: bool = False

    @property
    def label(self) -> str:
        """Its name in messages."""
        return str(self.weights.url)

    def cached(self) -> Path | None:
        """The file on disk, unverified; None where there is none."""
        return self.final if self.final.is_file() else None

    def download(self, *, progress: bool, report: Report | None = None) -> Path:
        """Download it; the file gets its name only when it is found right.

        Raises:
            Cancelled: `report` returned False.
            Failed: It is not there, not the published one, the network is down, or it cannot be stored.
        """
        part = self.final.with_name(self.final.name + ".part")
        try:
            self.final.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.final.with_name(self.final.name + ".lock")):
                if self.final.is_file():  # another process was faster
                    return self.final
                self._download(part, progress, report)
        except OSError as error:
            raise not_stored(error, self.final.parent) from error
        return self.final

    def _download(self, part: Path, progress: bool, report: Report | None) -> None:
        urls.download(self.weights, part, progress=progress, report=report)
        wrong = difference(part, self.weights, trust=self.trust)
        if wrong:
            urls.discard(part)
            raise Failed(wrong, "It was not kept.", wrong=True)
        urls.finish(part, self.final)

    def remove(self, path: Path) -> bool:
        """Remove a wrong file from the cache.

        Returns:
            Whether it is gone.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


Source: TypeAlias = HubSource | UrlSource


def sources(weights: WeightFile, chosen: Path | None, *, trust: bool = False) -> list[Source]:
    """The sources of a file.

    Args:
        weights: The file.
        chosen: Cache folder that the caller asked for; None for the usual ones.
        trust: Where its hash is weak, the size will do.
    """
    found: list[Source] = []
    if weights.repo:
        found.append(HubSource(weights, cache.hub_dir(chosen)))
    if weights.url:
        key = weights.sha256 or weights.git_blob or hashlib.sha256(weights.url.encode()).hexdigest()
        folder = (chosen or cache.cache_dir()) / "urls" / key[:16]
        found.append(UrlSource(weights, folder / Path(weights.filename).name, trust))
    return found


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes away; on file systems that know no locks, go on without."""
    from filelock import FileLock

    lock = FileLock(path)
    try:
        lock.acquire()
    except NotImplementedError:
        logger.warning("%s: this file system knows no locks", path.parent)
    try:
        yield
    finally:
        lock.release()
