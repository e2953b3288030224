"""Checkpoints on the Hugging Face Hub, fetched by huggingface_hub into its own cache."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightsam_plugins.errors import Cancelled
from lightsam_plugins.weights.failures import NETWORK, Failed, check_space, is_storage_error, not_stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightsam_plugins.registry import WeightFile
    from lightsam_plugins.weights.urls import Report

TIMEOUT = 10.0  # seconds that the Hub may take to say what it has


@dataclass(frozen=True, slots=True)
class HubSource:
    """One file of one repository.

    Args:
        weights: The file.
        folder: Cache folder in huggingface_hub's layout.
    """

    weights: WeightFile
    folder: Path

    @property
    def label(self) -> str:
        """Its name in messages."""
        return f"Hugging Face Hub {self.weights.repo} ({self.weights.revision})"

    def cached(self) -> Path | None:
        """The file on disk, unverified; None where there is none. Touches no network."""
        from huggingface_hub import try_to_load_from_cache

        repo, filename, revision = str(self.weights.repo), self.weights.filename, self.weights.revision
        found = try_to_load_from_cache(repo, filename, cache_dir=self.folder, revision=revision)
        return Path(found) if isinstance(found, str) else None

    def download(self, *, progress: bool, report: Report | None = None) -> Path:
        """Download it.

        Returns:
            The file, unverified.

        Raises:
            Cancelled: `report` returned False.
            Failed: It is not there, of the wrong size, the network is down, or it cannot be stored.
        """
        try:
            return self._download(progress, report)
        except (Failed, Cancelled):
            raise
        except Exception as error:
            if isinstance(error, OSError) and is_storage_error(error):
                raise not_stored(error, self.folder) from error
            raise Failed(_summary(error), NETWORK) from error

    def _download(self, progress: bool, report: Report | None) -> Path:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

        repo, filename, revision = str(self.weights.repo), self.weights.filename, self.weights.revision
        # Passed at every call, as huggingface_hub looks at the variable only when it is imported.
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
        # Asked first, for without an answer hf_hub_download keeps trying for half a minute.
        url = hf_hub_url(repo, filename, revision=revision, endpoint=endpoint)
        size = get_hf_file_metadata(url, timeout=TIMEOUT).size
        if self.weights.size and size is not None and size != self.weights.size:
            raise Failed(f"a file of {size} bytes", NETWORK, wrong=True)
        check_space(self.folder, self.weights.size)
        with _progress(progress):
            path = hf_hub_download(
                repo,
                filename,
                revision=revision,
                cache_dir=self.folder,
                endpoint=endpoint,
                tqdm_class=None if report is None else _reporting(report, filename, shown=progress),
            )
        return Path(path)

    def remove(self, path: Path) -> bool:
        """Remove a file from the cache: the link in the snapshot, and the blob it leads to.

        Returns:
            Whether it is gone.
        """
        try:
            while path.is_symlink():
                target = path.parent / path.readlink()
                path.unlink()
                path = target
            if path.resolve().is_relative_to(self.folder.resolve()):
                path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _reporting(report: Report, filename: str, *, shown: bool) -> Any:
    """A progress bar that tells `report` of each step, and is stopped by its answer."""
    from tqdm import tqdm

    class Reporting(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **keywords: Any) -> None:
            super().__init__(*args, **{"disable": None if shown else True, **keywords})
            self.done, self.whole = int(keywords.get("initial", 0)), int(keywords.get("total") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.done += int(n or 0)
            if report(self.done, self.whole) is False:
                raise Cancelled(f"the download of {filename} was stopped after {self.done} bytes")
            return super().update(n)

    return Reporting


@contextlib.contextmanager
def _progress(shown: bool) -> Iterator[None]:
    """huggingface_hub's progress bars, off for one download where they are not `shown`."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _summary(error: Exception) -> str:
    """The first lines of an error of huggingface_hub, whose messages are paragraphs."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:200]}" if lines else type(error).__name__
