"""What a checkpoint's pickle may consist of, as plain values: none can run, import or open anything."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch

Buffer: TypeAlias = bytes | bytearray | memoryview

MAX_DIMENSIONS = 32
MAX_COUNT = 2**48  # elements; far above any checkpoint, far below an overflow in torch


class Unsafe(Exception):
    """The checkpoint asks for more than tensors; the text names what for."""


class Damaged(Exception):
    """The checkpoint is cut, corrupt, or not one at all; the text says where."""


@dataclass(eq=False, slots=True, frozen=True)
class Name:
    """A class or function that the pickle mentions. It is never looked up."""

    text: str


@dataclass(eq=False, slots=True)
class Inert:
    """An instance of a class that the pickle mentions: its name, and the attributes stored with it."""

    name: Name
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True, frozen=True)
class StorageType:
    """A torch storage class; `torch.uint8` for an untyped one, which counts bytes."""

    dtype: torch.dtype


@dataclass(eq=False, slots=True)
class StorageRef:
    """A flat run of numbers in the file.

    Args:
        key: Name of the record that holds it.
        dtype: Type of its elements.
        count: Number of elements.
        data: The bytes themselves, where the pickle holds them inline.
        place: Where it lies in the file: storages are loaded in this order.
    """

    key: str
    dtype: torch.dtype
    count: int
    data: Buffer | None = None
    place: int = 0

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.count * self.dtype.itemsize


@dataclass(eq=False, slots=True, frozen=True)
class TensorRef:
    """A view of a storage, proven to lie inside it when it is built.

    Args:
        storage: Where the numbers are.
        dtype: Type of the elements.
        offset: First element, counted in elements of `dtype`.
        size: Shape.
        stride: Steps between neighbours, in elements.
    """

    storage: StorageRef
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes of a dense copy."""
        return math.prod(self.size) * self.dtype.itemsize


def key(value: Any) -> Any:
    """Check that `value` can name an entry of a dict without its hash costing anything.

    Raises:
        Damaged: It is a container, or a number made to collide with others.
    """
    plain = value is None or isinstance(value, (str, bytes, float, torch.dtype, Name))
    if not plain and not (isinstance(value, int) and abs(value) < 2**60):
        raise Damaged(f"a dict with a key of type {type(value).__name__}")
    return value


def counts(value: Any, what: str) -> tuple[int, ...]:
    """Check that `value` is a tuple or list of plausible non-negative integers.

    Raises:
        Damaged: It is not.
    """
    if not isinstance(value, (tuple, list)) or len(value) > MAX_DIMENSIONS:
        raise Damaged(f"a tensor's {what} is not a tuple of up to {MAX_DIMENSIONS} integers")
    return tuple(count(item, what) for item in value)


def count(value: Any, what: str) -> int:
    """Check that `value` is a plausible non-negative integer.

    Raises:
        Damaged: It is not.
    """
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise Damaged(f"a tensor's {what} is no integer between 0 and 2**48")
    return value


def tensor_ref(storage: Any, dtype: torch.dtype | None, offset: Any, size: Any, stride: Any) -> TensorRef:
    """A tensor as torch describes it, refused where it reaches outside its storage.

    Raises:
        Damaged: Wrong types, or elements outside the storage.
    """
    if not isinstance(storage, StorageRef):
        raise Damaged("a tensor without a storage")
    dtype = storage.dtype if dtype is None else dtype
    offset, size, stride = count(offset, "offset"), counts(size, "shape"), counts(stride, "stride")
    if len(size) != len(stride):
        raise Damaged(f"a tensor with {len(size)} dimensions and {len(stride)} strides")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and (last + 1) * dtype.itemsize > storage.nbytes:
        raise Damaged(f"a tensor of shape {size} reaches outside its storage of {storage.nbytes} bytes")
    return TensorRef(storage, dtype, offset, size, stride)
