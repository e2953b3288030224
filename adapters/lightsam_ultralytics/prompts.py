"""Prompts as Ultralytics writes them, for one image after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import lightsam_plugins as ls
from lightsam_plugins.adapter_frames import check_entries, check_shared
from lightsam_plugins.errors import located
from lightsam_plugins.everything_options import EverythingKeywords
from lightsam_plugins.images import check_shape
from lightsam_plugins.mask_prompts import rough_logits


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of all images of a source.

    Args:
        given: Name and value of each kind of prompt that there is.
        everything: Options of everything mode, where there is no prompt.
        images: Number of images where values have one entry each; None where all images share them.
    """

    given: dict[str, Any]
    everything: EverythingKeywords
    images: int | None

    @classmethod
    def of(cls, source: Any, prompts: dict[str, Any], everything: EverythingKeywords) -> Prompts:
        """Tell whether the prompts are shared by the images of a source.

        Raises:
            PromptError: Not one entry for each image of a list.
        """
        given = {name: value for name, value in prompts.items() if value is not None}
        batch = getattr(source, "ndim", 0) == 4 and source.shape[0] > 1  # of a tensor
        several = batch or isinstance(source, list | tuple)
        for image in source if several else [source]:
            if isinstance(image, np.ndarray):
                check_shape(image)
        if not several:
            check_shared("bboxes", given.get("bboxes"), "Or pass results of a detector to refine().")
            return cls(given, everything, None)
        for name, value in given.items():
            check_entries(name, value, len(source))
        return cls(given, everything, len(source))

    def segment(self, model: ls.Segmenter, embedding: ls.Embedding, index: int, path: str) -> ls.Masks:
        """The masks of one image; everything that is there where no prompt was given.

        Args:
            model: The model.
            embedding: The image.
            index: Which image of the source it is.
            path: What an error calls the image.

        Raises:
            InputError: A prompt that cannot be used.
        """
        if not self.given:
            return model.everything(embedding, **self.everything)
        shared = self.images is None
        own = {name: value if shared else value[index] for name, value in self.given.items()}
        own = {name: value for name, value in own.items() if value is not None}
        try:
            points = _objects(own.get("points"), 3)
            labels = _objects(own.get("labels"), 2)
            rough = own.get("masks")
            return model.segment(
                embedding,
                boxes=own.get("bboxes", None if own else []),
                points=points,
                point_labels=labels,
                mask_input=None if rough is None else rough_logits(rough, embedding.frame),
            )
        except ls.InputError as error:
            raise located(error, path) from error


def _objects(value: Any, depth: int) -> Any:
    """Points or labels with an axis of points: a flat list of points is one object each in Ultralytics."""
    if value is None:
        return None
    try:
        array = np.asarray(value.cpu() if hasattr(value, "cpu") else value, np.float64)
    except (TypeError, ValueError):
        return value  # the core says what is wrong with it
    if array.size == 0:
        return np.zeros((0, 1, 2)[:depth])
    while array.ndim < depth - 1:
        array = array[None]
    return array[:, None] if array.ndim == depth - 1 else array
