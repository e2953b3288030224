"""A pass through a network that can be given up half way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from torch.overrides import TorchFunctionMode

from lightsam_plugins.errors import Cancelled

KeepGoing: TypeAlias = Callable[[], bool]


class _Stoppable(TorchFunctionMode):
    """Asks before every operation of torch; of this thread only, as the network may be in use by others."""

    def __init__(self, keep_going: KeepGoing) -> None:
        super().__init__()
        self._keep_going = keep_going

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if not self._keep_going():
            raise Cancelled("encoding was stopped")
        return func(*args, **(kwargs or {}))


@contextmanager
def stoppable(keep_going: KeepGoing | None) -> Iterator[None]:
    """Let torch's operations in this block raise `Cancelled` once `keep_going` returns False; None never stops."""
    if keep_going is None:
        yield
        return
    with _Stoppable(keep_going):
        yield
