"""Classical methods that answer the same prompts as a model: what a network has to beat."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np

from lightsam_plugins.errors import UnsupportedPrompt
from lightsam_plugins.images import load_image
from lightsam_plugins.masks import Masks
from lightsam_plugins.pixel_values import UInt8Array
from lightsam_plugins.types import LOW_RES, BoolArray, Frame

Box: TypeAlias = "Sequence[float]"
Clicks: TypeAlias = "tuple[Sequence[Sequence[float]], Sequence[int]]"
SIDE = 320  # pixels; both methods see the image no longer than this, and their mask is scaled back


@dataclass(frozen=True, slots=True)
class Baseline:
    """A `Subject` without weights.

    Args:
        name: For reports.
        prompts: Kinds of prompt it takes.
        from_box: The (H, W) mask of a box.
        from_clicks: That of clicks with labels.
    """

    name: str
    prompts: frozenset[str]
    from_box: Callable[[UInt8Array, Box], BoolArray] | None = None
    from_clicks: Callable[[UInt8Array, Clicks], BoolArray] | None = None

    def embed(self, image: Any, *, batch_size: int = 8) -> Any:
        """The images themselves: there is nothing to encode."""
        return [load_image(one) for one in image] if isinstance(image, list) else load_image(image)

    def segment(self, image: Any, **prompts: Any) -> Masks:
        """One mask a box, or one a set of clicks; a mask input is not looked at.

        Raises:
            UnsupportedPrompt: It has no answer to this kind of prompt.
        """
        if prompts.get("boxes") is not None and self.from_box is not None:
            return _masks(image, [self.from_box(image, box) for box in prompts["boxes"]])
        if prompts.get("points") is not None and self.from_clicks is not None:
            pairs = zip(prompts["points"], prompts["point_labels"], strict=True)
            return _masks(image, [self.from_clicks(image, clicks) for clicks in pairs])
        raise UnsupportedPrompt(
            f"{self.name} does not take this prompt", expected=", ".join(sorted(self.prompts))
        )

    def everything(self, image: Any) -> Masks:
        """Refused.

        Raises:
            UnsupportedPrompt: Always.
        """
        raise UnsupportedPrompt(f"{self.name} has no everything mode", hint="Leave that protocol out.")


def _masks(image: UInt8Array, found: list[BoolArray]) -> Masks:
    frame = Frame(image.shape[0], image.shape[1], LOW_RES)
    logits = np.zeros((len(found), LOW_RES, LOW_RES), np.float32)
    return Masks(logits, np.ones(len(found)), frame, crops=[(0, 0, mask) for mask in found])


def filled_box(image: UInt8Array, box: Box) -> BoolArray:
    """The box itself: what it alone is worth."""
    mask = np.zeros(image.shape[:2], bool)
    x0, y0, x1, y1 = (round(value) for value in box)
    mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    return mask


def grabcut(image: UInt8Array, box: Box) -> BoolArray:
    """OpenCV's GrabCut from the box, five rounds, at most `SIDE` pixels long; the filled box where it gives up."""
    small, scale = _small(image)
    x0, y0, x1, y1 = (round(value * scale) for value in box)
    rectangle = x0, y0, max(2, x1 - x0), max(2, y1 - y0)
    mask = np.zeros(small.shape[:2], np.uint8)
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(small, mask, rectangle, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # no background pixel is left outside a box that covers the image
        mask[y0:y1, x0:x1] = cv2.GC_FGD
    return _scaled_back(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)), image)


def walk_from_box(image: UInt8Array, box: Box) -> BoolArray:
    """Random walker: outside of the box is background, the middle third of its sides is the object."""
    small, scale = _small(image)
    x0, y0, x1, y1 = (value * scale for value in box)
    seeds = np.full(small.shape[:2], 2, np.int32)
    seeds[_span(y0, y1), _span(x0, x1)] = 0
    third_x, third_y = (x1 - x0) / 3, (y1 - y0) / 3
    seeds[_span(y0 + third_y, y1 - third_y), _span(x0 + third_x, x1 - third_x)] = 1
    return _scaled_back(_walk(small, seeds), image)


def walk_from_clicks(image: UInt8Array, clicks: Clicks) -> BoolArray:
    """Random walker: a disc of radius 2 a click, and the border of the image as background."""
    small, scale = _small(image)
    seeds = np.zeros(small.shape[:2], np.int32)
    seeds[[0, -1], :], seeds[:, [0, -1]] = 2, 2
    for (x, y), label in zip(*clicks, strict=True):
        cv2.circle(seeds, (int(x * scale), int(y * scale)), 2, 1 if label else 2, -1)
    return _scaled_back(_walk(small, seeds), image)


def _walk(image: UInt8Array, seeds: Any) -> BoolArray:
    from skimage.segmentation import random_walker

    if (
        not (seeds == 2).any() or not (seeds == 0).any()
    ):  # nothing to be told apart from, or nothing to be told
        return np.asarray(seeds != 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of solvers that are not installed
        labels = random_walker(image, seeds, beta=130, mode="cg_j", channel_axis=-1)
    return np.asarray(labels == 1)


def _span(start: float, stop: float) -> slice:
    return slice(max(0, round(start)), max(round(start) + 1, round(stop)))


def _small(image: UInt8Array) -> tuple[Any, float]:
    scale = min(1.0, SIDE / max(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), scale


def _scaled_back(mask: Any, image: UInt8Array) -> BoolArray:
    full = cv2.resize(mask.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(full.astype(bool))


BASELINES = {
    "filled-box": Baseline("filled-box", frozenset({"box"}), filled_box),
    "grabcut": Baseline("grabcut", frozenset({"box"}), grabcut),
    "random-walker": Baseline(
        "random-walker", frozenset({"box", "point", "negative_point"}), walk_from_box, walk_from_clicks
    ),
}
