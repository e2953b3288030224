"""The allow-list: the few names of a checkpoint that mean something, each answered by code of our own.

A pickle names functions and has them called. Here a name is looked up in these tables and nowhere else: what
torch needs to describe tensors is answered by a function of `answers`, classes of unknown packages become
inert `Name` objects that cannot be called, and all the rest is refused.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import torch

from lightsam_plugins.weights import answers
from lightsam_plugins.weights.graph import Name, StorageType, Unsafe

_BUILTINS = ("builtins", "__builtin__")
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
    *("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"),
    *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath"),
    *("types.SimpleNamespace", "ultralytics.utils.IterableSimpleNamespace"),
    "ultralytics.yolo.utils.IterableSimpleNamespace",
)
_ANSWERS: dict[str, answers.Answer] = {
    "torch._utils._rebuild_tensor": answers.tensor,
    "torch._utils._rebuild_tensor_v2": answers.tensor,
    "torch._utils._rebuild_tensor_v3": answers.tensor_v3,
    "torch._utils._rebuild_parameter": answers.parameter,
    "torch._utils._rebuild_parameter_with_state": answers.parameter,
    "torch._tensor._rebuild_from_type_v2": answers.subclass,
    "torch.Size": answers.sequence,
    "collections.OrderedDict": answers.mapping,
    "_codecs.encode": answers.latin1,
    "numpy.core.multiarray._reconstruct": answers.array,
    "numpy._core.multiarray._reconstruct": answers.array,
    "copyreg._reconstructor": answers.reconstructor,
    "copy_reg._reconstructor": answers.reconstructor,
    **{name: answers.inert(name) for name in _LEFTOVERS},
    **{f"{module}.set": answers.sequence for module in _BUILTINS},
    **{f"{module}.frozenset": answers.sequence for module in _BUILTINS},
    **{f"{module}.getattr": answers.attribute for module in _BUILTINS},
}
_VALUES: dict[str, Any] = {
    **{f"torch.{name}": value for name, value in vars(torch).items() if _DTYPES.fullmatch(name)},
    **{f"{module}.{n}": StorageType(t) for module in ("torch", "torch.cuda") for n, t in _STORAGES.items()},
    "torch.storage.UntypedStorage": StorageType(torch.uint8),
    "numpy.ndarray": answers.NDARRAY,
    **{f"{module}.object": answers.OBJECT for module in _BUILTINS},
    **{name: Name(name) for name in ("torch.Tensor", "torch.nn.Parameter", "argparse.Namespace")},
    **{name: answers.Call(name, answer) for name, answer in _ANSWERS.items()},
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
