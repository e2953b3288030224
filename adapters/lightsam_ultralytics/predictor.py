"""The part that Ultralytics' engine calls: images in, masks out; loading, saving and callbacks are the engine's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ultralytics.engine.predictor import BasePredictor
from ultralytics.engine.results import Results
from ultralytics.utils.ops import convert_torch2numpy_batch

import lightsam_plugins as ls
from lightsam_plugins.embedding_cache import EmbeddingCache
from lightsam_ultralytics.prompts import Prompts


class Predictor(BasePredictor):  # type: ignore[misc] # it has no types
    """One run over a source.

    Args:
        cache: The model.
        prompts: What to segment.
        settings: Arguments of the engine.
        callbacks: Functions for each of its events.
    """

    def __init__(
        self, cache: EmbeddingCache, prompts: Prompts, settings: dict[str, Any], callbacks: dict[str, Any]
    ) -> None:
        super().__init__(overrides=settings, _callbacks=callbacks)
        self.cache, self.prompts, self.settings = cache, prompts, settings
        self.images: list[Any] = []

    def setup_model(self, model: object = None, verbose: bool = True) -> None:
        """Tell the engine what it asks about a model: this one is loaded, warm, and resizes images itself."""
        spec, self.device = self.cache.model.spec, self.cache.model.device
        self.model = SimpleNamespace(format="sam", base_model=False, fp16=False, stride=32, task="segment")
        self.args.imgsz, self.done_warmup = spec.encoder_side, True

    def preprocess(self, im: Any) -> Any:
        """(H, W, 3) RGB images of a batch; what is returned has the shape that the engine logs, and no values."""
        self.images = self._bgr(im)
        side = self.cache.model.spec.encoder_side
        return np.broadcast_to(np.float32(0), (len(self.images), 3, side, side))

    def inference(self, im: Any, *args: Any, **kwargs: Any) -> list[ls.Masks]:
        """Masks of each image of the batch. Frames of a video come once: their encodings are not kept."""
        images, model = [np.ascontiguousarray(image[..., ::-1]) for image in self.images], self.cache.model
        embed = self.cache.embed if self.dataset.mode == "image" else model.embed
        return [
            self.prompts.segment(model, embedding, self.seen + row, str(self.batch[0][row]))
            for row, embedding in enumerate(embed(images))
        ]

    def postprocess(self, preds: list[ls.Masks], img: Any, orig_imgs: Any) -> list[Results]:
        """The engine's results, one row a prompt."""
        return [
            self._result(masks, image, path)
            for masks, image, path in zip(preds, self.images, self.batch[0], strict=True)
        ]

    def _result(self, masks: ls.Masks, image: Any, path: str) -> Results:
        names = {row: str(row) for row in range(len(masks))}
        kept = self._kept(masks.scores)
        some = masks if len(kept) == len(masks) else masks[kept]  # a copy of its logits
        rows = np.column_stack([some.boxes, some.scores, kept]).astype(np.float32)
        device = self.device
        return Results(
            image,
            path=path,
            names=names,
            boxes=torch.from_numpy(rows).to(device),
            masks=torch.from_numpy(some.dense()).to(device),
        )

    def _kept(self, scores: Any) -> Any:
        """Rows that the user's `conf`, `classes` and `max_det` leave, in their order: all of them without."""
        rows = np.arange(len(scores))
        conf, classes, most = (self.settings.get(name) for name in ("conf", "classes", "max_det"))
        if conf is not None:
            rows = rows[scores > conf]
        if classes is not None:
            rows = rows[np.isin(rows, classes)]
        return rows if most is None else np.sort(rows[np.argsort(-scores[rows], kind="stable")[:most]])

    def _bgr(self, images: Any) -> list[Any]:
        if isinstance(images, torch.Tensor):
            images = [image[..., ::-1] for image in convert_torch2numpy_batch(images)]
        return [np.ascontiguousarray(image) for image in images]
