"""Prompts that wait for the next frame of a video."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lightsam_plugins.errors import PromptError
from lightsam_plugins.mask_prompts import rough_logits
from lightsam_plugins.prompt_arrays import check_boxes, check_clicks

if TYPE_CHECKING:
    from lightsam_plugins.masks import Masks
    from lightsam_plugins.segmenter import Segmenter
    from lightsam_plugins.types import Embedding

_ONE = {"boxes": 1, "points": 2, "masks": 2}  # axes of the prompt of a single object


@dataclass(frozen=True, slots=True)
class Pending:
    """Some objects that were added together.

    Args:
        ids: Their numbers; one that was removed again is None.
        prompts: What was given for them, by the names of `VideoSegmenter.add`.
    """

    all_ids: Sequence[int | None]
    prompts: dict[str, Any]

    @property
    def ids(self) -> list[int]:
        """Numbers of the objects that are still wanted."""
        return [one for one in self.all_ids if one is not None]

    @classmethod
    def of(cls, first: int, boxes: Any, points: Any, point_labels: Any, masks: Any) -> Pending:
        """Number the objects of some prompts from `first` on.

        Raises:
            PromptError: No prompt, or one that fits no image.
        """
        given = {"boxes": boxes, "points": points, "point_labels": point_labels, "masks": masks}
        prompts = {name: value for name, value in given.items() if value is not None}
        name = next((name for name in _ONE if name in prompts), None)
        if name is None:
            raise PromptError("no prompt", expected="boxes, points or masks", hint="Say what to follow.")
        if boxes is not None:
            check_boxes(boxes)
        if points is not None or point_labels is not None:
            check_clicks(points, point_labels)
        try:
            shape = np.shape(prompts[name])
        except ValueError as error:
            raise PromptError(f"{name} is not an array of numbers", got=str(error)) from None
        if name == "masks" and len(shape) not in (2, 3):
            raise PromptError("masks have the wrong shape", expected="(N, H, W) or (H, W)", got=f"{shape}")
        count = 1 if len(shape) == _ONE[name] and shape != (0,) else shape[0] if shape else 0
        return cls(range(first, first + count), prompts)

    def without(self, identities: Container[int | None]) -> Pending:
        """The same without some objects."""
        return replace(self, all_ids=[None if one in identities else one for one in self.all_ids])

    def segment(self, model: Segmenter, embedding: Embedding) -> Masks:
        """One mask for each of `ids`.

        Raises:
            PromptError: A prompt that does not fit the image.
        """
        prompts = dict(self.prompts)
        rough = prompts.pop("masks", None)
        logits = None if rough is None else rough_logits(rough, embedding.frame)
        masks = model.segment(embedding, mask_input=logits, **prompts)
        return masks[[row for row, one in enumerate(self.all_ids) if one is not None]]
