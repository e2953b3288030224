"""What reading one checkpoint may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightsam_plugins.weights.graph import Unsafe

if TYPE_CHECKING:
    import io

MAX_OPCODES = 4_000_000  # a network of a thousand layers takes some 100,000
MAX_LINE = 1 << 20  # bytes in a text argument
_SIZED = (str, bytes, bytearray, list, tuple, dict)


class Bounded:
    """A binary stream that never asks the operating system for more bytes than are left in it."""

    def __init__(self, stream: io.BufferedIOBase, size: int) -> None:
        self.stream, self.size = stream, size

    @property
    def left(self) -> int:
        """Bytes between the position and the end."""
        return self.size - self.stream.tell()

    def read(self, length: int) -> bytes:
        """Up to `length` bytes."""
        return self.stream.read(max(0, min(length, self.left)))

    def readline(self) -> bytes:
        """One line; a piece of it, without its end, where it is too long for an argument."""
        return self.stream.readline(MAX_LINE)


@dataclass(slots=True)
class Budget:
    """What one checkpoint may spend, over all the pickles in it.

    Args:
        opcodes: Steps that are left.
        items: Elements, characters and bytes that calls may still copy.
    """

    opcodes: int
    items: int

    @classmethod
    def of(cls, size: int) -> Budget:
        """The budget of a file of `size` bytes: calls may copy what is in it a few times, not more."""
        return cls(MAX_OPCODES, 4 * size + 200_000)

    def step(self) -> None:
        """Charge one opcode.

        Raises:
            Unsafe: There were too many.
        """
        self.opcodes -= 1
        if self.opcodes < 0:
            raise Unsafe(f"more than {MAX_OPCODES} steps to build its values")

    def copy(self, *values: Any) -> None:
        """Charge values that are about to be copied, by their lengths.

        Raises:
            Unsafe: The same ones are copied over and over.
        """
        self.items -= sum(len(value) for value in values if isinstance(value, _SIZED))
        if self.items < 0:
            raise Unsafe("the same values over and over (a memory bomb)")
