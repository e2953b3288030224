"""Why one source of a checkpoint could not be used."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EIO)
NETWORK = "Check the network and the proxy settings, and HF_ENDPOINT and HF_TOKEN if you set them."
_ELSEWHERE = "Set LIGHTSAM_CACHE to a folder where there is room and where you may write."


class Failed(Exception):
    """One source failed; the caller goes on to the next, and lists all of them in the end.

    Args:
        reason: What happened, without the name of the source.
        hint: What the user can do.
        wrong: The source answered with another file than the published one.
    """

    def __init__(self, reason: str, hint: str, *, wrong: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.wrong = reason, hint, wrong


def is_storage_error(error: BaseException) -> bool:
    """Whether an error is about a disk or folder, not about the network."""
    return isinstance(error, OSError) and error.errno in (*_FULL, *_CLOSED)


def not_stored(error: OSError, folder: Path) -> Failed:
    """The failure behind an error of the file system."""
    if error.errno in _FULL:
        return Failed(f"no space left in {str(folder)!r} ({error.strerror})", _ELSEWHERE)
    return Failed(f"cannot write to {str(folder)!r} ({error.strerror or error})", _ELSEWHERE)


def check_space(folder: Path, needed: int) -> None:
    """Check the free disk space before anything is downloaded.

    Raises:
        Failed: There are fewer than `needed` bytes.
    """
    existing = next((place for place in (folder, *folder.parents) if place.is_dir()), folder)
    free = shutil.disk_usage(existing).free
    if free < needed:
        message = f"no space left in {str(folder)!r}: {needed} bytes are needed, {free} are free"
        raise Failed(message, _ELSEWHERE)
