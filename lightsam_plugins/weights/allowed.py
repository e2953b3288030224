"""The allow-list: the few names of a checkpoint that mean something, each answered by code of our own.

A pickle names functions and has them called. Here a name is looked up in these tables and nowhere else: what
torch needs to describe tensors is answered by a function of this file, classes of unknown packages become
inert `Name` objects that cannot be called, and all the rest is refused.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lightsam_plugins.weights.graph import (
    Damaged,
    Inert,
    Name,
    StorageType,
    TensorRef,
    Unsafe,
    key,
    tensor_ref,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """An allowed function: its name in the pickle, and our answer to a call."""

    text: str
    answer: Callable[[Arguments], Any]


def _tensor(arguments: Arguments) -> TensorRef:
    """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata=None)``."""
    storage, offset, size, stride = arguments[:4]
    if len(arguments) > 6 and arguments[6]:
        raise Damaged("a tensor that is a conjugate or negative view, which no model of the family has")
    return tensor_ref(storage, None, offset, size, stride)


def _tensor_v3(arguments: Arguments) -> TensorRef:
    """``_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None)``."""
    storage, offset, size, stride, _, _, dtype = arguments[:7]
    if not isinstance(dtype, torch.dtype):
        raise Damaged("a tensor without a dtype")
    return tensor_ref(storage, dtype, offset, size, stride)


def _parameter(arguments: Arguments) -> TensorRef:
    """``_rebuild_parameter(data, requires_grad, hooks[, state])``."""
    if not isinstance(arguments[0], TensorRef):
        raise Damaged("a parameter without a tensor")
    return arguments[0]


def _subclass(arguments: Arguments) -> TensorRef:
    """``_rebuild_from_type_v2(function, type, arguments, state)``: a tensor with attributes set by hand."""
    function, _, inner = arguments[:3]
    known = isinstance(function, Call) and function.answer in (_tensor, _tensor_v3, _parameter)
    if not known or not isinstance(inner, tuple):
        raise Unsafe("a tensor that is rebuilt by a function of its own")
    result: TensorRef = function.answer(inner)
    return result


def _mapping(arguments: Arguments) -> dict[Any, Any]:
    """``OrderedDict()`` or ``OrderedDict(pairs)``, whose pairs come from the pickles of old Pythons."""
    result: dict[Any, Any] = {}
    for pair in arguments[0] if arguments else ():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise Damaged("an OrderedDict that is not made of pairs")
        result[key(pair[0])] = pair[1]
    return result


def _sequence(arguments: Arguments) -> Any:
    """``set(items)`` and ``torch.Size(items)``; sets stay lists, so that nothing is ever hashed."""
    if arguments and not isinstance(arguments[0], (tuple, list)):
        raise Damaged("a set or a torch.Size of something that is no list")
    return arguments[0] if arguments else []


def _latin1(arguments: Arguments) -> bytes:
    """``_codecs.encode(text, "latin1")``: how protocol 2 writes bytes."""
    text, codec = arguments
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise Unsafe("a codec other than latin1")
    return text.encode("latin-1")


def _attribute(arguments: Arguments) -> Name:
    """``getattr(class, "method")``: how protocol 2 writes a method. It stays a name."""
    owner, attribute = arguments
    owner = owner.name if isinstance(owner, Inert) else owner
    plain = isinstance(attribute, str) and attribute.isidentifier() and len(attribute) < 100
    if not isinstance(owner, Name) or not plain or attribute.startswith("__") or "()" in owner.text:
        raise Unsafe("an attribute by getattr")
    return Name(f"{owner.text}.{attribute}()")


def _reconstructor(arguments: Arguments) -> Inert:
    """``copyreg._reconstructor(class, object, None)``: how protocols 0 and 1 write an instance."""
    owner, base, state = arguments
    if not isinstance(owner, Name) or base is not _OBJECT or state is not None:
        raise Unsafe("an instance that is built from another one")
    return Inert(owner)


def _inert(text: str) -> Callable[[Arguments], Inert]:
    """An answer for values that carry no weights: scalars, paths, options."""
    return lambda _: Inert(Name(text))


_BUILTINS = ("builtins", "__builtin__")
_OBJECT = Name("builtins.object")
_DTYPES = re.compile(r"bfloat16|float(16|32|64|8_\w+)|u?int(8|16|32|64)|bool|complex(64|128)")
_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
# Scalars, options and paths that training scripts leave beside the weights.
_LEFTOVERS = (
    *("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "torch.device"),
    *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath"),
    *("types.SimpleNamespace", "ultralytics.utils.IterableSimpleNamespace"),
    "ultralytics.yolo.utils.IterableSimpleNamespace",
)
_ANSWERS: dict[str, Callable[[Arguments], Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch.Size": _sequence,
    "collections.OrderedDict": _mapping,
    "_codecs.encode": _latin1,
    "copyreg._reconstructor": _reconstructor,
    "copy_reg._reconstructor": _reconstructor,
    **{name: _inert(name) for name in _LEFTOVERS},
    **{f"{module}.set": _sequence for module in _BUILTINS},
    **{f"{module}.frozenset": _sequence for module in _BUILTINS},
    **{f"{module}.getattr": _attribute for module in _BUILTINS},
}
_VALUES: dict[str, Any] = {
    **{f"torch.{name}": value for name, value in vars(torch).items() if _DTYPES.fullmatch(name)},
    **{f"{module}.{n}": StorageType(t) for module in ("torch", "torch.cuda") for n, t in _STORAGES.items()},
    "torch.storage.UntypedStorage": StorageType(torch.uint8),
    **{f"{module}.object": _OBJECT for module in _BUILTINS},
    **{name: Name(name) for name in ("torch.Tensor", "torch.nn.Parameter", "argparse.Namespace")},
    **{name: Call(name, answer) for name, answer in _ANSWERS.items()},
}
# Roots whose names stand for code that is there to be called; the last line are modules of Python 2.
_REFUSED = (
    sys.stdlib_module_names
    | {"torch", "torchvision", "numpy", "scipy", "pip", "setuptools", "pkg_resources"}
    | {"__builtin__", "copy_reg", "commands", "cPickle", "popen2", "urllib2", "os2", "dummy_thread"}
)
# Modules of torch whose classes and functions a pickled network mentions: its layers, its activations.
_TORCH_NAMES = frozenset({"torch.nn.functional", "torch.nn.parameter", "torch._C._nn"})


def resolve(module: str, name: str) -> Any:
    """What the name ``module.name`` in a pickle stands for.

    Returns:
        A `Call`, a `StorageType`, a dtype, or an inert `Name` for a class that cannot be run.

    Raises:
        Unsafe: It is neither allowed nor a class of some model's own package.
    """
    text = f"{module}.{name}"
    if text in _VALUES:
        return _VALUES[text]
    root = module.partition(".")[0]
    if (module.startswith("torch.nn.modules.") or module in _TORCH_NAMES) and name.isidentifier():
        return Name(text)
    if root in _REFUSED or not text.replace(".", "_").isidentifier() or len(text) > 300:
        raise Unsafe(f"the global {text[:200]!r}")
    return Name(text)
