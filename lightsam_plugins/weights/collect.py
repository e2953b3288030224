"""From what a checkpoint holds to flat names: wrappers taken off, modules walked, the rest dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightsam_plugins.weights.graph import Damaged, Inert, TensorRef

if TYPE_CHECKING:
    from collections.abc import Iterator

# Keys under which training scripts keep the weights, in the order of preference: an average over the last
# steps comes first, as the authors of such files evaluate that one.
WRAPPERS = (
    "ema",
    "model_ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
)
MAX_DEPTH = 64
MAX_NAMES = 50_000
MAX_VISITS = 100_000
MAX_NAME = 1000  # characters

Group = dict[Any, Any] | Inert


def collect(values: Any) -> dict[str, tuple[TensorRef, bool]]:
    """All tensors of a checkpoint, by name, each with True where it comes from a pickled module.

    A dict that holds no tensor itself, but has one of `WRAPPERS` with tensors under it, stands for that entry
    alone (and so on, inwards). Else nested dicts are joined with dots. A module gives the names of its
    `state_dict()`: parameters and persistent buffers, by the path of its submodules. Lists, numbers and texts
    are dropped.

    Raises:
        Damaged: The nesting never ends, or makes more names than any network has.
    """
    walker = _Walker()
    while (inner := walker.unwrapped(values)) is not None:
        values = inner
    found: dict[str, tuple[TensorRef, bool]] = {}
    for name, tensor, is_module in walker.walk(values):
        if name in found:
            raise Damaged(f"two tensors named {name!r}")
        if len(found) >= MAX_NAMES:
            raise Damaged(f"more than {MAX_NAMES} tensors")
        found[name] = tensor, is_module
    return found


class _Walker:
    """Goes through dicts and modules; its work is bounded even where they are a cycle or share parts."""

    def __init__(self) -> None:
        self.visits = 0

    def unwrapped(self, values: Any) -> Group | None:
        """What the wrapper `values` is around; None where it is none."""
        if not isinstance(values, dict) or any(isinstance(value, TensorRef) for value in values.values()):
            return None
        for name in WRAPPERS:
            inner = values.get(name)
            if isinstance(inner, (dict, Inert)) and next(self.walk(inner), None) is not None:
                return inner
        return None

    def walk(self, values: Any) -> Iterator[tuple[str, TensorRef, bool]]:
        """Tensors below `values`: dotted name, tensor, whether a module held it."""
        stack = [("", _children(values))]
        while stack:
            prefix, children = stack[-1]
            child = next(children, None)
            if child is None:
                stack.pop()
                continue
            self.visits += 1
            name, value, is_module = f"{prefix}{child[0]}", child[1], child[2]
            if self.visits > MAX_VISITS or len(stack) > MAX_DEPTH or len(name) > MAX_NAME:
                raise Damaged("values that are nested without end")
            if isinstance(value, TensorRef):
                yield name, value, is_module
            elif isinstance(value, (dict, Inert)):
                stack.append((f"{name}.", _children(value)))


def _children(values: Any) -> Iterator[tuple[str | int, Any, bool]]:
    """Named entries of a dict, or of a module what its `state_dict()` names; with whether it is a module."""
    if isinstance(values, dict):
        yield from ((name, value, False) for name, value in values.items() if isinstance(name, (str, int)))
    if not isinstance(values, Inert):
        return
    hidden = values.state.get("_non_persistent_buffers_set")
    hidden = {name for name in hidden if isinstance(name, str)} if isinstance(hidden, list) else set()
    for group in ("_parameters", "_buffers", "_modules"):
        entries = values.state.get(group)
        for name, value in entries.items() if isinstance(entries, dict) else ():
            if isinstance(name, str) and not (group == "_buffers" and name in hidden):
                yield name, value, True
