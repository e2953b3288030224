"""Every error the package raises, in one tree.

::

    LightSamError
    ├── InputError (ValueError)        what the caller passed is not usable
    │   ├── UnknownModel               no model of that name
    │   ├── ImageError                 an image that cannot be read or has the wrong form
    │   ├── PromptError                points, labels, boxes or masks that do not fit
    │   ├── UnsupportedPrompt          a prompt this model was not trained for
    │   ├── EmbeddingMismatch          an embedding made by another model
    │   ├── OptionError                an option out of its range
    │   └── LicenceNotAccepted         weights whose licence has to be accepted by name
    ├── DeviceError (RuntimeError)     the device is not there, or the dtype is unsafe on it
    ├── EngineError (RuntimeError)     an engine that cannot run a model
    ├── WeightsError (RuntimeError)    a checkpoint cannot be used
    │   ├── DownloadError              it could not be fetched or stored
    │   ├── ChecksumError              its size or hash is not the published one
    │   ├── UnsafeCheckpoint           it asks for more than tensors
    │   └── WeightsMismatch            its tensors belong to another network
    ├── MissingExtra (ImportError)     an optional dependency is not installed
    └── Cancelled                      the caller stopped a long run; `partial` holds what was done
        └── Interrupted (KeyboardInterrupt)   the same, by Ctrl-C
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any


class LightSamError(Exception):
    """Base of all errors of this package: says what, expected, got and the next step.

    Args:
        what: What went wrong, naming the argument, file or row.
        expected: What would have been accepted.
        got: What was found instead.
        hint: What the user can do next.
    """

    def __init__(
        self, what: str, *, expected: str | None = None, got: str | None = None, hint: str | None = None
    ) -> None:
        self.what, self.expected, self.got, self.hint = what, expected, got, hint
        details = [f"expected {expected}" if expected else "", f"got {got}" if got else ""]
        sentence = ", ".join(part for part in details if part)
        message = f"{what}: {sentence}" if sentence else what
        super().__init__(f"{message}. {hint}" if hint else message)


class InputError(LightSamError, ValueError):
    """An argument that cannot be used."""


class UnknownModel(InputError):
    """No model of that name is registered."""


class ImageError(InputError):
    """An image that cannot be read, or an array that is not an image."""


class PromptError(InputError):
    """Points, labels, boxes or masks of the wrong shape or value."""


class UnsupportedPrompt(InputError):
    """A prompt that the model was not trained to take."""


class EmbeddingMismatch(InputError):
    """An embedding made by another model than the one it is used with."""


class OptionError(InputError):
    """An option outside its range."""


class LicenceNotAccepted(InputError):
    """Weights under a licence that has to be accepted by its name, and was not."""


class DeviceError(LightSamError, RuntimeError):
    """A device that is not there, or a dtype known to give wrong masks on it."""


class EngineError(LightSamError, RuntimeError):
    """An engine that cannot run a model, or answers otherwise than torch."""


class WeightsError(LightSamError, RuntimeError):
    """A checkpoint that cannot be used."""


class DownloadError(WeightsError):
    """A checkpoint that could not be fetched or stored."""


class ChecksumError(WeightsError):
    """A file whose size or hash is not the published one."""


class UnsafeCheckpoint(WeightsError):
    """A checkpoint that asks for more than tensors; nothing of it was executed."""


class WeightsMismatch(WeightsError):
    """Tensors whose names or shapes belong to another network."""


class MissingExtra(LightSamError, ImportError):
    """An optional dependency that is not installed; the hint is the pip command."""


class Cancelled(LightSamError):
    """A long run stopped by the caller.

    Args:
        what: What was stopped, and how far it had come.
        partial: The results finished before the stop.
    """

    def __init__(self, what: str, *, partial: Any = None) -> None:
        super().__init__(what, hint="What was finished is in `partial` of this error.")
        self.partial = partial


class Interrupted(Cancelled, KeyboardInterrupt):
    """`Cancelled` by Ctrl-C: still a `KeyboardInterrupt` for whoever waits for one."""


def located(error: InputError, where: str) -> InputError:
    """The same error with the image or row that it is about in front."""
    return type(error)(f"{where}: {error.what}", expected=error.expected, got=error.got, hint=error.hint)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint with the one of the `known` names that `name` is nearest to; None where it is like none."""
    near = get_close_matches(name, list(known), 1)
    return f"Did you mean {near[0]!r}?" if near else None


def check_names(given: Iterable[str], known: Sequence[str], what: str = "option", where: str = "") -> None:
    """Refuse the first name that is not known.

    Args:
        given: Names as a user wrote them.
        known: Those that there are.
        what: What they are names of.
        where: Of what these are.

    Raises:
        OptionError: It names the nearest one.
    """
    for name in given:
        if name not in known:
            raise OptionError(
                f"unknown {what} {name!r}{where}",
                expected=f"one of {known}",
                hint=did_you_mean(name, known),
            )


def check_flags(**flags: Any) -> None:
    """Check switches, by name.

    Raises:
        OptionError: One is neither True nor False.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise OptionError(name, expected="True or False", got=repr(value))


def in_short(error: BaseException) -> str:
    """The kind of another library's error, and the first line of what it says."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
