"""Two implementations of one task, timed in turns in one process on equal weights, outputs compared first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Output = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Args:
        work: What is done.
        bar: The least ratio (theirs / ours) that is asked for, None where there is none.
        theirs: The peer's way.
        ours: This package's way.
        same: Both outputs as arrays, to be compared; none of it is timed.
        tolerance: Largest relative error ``|ours - theirs| / |theirs|`` of numbers, or largest share of pixels that
            differ of masks.
        rounds: At most so many, for what takes long.
    """

    work: str
    bar: float | None
    theirs: Callable[[], object]
    ours: Callable[[], object]
    same: Callable[[], tuple[Output, Output]]
    tolerance: float
    rounds: int = 1000


@dataclass(frozen=True)
class Times:
    """CPU and wall-clock seconds of the rounds, ours and theirs in the same order."""

    cpu: list[tuple[float, float]]
    wall: list[tuple[float, float]]


def difference(case: Case) -> float:
    """How far the two outputs are apart: a relative error, or for masks the share of pixels that differ."""
    theirs, ours = case.same()
    assert theirs.shape == ours.shape, f"{case.work}: {theirs.shape} there, {ours.shape} here"
    if theirs.dtype == np.bool_:
        return float(np.mean(theirs != ours))
    return float(np.linalg.norm(np.subtract(ours, theirs)) / np.linalg.norm(np.asarray(theirs, np.float64)))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall-clock time of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def interleaved(case: Case, rounds: int) -> Times:
    """Time both in turns, each of them first in every other round, after one round that does not count."""
    case.ours()
    times = Times([], [])
    for number in range(min(rounds, case.rounds)):
        if number % 2:
            (ours_cpu, ours_wall), (theirs_cpu, theirs_wall) = seconds(case.ours), seconds(case.theirs)
        else:
            (theirs_cpu, theirs_wall), (ours_cpu, ours_wall) = seconds(case.theirs), seconds(case.ours)
        times.cpu.append((theirs_cpu, ours_cpu))
        times.wall.append((theirs_wall, ours_wall))
    return times


def row(case: Case, times: Times, apart: float, *, by_wall: bool) -> str:
    """A line of the table, in Markdown; the bar is held against one of the two clocks."""
    cpu, wall = ([theirs / ours for theirs, ours in pairs] for pairs in (times.cpu, times.wall))
    ratios, pairs = (wall, times.wall) if by_wall else (cpu, times.cpu)
    ratio = statistics.median(ratios)
    bar = "" if case.bar is None else f"{case.bar:g} {'met' if ratio >= case.bar else 'MISSED'}"
    theirs, ours = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
    return (
        f"| {case.work} | {ratio:.2f} ({spread}, {len(ratios)}) | {statistics.median(cpu if by_wall else wall):.2f} "
        f"| {theirs:.4g} s | {ours:.4g} s | {apart:.1e} | {bar} |"
    )


def header(*, by_wall: bool) -> str:
    """The head of the table."""
    clock, other = ("wall", "CPU") if by_wall else ("CPU", "wall")
    times = (
        f"{clock} ratio: median (lowest-highest, rounds) | {other} ratio | theirs, {clock} | ours, {clock}"
    )
    return f"| work | {times} | apart | bar |\n{'|---' * 7}|"


def table(cases: Iterable[Case], rounds: int, threads: int) -> Iterator[str]:
    """Compare, time and describe each case, line by line.

    Of one thread CPU time is compared, which other programs disturb less; of several, what the user waits for.

    Raises:
        AssertionError: The two outputs differ by more than the case allows.
    """
    torch.set_num_threads(threads)
    yield header(by_wall=threads > 1)
    for case in cases:
        apart = difference(case)
        assert apart <= case.tolerance, f"{case.work}: the outputs are {apart:.2g} apart"
        yield row(case, interleaved(case, rounds), apart, by_wall=threads > 1)
