"""The half of the pickle machine that builds plain values: numbers, texts, lists, tuples, dicts, the memo.

Each method is named after the opcode it carries out, as `pickletools` spells it, in small letters.
"""

from __future__ import annotations

from typing import Any

from lightsam_plugins.weights.graph import Damaged, Inert, key

LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
)
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Stack:
    """The values under construction."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}  # a dict, so that a huge index costs nothing

    def _act(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        stack = self.stack
        if name in LITERALS:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in SHORT_TUPLES:
            items = [stack.pop() for _ in range(SHORT_TUPLES[name])]
            stack.append(tuple(reversed(items)))
        elif name.endswith(("PUT", "MEMOIZE")):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name.endswith("GET"):
            stack.append(self.memo[argument])
        else:
            getattr(self, f"_{name.lower()}")(argument)

    def _unmark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _proto(self, argument: int) -> None:
        if argument > 5:
            raise Damaged(f"a pickle of protocol {argument}")

    def _frame(self, _: int) -> None:
        """Frames are about buffering, which needs none here."""

    def _stop(self, _: None) -> None:
        """The result is on the stack."""

    def _mark(self, _: None) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _pop(self, _: None) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._unmark()

    def _pop_mark(self, _: None) -> None:
        self._unmark()

    def _dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def _empty_list(self, _: None) -> None:
        self.stack.append([])

    def _empty_dict(self, _: None) -> None:
        self.stack.append({})

    def _tuple(self, _: None) -> None:
        items = self._unmark()
        self.stack.append(tuple(items))

    def _list(self, _: None) -> None:
        items = self._unmark()
        self.stack.append(items)

    def _dict(self, _: None) -> None:
        items = self._unmark()
        self.stack.append({})
        self._fill(items)

    def _append(self, _: None) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _appends(self, _: None) -> None:
        items = self._unmark()
        self._extend(items)

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Inert):  # the items of an unknown list class are dropped with it
            raise Damaged(f"items added to a {type(target).__name__}")

    def _setitem(self, _: None) -> None:
        value, name = self.stack.pop(), self.stack.pop()
        self._fill([name, value])

    def _setitems(self, _: None) -> None:
        items = self._unmark()
        self._fill(items)

    def _fill(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, (dict, Inert)):
            raise Damaged(f"entries added to a {type(target).__name__}")
        for name, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(target, dict):  # those of an unknown dict class are dropped with it
                target[key(name)] = value

    # Sets stay lists: nothing in them is ever compared or hashed.
    _empty_set, _additems, _frozenset = _empty_list, _appends, _list
