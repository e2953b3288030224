"""The model that FiftyOne applies: items in, detections out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.labels as fol
import fiftyone.core.models as fom
import fiftyone.utils.torch as fout
import numpy as np

import lightsam_plugins
from lightsam_fiftyone import _labels
from lightsam_fiftyone._config import PROMPT_KEYS, check_fields
from lightsam_fiftyone._items import Item, LightSAMGetItem
from lightsam_fiftyone._prompts import Prompt
from lightsam_plugins.embedding_cache import EmbeddingCache
from lightsam_plugins.errors import LightSamError
from lightsam_plugins.everything_options import everything_options
from lightsam_plugins.mask_prompts import mask_logits
from lightsam_plugins.prompt_arrays import pad_clicks

if TYPE_CHECKING:
    from lightsam_fiftyone._config import LightSAMModelConfig
    from lightsam_fiftyone._prompts import Array
    from lightsam_plugins import Embedding, Masks, Segmenter

logger = logging.getLogger(__name__)
_UNITS = "boxes are x, y, width, height in parts of the image, 0 to 1, clicks x, y; masks have pixels"


class LightSAMModel(fout.TorchImageModel, fom.SamplesMixin):
    """A model of `lightsam_plugins` for ``apply_model`` and ``compute_embeddings``.

    It asks for the prompt fields as FiftyOne's samples mixin does. By the other way, `TorchImageModelWithPrompts`,
    FiftyOne saves no patches views, and loads the prompts of video frames only if ``apply_model`` names them.
    """

    has_collate_fn = True
    has_embeddings = True
    collate_fn: Any = staticmethod(list)

    def __init__(self, config: LightSAMModelConfig) -> None:
        super().__init__(config)
        self.segmenter: Segmenter = self._model
        self._device = self.segmenter.device
        self._using_gpu = self._device.type != "cpu"
        everything_options(
            self.segmenter.spec, config.auto_kwargs
        )  # a wrong one is told now, not by every sample
        self.recent = EmbeddingCache(self.segmenter)  # of the images prompted one by one
        self._fields: dict[str, str] = {}

    def _load_model(self, config: LightSAMModelConfig) -> Segmenter:
        dtype = "float16" if config.use_half_precision else config.dtype
        terms = {"accept_licence": config.accept_licence, "trust": config.trust}
        terms["engine"] = config.engine or "torch"
        return lightsam_plugins.load(config.variant, config.device or "auto", config.weights, dtype, **terms)

    @property
    def needs_fields(self) -> dict[str, str]:
        """The fields to load, by key; those named at load time where ``apply_model`` names no prompt field."""
        own = {} if self._fields.keys() & PROMPT_KEYS else vars(self.config)
        return {key: own[key] for key in PROMPT_KEYS if own.get(key)} | self._fields

    @needs_fields.setter
    def needs_fields(self, fields: dict[str, str]) -> None:
        check_fields(fields)
        self._fields = fields

    def build_get_item(self, field_mapping: dict[str, str] | None = None) -> LightSAMGetItem:
        """What loads samples, also in other processes."""
        return LightSAMGetItem(self.needs_fields | (field_mapping or {}), self.config.keep_attributes)

    def predict(self, arg: Any, sample: Any = None) -> Any:
        """Detections of one image, see `predict_all`."""
        return self.predict_all([arg], None if sample is None else [sample])[0]

    def predict_all(self, args: Sequence[Any], samples: Sequence[Any] | None = None) -> list[Any]:
        """Detections of each image; the encoder sees the whole batch at once.

        Args:
            args: Items of `build_get_item`; or arrays (H, W, 3) uint8 RGB, PIL images or paths.
            samples: Where the prompts of such images are, as those of video frames.

        Returns:
            ``Detections`` an image; None for one that failed, which is logged.

        Raises:
            LightSamError: The only image failed.
        """
        items = [self._item(*pair) for pair in zip(args, samples or [None] * len(args), strict=True)]
        encoded = {row: item.image for row, item in enumerate(items) if self._needs_encoding(item)}
        embeddings = self.segmenter.embed(list(encoded.values()), batch_size=len(items) or 1)
        sources = dict(zip(encoded, embeddings, strict=True))
        answers: list[Any] = []
        for row, item in enumerate(items):
            try:
                answers.append(self.answer(item, sources.get(row)))
            except LightSamError as error:
                if len(items) == 1:
                    raise
                logger.warning("no masks for %s: %s", item.name, error)
                answers.append(None)
        return answers

    def embed(self, arg: Any) -> Array:
        """The vector of one image, (D,) float32."""
        vector: Array = self.embed_all([arg])[0]
        return vector

    def embed_all(self, args: Sequence[Any]) -> Array:
        """The vectors of images, (B, D) float32.

        Raises:
            LightSamError: One of them cannot be read.
        """
        items = [self._item(arg) for arg in args]
        for error in (item.error for item in items if item.error is not None and item.image is None):
            raise error
        embeddings = self.segmenter.embed([item.image for item in items], batch_size=len(items))
        return np.stack([embedding.vector() for embedding in embeddings])

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
            points: N arrays (P, 2) of ``(x, y)`` in pixels of the image, or None. One array (P, 2) is one object.
            point_labels: N arrays (P,), 1 foreground and 0 background; all foreground where None.
            prompt_classes: N labels for the detections, or None.

        Returns:
            ``Detections``, one a prompt; without boxes and points those of everything mode.
        """
        prompts = None
        if points is not None and len(points) and np.ndim(points[0]) == 1:
            points, point_labels = [points], None if point_labels is None else [point_labels]
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
        return self.answer(Item(sample.filepath, prompts=prompts), self.recent.embed_file(sample.filepath))

    def answer(self, item: Item, embedding: Any) -> Any:
        """The detections of one item, of whose image there is an embedding where `item` needs one."""
        if item.error is not None:
            raise item.error
        least, classes = self.config.confidence_thresh, self.config.filter_classes
        if item.prompts is None:
            source = item.image if embedding is None else embedding
            found = _labels.everything(self.segmenter.everything(source, **self.config.auto_kwargs))
        else:
            wanted = [p for p in item.prompts if classes is None or p.carried.get("label") in classes]
            if wanted and not any(prompt.usable for prompt in wanted):
                logger.warning("no prompt of %s points at anything in the image: %s", item.name, _UNITS)
            size = item.image.shape[:2] if embedding is None else embedding.size
            found, step = [], self.config.prompt_batch
            for start in range(0, len(wanted), step):
                found += self._prompted(wanted[start : start + step], embedding, size)
        kept = [one for one in found if least is None or (one.confidence or 0) >= least]
        return next(iter(kept), None) if item.single else fol.Detections(detections=kept)

    def _item(self, arg: Any, sample: Any = None) -> Item:
        if isinstance(arg, Item):
            return arg
        fields = {} if sample is None else self.needs_fields
        keys = fields.keys() & PROMPT_KEYS
        prompts = {key: sample[fields[key].removeprefix("frames.")] for key in PROMPT_KEYS if key in keys}
        return Item.read(arg, prompts, self.config.keep_attributes)

    def _needs_encoding(self, item: Item) -> bool:
        if item.prompts is None:  # crops of everything mode are encoded one by one
            return item.error is None and not self.config.auto_kwargs.get("crop_n_layers")
        return any(prompt.usable for prompt in item.prompts)

    def _prompted(self, prompts: list[Prompt], embedding: Any, size: tuple[int, int]) -> list[Any]:
        usable = [prompt for prompt in prompts if prompt.usable]
        masks = iter(self._decode(usable, embedding) if usable else ())
        mode = self.config.bbox_mode
        return [_labels.prompted(p, next(masks) if p.usable else None, size, mode) for p in prompts]

    def _decode(self, prompts: list[Prompt], embedding: Embedding) -> Masks:
        """One mask a prompt; they are all made of the same kinds."""
        given: dict[str, Any] = {}
        if any(len(prompt.points) for prompt in prompts):
            clicks = pad_clicks([prompt.points for prompt in prompts], [prompt.labels for prompt in prompts])
            given["points"], given["point_labels"] = clicks
        if prompts[0].box is None:  # as with SAM, clicks alone may mean a part or the whole
            found = self.segmenter.segment(embedding, **given, multimask=True)
            rank = self.config.points_mask_index
            return found.best() if rank is None else found.sized(rank)
        given["boxes"] = [prompt.box for prompt in prompts]
        if prompts[0].mask is not None:
            given["mask_input"] = [mask_logits(one.mask, one.box, embedding.frame) for one in prompts]
        return self.segmenter.segment(embedding, **given)
