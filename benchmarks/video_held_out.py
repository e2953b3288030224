"""Scenes that no rule of video mode was tuned on: other cut-outs and backgrounds, motions from seeds.

What belongs to a cut-out is a shape here, not what `nano` says, so that the truth does not lean towards it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np

from benchmarks.video_scenes import CUT_OUTS, SIZE, CutOut, Placed, Scene, cut_out

SEEDS = range(1, 7)
CUT_OUTS.update(
    {
        "large coin": CutOut("coins", (306, 14, 364, 70), "ellipse"),
        "dark coin": CutOut("coins", (18, 234, 75, 290), "ellipse"),
        "cell": CutOut("cell", (364, 312, 492, 438), "ellipse"),
        "crema": CutOut("coffee", (208, 98, 366, 190), "ellipse"),
        "saucer": CutOut("coffee", (85, 240, 185, 330), "blob"),
        "fur": CutOut("chelsea", (200, 40, 290, 120), "blob"),
        "wood": CutOut("coffee", (470, 120, 570, 220), "blob"),
    }
)
# What is cut out of a photo is not put before it.
_BEFORE = {
    "cell": ["large coin", "crema", "saucer", "fur"],
    "coins": ["crema", "saucer", "fur", "wood"],
    "coffee": ["large coin", "dark coin", "cell", "fur"],
    "chelsea": ["dark coin", "cell", "saucer", "wood"],
}


def _path(random: np.random.Generator, *, side: float, leaves: bool) -> Callable[[int], Placed]:
    """A smooth way of an object: it turns, grows and shrinks; some go over the border for a while."""
    margin = -60 if leaves else 55
    low, high = np.array([margin, margin]), np.array([SIZE[1] - margin, SIZE[0] - margin])
    phase, period = random.uniform(0, 2 * np.pi, 4), random.uniform(90, 220, 4)
    size = random.uniform(70, 110) / side
    growth, turn = random.uniform(0, 0.35), random.uniform(-1, 1)

    def place(index: int) -> Placed:
        wave = np.sin(phase + 2 * np.pi * index / period)
        x, y = (low + high) / 2 + (high - low) / 2 * wave[:2]
        return Placed(float(x), float(y), float(size * (1 + growth * wave[2])), float(turn * index))

    return place


def _scene(seed: int, attempt: int) -> Scene:
    """Two or three objects that are followed, and one in front of them that is not."""
    random = np.random.default_rng((seed, attempt))
    background = str(random.choice(sorted(_BEFORE)))
    names = [str(one) for one in random.permutation(_BEFORE[background])]
    followed = int(random.integers(2, 4))
    objects = []
    for row, name in enumerate(names[: followed + 1]):
        x0, y0, x1, y1 = CUT_OUTS[name].box
        leaves = row < followed and bool(random.random() < 0.3)
        objects.append((name, _path(random, side=max(x1 - x0, y1 - y0), leaves=leaves)))
    speed = float(random.choice([0.0, 0.7, 1.5]))
    return Scene(f"held out {seed}: before {background}", (background, speed), objects, followed)


def _can_begin(scene: Scene) -> bool:
    """Whether each object that is followed is to be seen in the first frame, where it is prompted."""
    return all(
        mask.sum() > 0.75 * cut_out(name)[1].sum() * path(0).scale ** 2
        for mask, (name, path) in zip(scene.frame(0)[1], scene.objects, strict=False)
    )


def scene(seed: int) -> Scene:
    """The first scene of a seed whose objects are all to be seen at its begin."""
    return next(one for attempt in count() if _can_begin(one := _scene(seed, attempt)))


HELD_OUT = [scene(seed) for seed in SEEDS]
