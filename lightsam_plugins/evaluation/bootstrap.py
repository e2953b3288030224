"""Two reports compared object by object, with paired bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lightsam_plugins.errors import InputError, OptionError
from lightsam_plugins.evaluation.report import Report
from lightsam_plugins.evaluation.resampling import Counts, Drawn, drawn_precision, drawn_recall

ROUNDS = 10_000
SUMMED_ROUNDS = 1_000  # of AP and AR, which take longer to add up


@dataclass(frozen=True, slots=True)
class Difference:
    """What a second model gains over a first one, in 0..1.

    Args:
        protocol: Name of the protocol or metric.
        first: Mean IoU of the first model over the shared objects.
        second: That of the second.
        low: Lower end of the 95 % interval of ``second - first``; None where there is none (AP and AR by size).
        high: Upper end.
        objects: Objects that both measured.
        images: Images they are in.
    """

    protocol: str
    first: float
    second: float
    low: float | None = None
    high: float | None = None
    objects: int = 0
    images: int = 0

    @property
    def verdict(self) -> str:
        """Better or worse where the interval leaves out zero, else no difference shown; empty without one."""
        if self.low is None or self.high is None:
            return ""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "no difference shown"


def compare(first: Report, second: Report, *, rounds: int = ROUNDS, seed: int = 0) -> list[Difference]:
    """Compare two reports of the same annotations, protocol by protocol.

    Images are drawn with replacement, with all their objects, since objects of one image are not independent; both
    models are looked at on the same draw. The interval holds the middle 95 % of the differences of the means.

    Args:
        first: A report.
        second: Another, of the same annotations.
        rounds: Draws; AP and AR have `SUMMED_ROUNDS`.
        seed: Of the draws: the same seed gives the same intervals.

    Raises:
        InputError: The reports are of different annotations, or share no object.
        OptionError: `rounds` is below 100.
    """
    if rounds < 100:
        raise OptionError("rounds", expected="a whole number >= 100", got=str(rounds))
    if first.settings["annotations"] != second.settings["annotations"]:
        raise InputError(
            "the reports are of different annotations",
            expected=f"two reports of {first.dataset}",
            got=f"{first.dataset} and {second.dataset}, whose files differ",
            hint="Evaluate both models with the same --annotations.",
        )
    differences = [
        _difference(name, *pairs, rounds, seed)
        for name in first.means
        if name in second.means and (pairs := _pairs(first, second, name)) is not None
    ]
    if first.settings["boxes"] == second.settings["boxes"]:
        differences += _summed("precision", drawn_precision, first, second, seed)
    differences += _summed("recall", drawn_recall, first, second, seed)
    if not differences:
        raise InputError(
            "the reports share no object of one protocol",
            expected="the same protocols on the same images",
            got=f"{sorted(first.means)} and {sorted(second.means)}",
            hint="Evaluate both with the same --protocol and --limit.",
        )
    return differences


def _summed(
    kind: str,
    drawn: Callable[[dict[str, Any], Counts], Drawn],
    first: Report,
    second: Report,
    seed: int,
) -> list[Difference]:
    """Differences in AP or AR, with an interval where both reports are of the same images and say what was matched."""
    numbers = [getattr(report, kind) for report in (first, second)]
    columns = [report.matches.get(kind, {}) for report in (first, second)]
    images = columns[0].get("images", [])
    spread: Drawn = {}
    if images and images == columns[1].get("images"):
        generator = np.random.default_rng(seed)
        counts = generator.multinomial(len(images), np.full(len(images), 1 / len(images)), SUMMED_ROUNDS)
        sums = [drawn(each, counts) for each in columns]
        spread = {name: sums[1][name] - sums[0][name] for name in sums[0]}
    rows = []
    for name in numbers[0]:
        one, other = (each.get(name) for each in numbers)
        if one is None or other is None:
            continue
        if name in spread:
            low, high = (float(value) for value in np.nanpercentile(spread[name], (2.5, 97.5)))
            rows.append(Difference(name, one, other, low, high, images=len(images)))
        else:
            rows.append(Difference(name, one, other))
    return rows


def _pairs(first: Report, second: Report, name: str) -> tuple[list[str], list[float], list[float]] | None:
    """Image, first and second value of every object that both have."""
    values = [
        {
            (image, number): value
            for image, number, value in zip(
                report.objects["image"], report.objects["id"], report.objects["values"][name], strict=True
            )
            if value is not None
        }
        for report in (first, second)
    ]
    shared = [key for key in values[0] if key in values[1]]
    if not shared:
        return None
    return [image for image, _ in shared], [values[0][k] for k in shared], [values[1][k] for k in shared]


def _difference(
    name: str, images: Sequence[str], first: Sequence[float], second: Sequence[float], rounds: int, seed: int
) -> Difference:
    _, places = np.unique(np.asarray(images), return_inverse=True)
    gain = np.bincount(places, np.subtract(second, first))
    count = np.bincount(places)
    generator = np.random.default_rng(seed)
    means = np.empty(rounds)
    for number in range(rounds):
        drawn = generator.integers(0, len(count), len(count))
        means[number] = gain[drawn].sum() / count[drawn].sum()
    low, high = np.percentile(means, (2.5, 97.5))
    return Difference(
        name, float(np.mean(first)), float(np.mean(second)), float(low), float(high), len(images), len(count)
    )


def comparison(first: Report, second: Report, differences: Sequence[Difference]) -> str:
    """The comparison as a page of Markdown, in percent."""
    lines = [
        f"# {second.model} against {first.model} on {first.dataset}",
        "",
        f"| | {first.model} | {second.model} | difference | 95 % interval | {second.model} is | objects | images |",
        "|---" * 8 + "|",
    ]
    for row in differences:
        interval = (
            "–" if row.low is None or row.high is None else f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
        )
        numbers = f"{100 * row.first:.1f} | {100 * row.second:.1f} | {100 * (row.second - row.first):+.1f}"
        counts = f"{row.objects or ''} | {row.images or ''}"
        lines.append(f"| {row.protocol} | {numbers} | {interval} | {row.verdict} | {counts} |")
    times = [
        f"{report.model}: {name} {value:.0f}"
        for report in (first, second)
        for name, value in report.milliseconds.items()
    ]
    return "\n".join([*lines, "", f"Median milliseconds an image: {'; '.join(times)}.", ""])
