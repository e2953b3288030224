"""One entry of a zip archive as a file to read, which is never whole in memory."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from lightsam_plugins.weights.graph import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

TAIL = 4 << 20  # bytes at the end that stay in memory: an archive has its directory there
MAX_RESTARTS = 16  # each unpacks all that lies before
CHUNK = 1 << 14  # bytes read at once; what larger pieces leave between the tensors is never used again
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError)


class Unpacked(io.RawIOBase):
    """An entry, unpacked as it is read.

    Reading on is cheap, also past what is not wanted; going back means to start anew, unless it is in the last
    `TAIL` bytes. The entry is unpacked once to the end before anything else, which compares its CRC.

    Args:
        reopen: Opens the entry at its start.
        size: Bytes in it.

    Raises:
        Damaged: It is not what its archive says.
    """

    def __init__(self, reopen: Callable[[], IO[bytes]], size: int) -> None:
        self._reopen, self._size, self._restarts = reopen, size, 0
        self._start = max(0, size - TAIL)  # of what is kept
        self._position = 0
        self._packed, self._at = reopen(), 0
        self._skip(self._start)
        try:
            self._tail = self._packed.read()
        except BROKEN as error:
            raise Damaged(f"a damaged archive ({error})") from error
        if self._start + len(self._tail) != size:
            raise Damaged(
                f"an archive that unpacks to {self._start + len(self._tail)} instead of {size} bytes"
            )
        self._at = size

    def readable(self) -> bool:
        """It is read only."""
        return True

    def seekable(self) -> bool:
        """Anywhere, at its price."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Nothing is unpacked before the next read."""
        self._position = max(
            0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence, self._size)
        )
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Some of the bytes from the position on.

        Raises:
            Damaged: The records lie in an order that takes forever, or the file changed meanwhile.
        """
        wanted = memoryview(buffer).cast("B")
        if self._position >= self._start:
            found = self._tail[self._position - self._start :][: len(wanted)]
        else:
            self._go_to(self._position)
            found = self._packed.read(min(len(wanted), self._start - self._position, CHUNK))
            self._at += len(found)
        wanted[: len(found)] = found
        self._position += len(found)
        return len(found)

    def _go_to(self, position: int) -> None:
        if position < self._at:
            self._restarts += 1
            if self._restarts > MAX_RESTARTS:
                raise Damaged("an archive whose records lie in no order")
            self._packed.close()
            self._packed, self._at = self._reopen(), 0
        self._skip(position - self._at)

    def _skip(self, count: int) -> None:
        try:
            while count and (skipped := len(self._packed.read(min(count, CHUNK)))):
                count -= skipped
                self._at += skipped
        except BROKEN as error:
            raise Damaged(f"a damaged archive ({error})") from error
