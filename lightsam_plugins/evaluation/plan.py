"""Which protocols are to be measured, read from their names and checked against what a model takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lightsam_plugins.errors import OptionError

NAMES = "box, 1click, 3click (any number), everything, boxes-from, teacher"


@dataclass(frozen=True, slots=True)
class Plan:
    """The protocols of one measurement.

    Args:
        box: A box an object.
        clicks: The numbers of clicks after which the masks count.
        everything: Average recall without prompts.
        boxes_from: Average precision with the boxes of a detector.
        teacher: Agreement with another model.
        left_out: Protocols that were asked for and the model cannot do, with the reason.
    """

    box: bool = False
    clicks: tuple[int, ...] = ()
    everything: bool = False
    boxes_from: bool = False
    teacher: bool = False
    left_out: tuple[str, ...] = ()


def read_plan(text: str, prompts: frozenset[str]) -> Plan:
    """Read names joined by commas.

    Args:
        text: Such as ``box,1click,3click,everything``.
        prompts: Kinds of prompt the model takes; what needs others is left out and said so.

    Raises:
        OptionError: An unknown name, or nothing that the model can do.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    done, left_out = [], []
    for name in names:
        lacking = sorted(_needs(name) - prompts)
        if lacking:
            left_out.append(f"{name}: the model takes no {', '.join(lacking)} prompts".replace("_", " "))
        else:
            done.append(name)
    if not done:
        raise OptionError(
            "no protocol is left",
            expected=NAMES,
            got="; ".join(left_out) or repr(text),
            hint="Ask for another.",
        )
    return Plan(
        box="box" in done,
        clicks=tuple(sorted({int(name[:-5]) for name in done if name.endswith("click")})),
        everything="everything" in done,
        boxes_from="boxes-from" in done,
        teacher="teacher" in done,
        left_out=tuple(left_out),
    )


def _needs(name: str) -> set[str]:
    if found := re.fullmatch(r"([1-9]\d?)click", name):
        return {"point"} if found[1] == "1" else {"point", "negative_point"}
    needs = {
        "box": {"box"},
        "boxes-from": {"box"},
        "everything": {"everything"},
        "teacher": {"point", "negative_point"},
    }
    if name not in needs:
        raise OptionError("protocol", expected=NAMES, got=repr(name), hint="Join several by commas.")
    return needs[name]
