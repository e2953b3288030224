"""The two sides of a distillation: a teacher of the family, and a smaller encoder whose features it can teach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from lightsam_plugins.errors import OptionError
from lightsam_plugins.model_spec import ModelSpec
from lightsam_plugins.models.layers import ConvBN
from lightsam_plugins.models.nano import Nano
from lightsam_plugins.models.nano_encoder import NanoEncoder
from lightsam_plugins.registry import MODELS, build_network, model_card

ENCODERS = ("encoder.", "image_encoder.")  # prefixes of the image side in the state dicts of the family


@dataclass(frozen=True)
class Student:
    """A network that learns, and the card of the model whose calls it answers."""

    network: nn.Module
    spec: ModelSpec


def nano_quarter() -> Nano:
    """`nano` with an encoder of half the channels: a quarter of the weights."""
    network = Nano()
    network.encoder = NanoEncoder(widths=(8, 16, 32, 64, 80), pyramid=(16, 32, 40))
    return network


STUDENTS: dict[str, tuple[str, Callable[[], nn.Module]]] = {"nano-quarter": ("nano", nano_quarter)}


def build_student(name: str) -> Student:
    """A student with weights at random: one of `STUDENTS`, or any model of the family by its name.

    Raises:
        OptionError: No such student.
    """
    if name in STUDENTS:
        base, build = STUDENTS[name]
        return Student(build(), replace(model_card(base), name=name))
    if name not in MODELS:
        raise OptionError("student", expected=f"one of {[*STUDENTS, *MODELS]}", got=repr(name))
    spec = model_card(name)
    return Student(build_network(spec), spec)


def live_norms(network: nn.Module) -> nn.Module:
    """Let batch norms see the batch while they train: the networks of the package use their statistics always."""
    for module in network.modules():
        if isinstance(module, ConvBN):
            module.forward = nn.Sequential(module.c, module.bn).forward  # type: ignore[method-assign]
    return network


def take_prompt_side(student: nn.Module, teacher: nn.Module) -> int:
    """Copy the weights outside the encoder from the teacher; returns how many tensors fitted."""
    own = student.state_dict()
    fitting = {
        name: value
        for name, value in teacher.state_dict().items()
        if not name.startswith(ENCODERS) and name in own and own[name].shape == value.shape
    }
    student.load_state_dict(fitting, strict=False)
    return len(fitting)


def same_features(student: dict[str, torch.Tensor], teacher: dict[str, torch.Tensor]) -> None:
    """Check that the student's features can be compared with the teacher's.

    Raises:
        OptionError: They have other names or shapes.
    """
    shapes = [{name: tuple(value.shape[1:]) for name, value in side.items()} for side in (student, teacher)]
    if shapes[0] != shapes[1]:
        raise OptionError(
            "student",
            expected=f"features of the teacher's shapes {shapes[1]}",
            got=str(shapes[0]),
            hint="Choose a student and a teacher of one decoder: mobilesam and sam-vit-h, nano-quarter and nano.",
        )


def image_side(network: nn.Module) -> list[nn.Parameter]:
    """The weights of the encoder."""
    return [p for name, p in network.named_parameters() if name.startswith(ENCODERS)]


def prompt_side(network: nn.Module) -> list[nn.Parameter]:
    """All other weights."""
    return [p for name, p in network.named_parameters() if not name.startswith(ENCODERS)]
