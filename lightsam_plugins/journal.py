"""What a long command has finished, one line of JSON an image, so that a second run can go on.

The first line holds the settings. A line is appended in one write and flushed to the disk before the next
image starts; whatever stops the run, at most a torn last line is lost, and the next run cuts it off.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, TypeAlias

from lightsam_plugins.errors import InputError

Record: TypeAlias = dict[str, Any]
Stamp: TypeAlias = list[int]


def stamp_of(path: Path) -> Stamp:
    """Size in bytes and time of change of a file: if either differs, it is another image."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


class Journal:
    """The finished images of one run, on disk.

    Args:
        path: The file; made where it is not there.
        settings: What the results depend on. A journal made with other settings is refused.
        command: Which command it belongs to.

    Raises:
        InputError: The file belongs to a run with other settings, is no journal, or cannot be written.
    """

    def __init__(self, path: Path, settings: Record, command: str = "everything") -> None:
        self.path, self.command = path, command
        self._places: dict[str, tuple[int, Stamp]] = {}  # file -> offset of its line, stamp of the image
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            self._open(json.loads(json.dumps(settings)))
        except OSError as error:
            raise _unwritable(path, error) from error

    def __contains__(self, file: str) -> bool:
        return file in self._places

    def __len__(self) -> int:
        return len(self._places)

    def has(self, file: str, stamp: Stamp) -> bool:
        """Whether this image was finished and has not changed since."""
        return file in self._places and self._places[file][1] == stamp

    def add(self, record: Record) -> None:
        """Keep a finished image; it is on the disk when this returns.

        Args:
            record: ``file`` and ``stamp`` of the image, and whatever else JSON can hold.

        Raises:
            InputError: The disk is full or no longer writable; nothing of what was there is lost.
        """
        try:
            self._places[record["file"]] = (self._append(record), record["stamp"])
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def read(self, file: str) -> Record:
        """The record of a finished image."""
        with self.path.open("rb") as journal:
            journal.seek(self._places[file][0])
            record: Record = json.loads(journal.readline())
        return record

    @property
    def _format(self) -> str:
        return f"lightsam {self.command} 1"

    def _append(self, record: Record) -> int:
        """Add one line; returns its offset."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self.path.open("ab", buffering=0) as journal:  # unbuffered: one line is one write
            if journal.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(journal.fileno())
            return journal.tell() - len(line)

    def _open(self, settings: Record) -> None:
        """Index the finished images, cut off a torn last line, and check or write the header."""
        header, end = None, 0
        with self.path.open("rb") as journal:
            for line in journal:
                record = _parse(line) if line.endswith(b"\n") else None
                if record is None:
                    break
                if end == 0:
                    header = record
                else:
                    self._places[record["file"]] = (end, record["stamp"])
                end += len(line)
        if self.path.stat().st_size and (header is None or header.get("format") != self._format):
            raise InputError(
                f"{str(self.path)!r} is not a journal of lightsam {self.command}",
                hint="Move it away, or use --restart to overwrite it.",
            )
        if header is not None and self._places:
            self._check(header["settings"], settings)
            os.truncate(self.path, end)
        else:  # nothing is finished: the settings of an earlier start bind nobody
            os.truncate(self.path, 0)
            self._append({"format": self._format, "settings": settings})

    def _check(self, old: Record, new: Record) -> None:
        changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
        if changed:
            raise InputError(
                f"{str(self.path)!r} was begun with other settings, and results of both would be mixed",
                expected=", ".join(f"{name}={old.get(name)}" for name in changed),
                got=", ".join(f"{name}={new.get(name)}" for name in changed),
                hint="Use the same settings to go on, --restart to start over, or another -o.",
            )


def _parse(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot write {str(path)!r}",
        got=error.strerror or str(error),
        hint="Choose a folder that you may write to and that has space left; finished images are kept.",
    )
