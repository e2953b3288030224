"""Masks for the results of any YOLO: what it needs of a result are methods of the result, so no host is imported."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

import lightsam_plugins as ls
from lightsam_plugins.adapter_arguments import as_model
from lightsam_plugins.box_masks import segment_boxes

if TYPE_CHECKING:
    from ultralytics.engine.results import Results
else:
    Results: TypeAlias = Any


class Refiner:
    """A model that gives masks to boxes which another one found.

    Args:
        model: Name of a model, see `lightsam_plugins.list_models`, or one that is loaded already.
        **options: How to load the model, as in `lightsam_plugins.load`: device, weights, dtype and so on.
    """

    def __init__(self, model: str | ls.Segmenter = "nano", **options: Any) -> None:
        self.model = as_model(model, options)

    def refine(self, results: Results | Iterable[Results]) -> Any:
        """Masks for detected or tracked boxes; all else, track ids too, stays as it is, row by row.

        Args:
            results: One `Results`; a list of them, whose images are encoded in batches; or a stream, such as
                ``yolo.track(source, stream=True)``, of which one frame at a time is read.

        Returns:
            Copies with `masks`, (N, H, W) bool where the boxes are; one, a list, or a generator, as they were given.
            Results without boxes are copied as they are.

        Raises:
            lightsam_plugins.InputError: No results, or results whose task has no boxes.
        """
        if hasattr(results, "orig_img"):
            return self._refined([results])[0]
        if isinstance(results, list | tuple):
            return self._refined(list(results))
        if isinstance(results, Iterator):
            return (self._refined([result])[0] for result in results)
        raise _no_results(results)

    def _refined(self, results: list[Results]) -> list[Results]:
        for result in results:
            if not hasattr(result, "orig_img"):
                raise _no_results(result)
            if getattr(result, "boxes", None) is None:
                raise ls.InputError(
                    f"{getattr(result, 'path', 'a result')}: results without boxes",
                    expected="those of a detection, segmentation, pose or tracking model",
                    got=f"a {type(result).__name__} whose boxes are None",
                    hint="Oriented boxes and classification have none.",
                )
        images = [np.asarray(result.orig_img)[..., 2::-1] for result in results]
        found = segment_boxes(self.model, images, [_array(result.boxes.xyxy) for result in results])
        return [_with(result, masks) for result, masks in zip(results, found, strict=True)]


def _no_results(got: Any) -> ls.InputError:
    return ls.InputError(
        "not results of Ultralytics",
        expected="a Results, a list of them or a stream",
        got=type(got).__name__,
        hint="Pass what yolo(source) or yolo.track(source, stream=True) returned.",
    )


def _with(result: Results, masks: ls.Masks) -> Results:
    refined = copy.copy(result)
    if len(masks):
        like, dense = result.boxes.data, masks.dense()
        refined.update(
            masks=dense if isinstance(like, np.ndarray) else torch.from_numpy(dense).to(like.device)
        )
    return refined


def _array(values: Any) -> Any:
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()
