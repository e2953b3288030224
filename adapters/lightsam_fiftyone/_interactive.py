"""Prompting one image again and again, as an annotator does: its embedding is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lightsam_fiftyone._items import Item
from lightsam_fiftyone._prompts import Prompt

if TYPE_CHECKING:
    from lightsam_plugins import Embedding, Segmenter

_KEPT = 8  # embeddings of the images prompted last, about 4 MB each


class Interactive:
    """What `LightSAMModel` offers to programs that react to a user."""

    segmenter: Segmenter

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg] # of FiftyOne's model, which comes next
        self._recent: OrderedDict[tuple[str, int], Embedding] = OrderedDict()

    def answer(self, item: Item, embedding: Any) -> Any:
        """The detections of one item."""
        raise NotImplementedError

    def predict_interactive(
        self,
        sample: Any,
        boxes: Any = None,
        points: Sequence[Any] | None = None,
        point_labels: Sequence[Any] | None = None,
        prompt_classes: Sequence[str | None] | None = None,
    ) -> Any:
        """Detections of prompts on one image, which is encoded the first time only.

        Args:
            sample: A sample with an image.
            boxes: (N, 4) ``xyxy`` in pixels of the image, or None.
            points: N arrays (P, 2) of ``(x, y)`` in pixels of the image, or None.
            point_labels: N arrays (P,), 1 foreground and 0 background; all foreground where None.
            prompt_classes: N labels for the detections, or None.

        Returns:
            ``Detections``, one a prompt; without boxes and points those of everything mode.
        """
        prompts = None
        if boxes is not None or points is not None:
            count = len(points if boxes is None else boxes)  # type: ignore[arg-type] # one of them is there
            corners = [None] * count if boxes is None else np.asarray(boxes, np.float64).reshape(-1, 4)
            clicks = [np.asarray(xy, np.float64).reshape(-1, 2) for xy in points or [[]] * count]
            kinds = point_labels or [np.ones(len(xy), np.int64) for xy in clicks]
            names = prompt_classes or [None] * count
            prompts = [
                Prompt(carried={"label": name}, box=box, points=xy, labels=np.asarray(labels))
                for name, box, xy, labels in zip(names, corners, clicks, kinds, strict=True)
            ]
        return self.answer(Item(sample.filepath, prompts=prompts), self.embedding(sample.filepath))

    def embedding(self, path: str) -> Embedding:
        """The embedding of an image file; those of the last few are kept."""
        key = path, Path(path).stat().st_mtime_ns
        if key not in self._recent:
            self._recent[key] = self.segmenter.embed(path)
        self._recent.move_to_end(key)
        while len(self._recent) > _KEPT:
            self._recent.popitem(last=False)
        return self._recent[key]
