"""What users give to adapters and to video mode: a model or its name, and options; told apart where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

from lightsam_plugins.errors import InputError, OptionError, check_names
from lightsam_plugins.everything_options import EverythingOptions
from lightsam_plugins.loading import load
from lightsam_plugins.registry import MODELS, weights_hint
from lightsam_plugins.segmenter import Segmenter


def as_model(model: str | Segmenter, options: Mapping[str, Any], own: Iterable[str] = ()) -> Segmenter:
    """Load a model by its name, or take the one that is loaded already.

    Args:
        model: Its name, or itself.
        options: Of `load`; there are none for a model that is loaded already.
        own: Names of further options that the caller takes, which a wrong name may be meant for.

    Raises:
        InputError: Neither a name nor a model, or options that would have no effect.
        LightSamError: Whatever `load` raises.
    """
    if not isinstance(model, str):
        if options:
            raise OptionError(
                f"options of loading beside a model that is loaded already: {', '.join(options)}",
                expected="a name, such as 'nano', with them",
                got=f"the loaded {check_model(model).name}",
                hint="Give them to lightsam_plugins.load(name, ...); model.to(device) moves a model.",
            )
        return check_model(model)
    check_names(options, [*list(signature(load).parameters)[1:], *own])
    return load(model, **options)


def check_model(model: Any) -> Segmenter:
    """The model itself.

    Raises:
        InputError: It is a name, an object around a model, or something else.
    """
    if isinstance(model, Segmenter):
        return model
    name = model if isinstance(model, str) and model in MODELS else "nano"
    hint = f"Load it: lightsam_plugins.load({name!r})."
    if isinstance(getattr(model, "model", None), Segmenter):
        hint = "Pass the model in it, its .model."
    elif isinstance(model, str | Path):
        hint = weights_hint(str(model)) or hint
    raise InputError(
        "not a model",
        expected="what lightsam_plugins.load returns",
        got=repr(model) if isinstance(model, str) else type(model).__name__,
        hint=hint,
    )


def check_options(options: Any, prompts: Mapping[str, Any]) -> None:
    """Refuse what would be ignored: options of everything mode beside prompts, and names that are neither.

    Args:
        options: A mapping, by name.
        prompts: Every kind of prompt that there is, by name; None where it was not given.

    Raises:
        OptionError: No mapping, a name that is no option, or an option beside a prompt.
    """
    if not isinstance(options, Mapping):
        raise OptionError(
            "options of everything mode",
            expected="a dict, such as {'points_per_side': 16}",
            got=repr(options),
            hint="Without prompts everything is segmented; leave them out for the usual ones.",
        )
    names = [*prompts, *(field.name for field in fields(EverythingOptions))]
    given = [name for name, value in prompts.items() if value is not None]
    check_names(options, names, "argument")
    if options and given:
        raise OptionError(
            f"{', '.join(options)} beside {' and '.join(given)}",
            expected="options of everything mode without prompts",
            hint="Leave out the options, or the prompts.",
        )
