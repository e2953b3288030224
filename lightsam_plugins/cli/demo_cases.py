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
        positive = sum(self.point_labels)
        counts = {"box": len(self.boxes), "+ click": positive, "- click": len(self.point_labels) - positive}
        plural = {"box": "boxes"}
        named = [
            f"{count} {name if count == 1 else plural.get(name, name + 's')}"
            for name, count in counts.items()
            if count
        ]
        return ", ".join(named) or "none"


CASES = (
    Case(
        "box", "coffee", "boxes: the cup and the spoon", 0, boxes=[(172, 17, 411, 308), (325, 235, 408, 328)]
    ),
    Case(
        "points",
        "coffee",
        "two clicks on the saucer, two beside it",
        0,
        points=[(120, 250), (430, 230), (290, 150), (365, 285)],
        point_labels=[1, 1, 0, 0],
    ),
    Case("point", "cell", "one click", 1, points=[(428, 375)], point_labels=[1]),
    Case(
        "boxes",
        "coins",
        "six boxes at once",
        1,
        boxes=[
            (17, 231, 76, 288),
            (91, 243, 136, 288),
            (143, 234, 202, 290),
            (218, 238, 270, 290),
            (275, 236, 328, 291),
            (334, 246, 381, 290),
        ],
    ),
    Case("everything", "coins", "no prompt: {count} masks", 1),
    Case(
        "multimask",
        "chelsea",
        "one click, three candidates",
        2,
        points=[(172, 114)],
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
