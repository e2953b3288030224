"""A stack machine for pickles that builds plain values and nothing else.

`pickletools.genops` of the standard library cuts the stream into opcodes without acting on them; this machine
acts on them, with the allow-list in the place of imports and calls. Its memory grows with the bytes it has
read: no opcode allocates by a number that the file states, and calls that copy are charged to a budget.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightsam_plugins.weights.allowed import resolve
from lightsam_plugins.weights.answers import Call
from lightsam_plugins.weights.graph import Damaged, Inert, Name, Unsafe
from lightsam_plugins.weights.stack import Stack

if TYPE_CHECKING:
    from lightsam_plugins.weights.limits import Bounded, Budget

Lookup = Callable[[str, str], Any]
Persistent = Callable[[Any], Any]
_OUTSIDE = ("EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER")


class Machine(Stack):
    """Runs one pickle: the half that answers names, calls, instances and attributes.

    Args:
        persistent: Answers torch's persistent ids (its storages).
        budget: What may still be spent.
        lookup: Answers names; the allow-list where nothing else is said.
    """

    def __init__(self, persistent: Persistent, budget: Budget, lookup: Lookup = resolve) -> None:
        super().__init__()
        self.persistent, self.budget, self.lookup = persistent, budget, lookup

    def run(self, stream: Bounded) -> Any:
        """Read up to and with the STOP opcode.

        Returns:
            Plain Python values and those of `graph`.

        Raises:
            Unsafe: An opcode, a name or a call that is not allowed.
            Damaged: The stream is cut or makes no sense.
        """
        try:
            # typeshed wants IO[bytes]; the two methods of Bounded are all that genops uses
            for opcode, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
                self.budget.step()
                if opcode.name in _OUTSIDE:
                    raise Unsafe(f"the opcode {opcode.name}, which refers to something outside the file")
                self._act(opcode.name, argument)
            return self.stack.pop()
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, Warning) as error:
            cause = f"{type(error).__name__}: {str(error)[:200]}"
            raise Damaged(f"a pickle that makes no sense ({cause})") from error

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self.lookup(module, name))

    def _stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Unsafe("a global whose name is no text")
        self.stack.append(self.lookup(module, name))

    def _binpersid(self, _: None) -> None:
        self.stack.append(self.persistent(self.stack.pop()))

    def _reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Call) or not isinstance(arguments, tuple):
            raise Unsafe(f"a call of {_called(function)}")
        self.budget.copy(*arguments)
        self.stack.append(function.answer(arguments))

    def _newobj(self, _: None) -> None:
        arguments, owner = self.stack.pop(), self.stack.pop()
        self._instance(owner, arguments)

    def _newobj_ex(self, _: None) -> None:
        options, arguments, owner = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._instance(owner, arguments or options)

    def _inst(self, argument: str) -> None:
        arguments = self._unmark()
        module, _, name = argument.partition(" ")
        self._instance(self.lookup(module, name), arguments)

    def _obj(self, _: None) -> None:
        owner, *arguments = self._unmark()
        self._instance(owner, arguments)

    def _instance(self, owner: Any, arguments: Any) -> None:
        if not isinstance(owner, Name) or arguments:
            raise Unsafe(f"an instance of {_called(owner)} made with arguments")
        self.stack.append(Inert(owner))

    def _build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, dict):
            return  # the attributes of an OrderedDict: `_metadata` of a state dict
        if not isinstance(target, Inert):
            raise Unsafe(f"to change the attributes of {_called(target)}")
        for part in state if isinstance(state, tuple) else (state,):  # (dict, slots) or dict
            if isinstance(part, dict):
                self.budget.copy(part)
                self._attributes(target, part)

    def _attributes(self, target: Inert, state: dict[Any, Any]) -> None:
        for name, value in state.items():
            if isinstance(name, str) and name.startswith("__") and name.endswith("__"):
                raise Unsafe(f"to set {name[:80]!r} of {target.name.text!r}")
            target.state[name] = value


def _called(value: Any) -> str:
    return repr(value.text) if isinstance(value, (Name, Call)) else f"a {type(value).__name__}"
