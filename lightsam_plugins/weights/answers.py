"""What calls in a checkpoint's pickle are answered with: code of our own, that only describes tensors.

Each function stands for one that torch or Python would have called with the same arguments, and takes them as
one tuple. Wrong numbers of arguments are ValueErrors, which the machine reports as damage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from lightsam_plugins.weights.graph import Damaged, Inert, Name, TensorRef, Unsafe, key, tensor_ref

Arguments: TypeAlias = tuple[Any, ...]
Answer: TypeAlias = Callable[[Arguments], Any]
OBJECT = Name("builtins.object")
NDARRAY = Name("numpy.ndarray")


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """An allowed function: its name in the pickle, and our answer to a call."""

    text: str
    answer: Answer


def tensor(arguments: Arguments) -> TensorRef:
    """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata=None)``."""
    storage, offset, size, stride = arguments[:4]
    if len(arguments) > 6 and arguments[6]:
        raise Damaged("a tensor that is a conjugate or negative view, which no model of the family has")
    return tensor_ref(storage, None, offset, size, stride)


def tensor_v3(arguments: Arguments) -> TensorRef:
    """``_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None)``."""
    storage, offset, size, stride, _, _, dtype = arguments[:7]
    if not isinstance(dtype, torch.dtype):
        raise Damaged("a tensor without a dtype")
    return tensor_ref(storage, dtype, offset, size, stride)


def parameter(arguments: Arguments) -> TensorRef:
    """``_rebuild_parameter(data, requires_grad, hooks[, state])``."""
    if not isinstance(arguments[0], TensorRef):
        raise Damaged("a parameter without a tensor")
    return arguments[0]


def subclass(arguments: Arguments) -> TensorRef:
    """``_rebuild_from_type_v2(function, type, arguments, state)``: a tensor with attributes set by hand."""
    function, _, inner = arguments[:3]
    known = isinstance(function, Call) and function.answer in (tensor, tensor_v3, parameter)
    if not known or not isinstance(inner, tuple):
        raise Unsafe("a tensor that is rebuilt by a function of its own")
    result: TensorRef = function.answer(inner)
    return result


def mapping(arguments: Arguments) -> dict[Any, Any]:
    """``OrderedDict()`` or ``OrderedDict(pairs)``, whose pairs come from the pickles of old Pythons."""
    result: dict[Any, Any] = {}
    for pair in arguments[0] if arguments else ():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise Damaged("an OrderedDict that is not made of pairs")
        result[key(pair[0])] = pair[1]
    return result


def sequence(arguments: Arguments) -> Any:
    """``set(items)`` and ``torch.Size(items)``; sets stay lists, so that nothing is ever hashed."""
    if arguments and not isinstance(arguments[0], (tuple, list)):
        raise Damaged("a set or a torch.Size of something that is no list")
    return arguments[0] if arguments else []


def latin1(arguments: Arguments) -> bytes:
    """``_codecs.encode(text, "latin1")``: how protocol 2 writes bytes."""
    text, codec = arguments
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise Unsafe("a codec other than latin1")
    return text.encode("latin-1")


def attribute(arguments: Arguments) -> Name:
    """``getattr(class, "method")``: how protocol 2 writes a method. It stays a name."""
    owner, name = arguments
    owner = owner.name if isinstance(owner, Inert) else owner
    plain = isinstance(name, str) and name.isidentifier() and len(name) < 100 and not name.startswith("__")
    if not isinstance(owner, Name) or not plain or "()" in owner.text:
        raise Unsafe("an attribute by getattr")
    return Name(f"{owner.text}.{name}()")


def reconstructor(arguments: Arguments) -> Inert:
    """``copyreg._reconstructor(class, object, None)``: how protocols 0 and 1 write an instance."""
    owner, base, state = arguments
    if not isinstance(owner, Name) or base is not OBJECT or state is not None:
        raise Unsafe("an instance that is built from another one")
    return Inert(owner)


def array(arguments: Arguments) -> Inert:
    """``numpy._reconstruct(ndarray, shape, code)``: an array among the leftovers, which is dropped."""
    if arguments[0] is not NDARRAY:
        raise Unsafe("an array of a class of its own")
    return Inert(NDARRAY)


def inert(text: str) -> Callable[[Arguments], Inert]:
    """An answer for values that carry no weights: scalars, paths, options."""
    return lambda _: Inert(Name(text))
