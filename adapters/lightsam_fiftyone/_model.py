"""The model FiftyOne applies: items in, detections out."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import eta.core.utils as etau
import fiftyone.core.labels as fol
import fiftyone.utils.torch as fout
import numpy as np
import numpy.typing as npt

import lightsam_plugins
from lightsam_fiftyone import _labels
from lightsam_fiftyone._config import PROMPT_KEYS, LightSAMModelConfig
from lightsam_fiftyone._items import Item, LightSAMGetItem, collate
from lightsam_fiftyone._prompts import Prompt
from lightsam_plugins.errors import LightSamError
from lightsam_plugins.images import load_image
from lightsam_plugins.mask_prompts import mask_logits
from lightsam_plugins.masks import Masks

if TYPE_CHECKING:
    from lightsam_plugins import Embedding, Segmenter

logger = logging.getLogger(__name__)
_KEPT = 8  # embeddings of the images that were prompted last, 4 MB each for most models


class LightSAMModel(fout.TorchImageModelWithPrompts):  # type: ignore[misc]
    """A model of `lightsam_plugins` for ``apply_model`` and ``compute_embeddings``.

    Args:
        config: The options.

    Raises:
        LightSamError: As in `lightsam_plugins.load`.
    """

    collate_fn = staticmethod(collate)

    def __init__(self, config: LightSAMModelConfig) -> None:
        super().__init__(config)
        self._device = self._model.device
        self._using_gpu = self._device.type != "cpu"
        self._recent: OrderedDict[tuple[str, int], Embedding] = OrderedDict()
        self._vectors: npt.NDArray[np.float32] | None = None

    def _load_model(self, config: LightSAMModelConfig) -> Segmenter:
        dtype = "float16" if config.use_half_precision else config.dtype
        return lightsam_plugins.load(
            config.variant,
            config.device or "auto",
            config.weights,
            dtype,
            accept_licence=config.accept_licence,
            trust=config.trust,
        )

    @property
    def segmenter(self) -> Segmenter:
        """The model itself."""
        segmenter: Segmenter = self._model
        return segmenter

    @property
    def has_collate_fn(self) -> bool:
        """Batches are lists."""
        return True

    @property
    def has_embeddings(self) -> bool:
        """Pooled features of the encoder."""
        return True

    def build_get_item(self, field_mapping: dict[str, str] | None = None) -> LightSAMGetItem:
        """What loads samples; prompt fields named at load time hold where the call names none."""
        mapping, kind = dict(field_mapping or {}), etau.get_class(self.config.get_item_cls)
        if not any(key in mapping for key in PROMPT_KEYS):
            own = {key: getattr(self.config, key) for key in PROMPT_KEYS}
            mapping |= {key: field for key, field in own.items() if field}
        if kind.image_key == "image":
            mapping = {key: field.removeprefix("frames.") for key, field in mapping.items()}
        item: LightSAMGetItem = kind(mapping, self.config.attributes)
        return item

    def predict(self, arg: Any) -> Any:
        """Detections of one image: an item of `build_get_item`, an array, a PIL image or a path."""
        return self.predict_all([arg])[0]

    def predict_all(self, args: Sequence[Any]) -> list[Any]:
        """Detections of each image; the encoder sees the whole batch at once.

        Returns:
            ``Detections`` an image; None for one that failed, which is logged.

        Raises:
            LightSamError: The only image failed.
        """
        items = [_item(arg) for arg in args]
        wanted = [item.image for item in items if self._encodes(item)]
        encoded = iter(self._model.embed(wanted, batch_size=max(len(wanted), 1)))
        sources = [next(encoded) if self._encodes(item) else item.image for item in items]
        answers: list[Any] = []
        for item, source in zip(items, sources, strict=True):
            try:
                answers.append(self._answer(item, source))
            except LightSamError as error:
                if len(items) == 1:
                    raise
                logger.warning("%s has no masks: %s", item.name, error)
                answers.append(None)
        return answers

    def predict_interactive(
        self,
        sample: Any,
        boxes: Any = None,
        points: Any = None,
        point_labels: Any = None,
        prompt_classes: Sequence[str | None] | None = None,
    ) -> Any:
        """Detections of prompts on one image, whose embedding is kept for the next ones.

        Args:
            sample: A sample with an image.
            boxes: (N, 4) ``xyxy`` in pixels of the image, or None.
            points: N arrays (P, 2) of ``(x, y)`` in pixels of the image, or None.
            point_labels: N arrays (P,), 1 foreground and 0 background; all foreground where None.
            prompt_classes: N labels, or None.
        """
        count = len(boxes if boxes is not None else points if points is not None else ())
        clicks = [np.asarray(xy, np.float64).reshape(-1, 2) for xy in ([[]] * count if points is None else points)]
        kinds = [np.ones(len(xy), np.int64) for xy in clicks] if point_labels is None else point_labels
        corners = [None] * count if boxes is None else np.asarray(boxes, np.float64)
        names = [None] * count if prompt_classes is None else prompt_classes
        prompts = [
            Prompt(carried={} if name is None else {"label": name}, box=box, points=xy, labels=np.asarray(labels))
            for name, box, xy, labels in zip(names, corners, clicks, kinds, strict=True)
        ]
        asked = None if boxes is None and points is None else prompts
        return self._answer(Item(None, asked), self.embedding(sample.filepath))

    def embedding(self, path: str) -> Embedding:
        """The embedding of an image file; those of the last few are kept."""
        key = path, Path(path).stat().st_mtime_ns
        if key not in self._recent:
            self._recent[key] = self._model.embed(path)
        self._recent.move_to_end(key)
        while len(self._recent) > _KEPT:
            self._recent.popitem(last=False)
        return self._recent[key]

    def embed(self, arg: Any) -> npt.NDArray[np.float32]:
        """The vector of one image, (D,) float32."""
        vector: npt.NDArray[np.float32] = self.embed_all([arg])[0]
        return vector

    def embed_all(self, args: Sequence[Any]) -> npt.NDArray[np.float32]:
        """The vectors of some images, (B, D) float32.

        Raises:
            LightSamError: One of them cannot be read.
        """
        items = [_item(arg) for arg in args]
        for item in items:
            if item.image is None and item.error is not None:
                raise item.error
        embeddings = self._model.embed([item.image for item in items], batch_size=len(items))
        self._vectors = np.stack([embedding.vector() for embedding in embeddings])
        return self._vectors

    def get_embeddings(self) -> npt.NDArray[np.float32] | None:
        """The vectors that were made last."""
        return self._vectors

    def _encodes(self, item: Item) -> bool:
        """Whether an image is encoded with its batch: crops of everything mode are encoded one by one instead."""
        if item.error is not None or item.image is None:
            return False
        return any(p.usable for p in item.prompts or ()) or (
            item.prompts is None and not self.config.auto_kwargs.get("crop_n_layers")
        )

    def _answer(self, item: Item, source: Any) -> Any:
        if item.error is not None:
            raise item.error
        least, classes = self.config.confidence_thresh, self.config.filter_classes
        if item.prompts is None:
            found = _labels.everything(self._model.everything(source, **self.config.auto_kwargs))
        else:
            wanted = [p for p in item.prompts if classes is None or p.carried.get("label") in classes]
            found = []
            for start in range(0, len(wanted), self.config.prompt_batch):
                found += self._prompted(wanted[start : start + self.config.prompt_batch], source)
        kept = [one for one in found if least is None or (one.confidence or 0.0) >= least]
        return fol.Detections(detections=kept)

    def _prompted(self, prompts: list[Prompt], source: Any) -> list[Any]:
        usable = [prompt for prompt in prompts if prompt.usable]
        if not usable:
            size = source.size if hasattr(source, "frame") else source.shape[:2]
            none = Masks.empty(self.segmenter.frame(size))
            return [_labels.prompted(prompt, none, self.config.bbox_mode) for prompt in prompts]
        masks = self._decode(usable, source)
        rows = iter(masks)
        mode = self.config.bbox_mode
        return [_labels.prompted(p, next(rows) if p.usable else masks[:0], mode) for p in prompts]

    def _decode(self, prompts: list[Prompt], embedding: Embedding) -> Masks:
        """One mask a prompt; all have the same kinds."""
        given: dict[str, Any] = {}
        if prompts[0].box is not None:
            given["boxes"] = np.stack([prompt.box for prompt in prompts if prompt.box is not None])
        if most := max(len(prompt.points) for prompt in prompts):
            given["points"], given["point_labels"] = np.zeros((len(prompts), most, 2)), np.full((len(prompts), most), -1)
            for row, prompt in enumerate(prompts):
                given["points"][row, : len(prompt.points)] = prompt.points
                given["point_labels"][row, : len(prompt.points)] = prompt.labels
        if prompts[0].mask is not None:
            given["mask_input"] = [mask_logits(p.mask, p.box, embedding.frame) for p in prompts if p.mask is not None]
        if given.keys() != {"points", "point_labels"}:
            return self.segmenter.segment(embedding, **given)
        candidates = self.segmenter.segment(embedding, **given, multimask=True)
        return candidates.best() if self.config.points_mask_index is None else self._by_size(candidates)
