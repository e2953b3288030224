"""The code of docs/fiftyone.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import boxes, sample

PAGE = Path(__file__).parents[3] / "docs" / "fiftyone.md"
BLOCKS = [block.split("```")[0] for block in PAGE.read_text("utf-8").split("```python\n")[1:]]


def test_the_five_lines_at_the_top(nano: Any) -> None:
    """They run as they stand and label the coin; they are five."""
    names: dict[str, Any] = {}

    exec(BLOCKS[0], names)

    (coin,) = names["dataset"].first().masks.detections
    assert (coin.label, coin.mask.shape) == ("coin", (66, 69))
    assert 0.5 < coin.mask.mean() < 0.9
    assert len(BLOCKS[0].splitlines()) == 5
    names["dataset"].delete()


def test_the_recipe_for_an_interrupted_run(dataset: Any, nano: Any, photos: dict[str, Path]) -> None:
    """It labels what is missing, and leaves alone what is there."""
    for box in ([315, 155, 382, 219], [22, 34, 67, 75]):
        dataset.add_sample(sample(photos["coins"], boxes=boxes(box)))
    dataset[:1].apply_model(nano, "masks", box_prompt_field="boxes")
    before = dataset.first().masks.detections[0].id

    dataset.name = "my-photos"
    exec(next(block for block in BLOCKS if "missing" in block), {})

    assert [len(masks.detections) for masks in dataset.values("masks")] == [1, 1]
    assert dataset.first().masks.detections[0].id == before
