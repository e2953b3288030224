"""The cases of the demo: prompts chosen by eye for the photos in ``lightsam_plugins/assets``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array


@dataclass(frozen=True, slots=True)
class Case:
    """One picture of the demo.

    Args:
        name: Name of the case and of its picture.
        photo: Name of the photo.
        title: Text above the picture.
        row: Row in the overview.
        boxes: Boxes ``xyxy`` in pixels of the photo, one object each.
        points: Clicks ``(x, y)`` on one object.
        point_labels: 1 on the object, 0 beside it.
        multimask: Ask for three candidates.
    """

    name: str
    photo: str
    title: str
    row: int
    boxes: Sequence[Sequence[float]] = ()
    points: Sequence[Sequence[float]] = ()
    point_labels: Sequence[int] = ()
    multimask: bool = False

    @property
    def prompts(self) -> dict[str, Any]:
        """The prompts as `Segmenter.segment` takes them; empty for everything mode."""
        boxes = {"boxes": self.boxes} if self.boxes else {}
        points = {"points": self.points, "point_labels": self.point_labels} if self.points else {}
        return boxes | points

    def __str__(self) -> str:
        boxes = f"{len(self.boxes)} box" + "es" * (len(self.boxes) > 1) if self.boxes else ""
        positive, negative = self.point_labels.count(1), self.point_labels.count(0)
        clicks = f"{positive}+ {negative}- clicks" if negative else "1+ click"
        return " ".join(filter(None, [boxes, clicks if self.points else ""])) or "none"


CASES = (
    Case(
        "box",
        "coffee",
        "a box around the coffee, one around the spoon",
        0,
        boxes=[(204, 95, 370, 193), (325, 235, 408, 328)],
    ),
    Case(
        "points",
        "coffee",
        "one click on the spoon, three beside it",
        0,
        points=[(365, 285), (300, 340), (430, 280), (360, 220)],
        point_labels=[1, 0, 0, 0],
    ),
    Case(
        "boxes",
        "chelsea",
        "three boxes at once",
        1,
        boxes=[(135, 85, 208, 148), (294, 108, 342, 164), (237, 225, 293, 268)],
    ),
    Case("point", "cell", "one click", 1, points=[(428, 375)], point_labels=[1]),
    Case("everything", "coins", "no prompt: {count} masks", 1),
    Case(
        "multimask",
        "chelsea",
        "one click, three candidates",
        2,
        points=[(318, 135)],
        point_labels=[1],
        multimask=True,
    ),
)


def load_photo(name: str) -> UInt8Array:
    """A photo that ships with the package, (H, W, 3) uint8 RGB."""
    from importlib.resources import as_file, files

    from lightsam_plugins.images import load_image

    with as_file(files("lightsam_plugins") / "assets" / f"{name}.jpg") as path:
        return load_image(path)
