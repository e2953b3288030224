"""Wall-clock time of a call, on any device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Run `call`; its result and the milliseconds it took, accelerator work included."""
    _synchronize()
    start = time.perf_counter()
    result = call()
    _synchronize()
    return result, (time.perf_counter() - start) * 1e3


def _synchronize() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()
