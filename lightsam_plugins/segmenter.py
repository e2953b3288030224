"""The predictor: images and prompts in, `Masks` out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack, cast, overload

import numpy as np
import torch

from lightsam_plugins.devices import resolve_device, resolve_dtype
from lightsam_plugins.errors import EmbeddingMismatch, ImageError, OptionError
from lightsam_plugins.everything import Progress, segment_everything
from lightsam_plugins.everything_options import EverythingKeywords, everything_options
from lightsam_plugins.masks import Masks
from lightsam_plugins.pixel_values import UInt8Array
from lightsam_plugins.prompts import make_prompts, require_everything
from lightsam_plugins.transforms import frame_for, load_image, preprocess
from lightsam_plugins.types import LOW_RES, Embedding, Features, FloatArray, PromptBatch

if TYPE_CHECKING:
    from lightsam_plugins.registry import ModelSpec
    from lightsam_plugins.types import ArrayLike, Frame, ImageLike, Network

CPU_CHUNK = 16  # objects a decoder call: more is slower on a CPU, and memory grows with it
ACCELERATOR_CHUNK = 64


class Segmenter:
    """A loaded model. It holds no state of any image: one may be used from several threads at once.

    Args:
        network: The architecture with its weights, a `torch.nn.Module` that fulfils `Network`.
        spec: Its model card.
        device: Where to run.
        dtype: Precision of weights and features; prompts and results are float32 always.
    """

    spec: ModelSpec
    device: torch.device
    dtype: torch.dtype

    def __init__(
        self,
        network: torch.nn.Module,
        spec: ModelSpec,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.spec, self.device, self.dtype = spec, torch.device(device), dtype
        self._module = network.eval().requires_grad_(False).to(self.device, dtype)
        self._network = cast("Network", self._module)

    def __repr__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"Segmenter({self.name!r}, device={str(self.device)!r}, dtype={dtype!r})"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.spec.name

    def to(self, device: str | torch.device) -> Segmenter:
        """The same model on another device; itself where it is there already.

        The original is left as it was, since other threads may be using it.

        Raises:
            DeviceError: The device is not there, or the model's dtype gives wrong masks on it.
        """
        target = resolve_device(device)
        if target == self.device:
            return self
        resolve_dtype(self.dtype, target, self.spec)
        return Segmenter(copy.deepcopy(self._module), self.spec, target, self.dtype)

    # A path as str is a sequence of str to the type checker; it is an image here.
    @overload
    def embed(self, image: ImageLike, *, batch_size: int = 8) -> Embedding: ...  # type: ignore[overload-overlap]
    @overload
    def embed(self, image: Sequence[ImageLike], *, batch_size: int = 8) -> list[Embedding]: ...

    def embed(
        self, image: ImageLike | Sequence[ImageLike], *, batch_size: int = 8
    ) -> Embedding | list[Embedding]:
        """Encode an image once, to prompt it as often as needed.

        Args:
            image: (H, W, 3) uint8 RGB array (other forms: see `transforms.load_image`), a PIL image or
                a path; or a list or tuple of them, of any sizes.
            batch_size: Images encoded at once, where a list is given.

        Returns:
            One embedding, or a list in the order of the images.

        Raises:
            ImageError: An image cannot be read.
            OptionError: `batch_size` is below 1.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise OptionError("batch_size", expected="a whole number >= 1", got=repr(batch_size))
        if not isinstance(image, list | tuple):
            return self._encode([load_image(cast("ImageLike", image))])[0]
        embeddings: list[Embedding] = []
        for start in range(0, len(image), batch_size):
            embeddings += self._encode([load_image(one) for one in image[start : start + batch_size]])
        return embeddings

    def segment(
        self,
        image: ImageLike | Embedding,
        *,
        boxes: ArrayLike | None = None,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask: bool = False,
    ) -> Masks:
        """Segment the objects the prompts point at: one mask an object, in their order.

        Args:
            image: An image, as in `embed`, or an embedding made by this model.
            boxes: (N, 4) or (4,) ``xyxy`` in pixels of the image.
            points: ``(x, y)`` in pixels of the image: (P, 2) is ONE object, (N, P, 2) are N objects.
            point_labels: (P,) or (N, P): 1 foreground (the default), 0 background, -1 padding.
            mask_input: (N, 256, 256) or (256, 256) logits of an earlier answer (`Masks.logits`).
            multimask: Return three candidates an object, best first (rows 3i, 3i+1, 3i+2 are object i).

        Returns:
            N masks, or 3N. No rows in the prompts give no masks.

        Raises:
            PromptError: A prompt of the wrong shape or value, or none at all.
            UnsupportedPrompt: The model does not take this kind of prompt.
            EmbeddingMismatch: The embedding was made by another model.
            ImageError: The image cannot be read.
        """
        source = self._open(image)
        frame = source.frame if isinstance(source, Embedding) else self._frame(source)
        prompts = make_prompts(
            self.spec, frame, boxes=boxes, points=points, point_labels=point_labels, mask_input=mask_input
        )
        candidates = 3 if multimask else 1
        logits = np.empty((len(prompts) * candidates, LOW_RES, LOW_RES), np.float32)
        scores = np.empty(len(logits), np.float32)
        if len(prompts):
            embedding = source if isinstance(source, Embedding) else self._encode([source])[0]
            for start in range(0, len(prompts), self._chunk):
                some = self._decode(embedding, prompts[start : start + self._chunk], multimask=multimask)
                rows = slice(start * candidates, start * candidates + some[1].numel())
                logits[rows] = some[0].flatten(0, 1).float().cpu().numpy()
                scores[rows] = some[1].flatten().float().cpu().numpy()
        return Masks(logits, scores, frame, candidates=candidates)

    def everything(
        self,
        image: ImageLike | Embedding,
        *,
        progress: Progress | None = None,
        **options: Unpack[EverythingKeywords],
    ) -> Masks:
        """Segment whatever there is, without a prompt, by clicking on a grid of points.

        Args:
            image: An image, as in `embed`, or an embedding made by this model.
            progress: Called with (points done, points in all) after each chunk; returning False stops.
            **options: The fields of `EverythingOptions`, named as in SAM's automatic mask generator:
                points_per_side, points_per_batch, pred_iou_thresh, stability_score_thresh,
                stability_score_offset, box_nms_thresh, crop_n_layers, crop_nms_thresh,
                crop_overlap_ratio, crop_n_points_downscale_factor, point_grids, min_mask_region_area.
                An option left out or None takes the model's default, which is SAM's unless
                ``spec.everything_defaults`` says otherwise.

        Returns:
            The masks, highest predicted IoU first.

        Raises:
            OptionError: An unknown option, a value outside its range, or crops of an embedding.
            Cancelled: `progress` returned False; ``partial`` holds the masks found so far.
            Interrupted: Ctrl-C; ``partial`` holds the masks found so far.
            EmbeddingMismatch: The embedding was made by another model.
            ImageError: The image cannot be read.
        """
        require_everything(self.spec)
        settings = everything_options(self.spec, options)
        source = self._open(image)
        if isinstance(source, Embedding) and settings.crop_n_layers:
            raise OptionError(
                "crop_n_layers",
                expected="0 for an embedding",
                got=str(settings.crop_n_layers),
                hint="Crops are encoded one by one: pass the image itself.",
            )
        chunk = settings.points_per_batch
        if self.device.type == "cpu":
            chunk = min(chunk, self._chunk)
        frame = source.frame if isinstance(source, Embedding) else self._frame(source)
        return segment_everything(source, frame, settings, self._encode_one, self._click, chunk, progress)

    @property
    def _chunk(self) -> int:
        """Objects a decoder call; a network may know better by an attribute `prompt_chunk`."""
        usual = CPU_CHUNK if self.device.type == "cpu" else ACCELERATOR_CHUNK
        return int(getattr(self._module, "prompt_chunk", usual))

    def _open(self, source: ImageLike | Embedding) -> UInt8Array | Embedding:
        if isinstance(source, list | tuple):
            raise ImageError(
                "one image is segmented at a time",
                expected="an image or an embedding",
                got=f"a {type(source).__name__} of {len(source)}",
                hint="Loop over model.embed(images), which encodes them in batches.",
            )
        if not isinstance(source, Embedding):
            return load_image(source)
        if source.model != self.name:
            raise EmbeddingMismatch(
                f"the embedding was made by {source.model!r}",
                expected=f"one made by {self.name!r}",
                hint="Encode the image with this model: model.embed(image).",
            )
        moved = source.to(self.device)
        features = {
            name: tensor.to(self.dtype) if tensor.is_floating_point() else tensor
            for name, tensor in moved.features.items()
        }
        return replace(moved, features=features)

    def _frame(self, image: UInt8Array) -> Frame:
        return frame_for(image, side=self.spec.prompt_side, fit=self.spec.fit)

    def _encode_one(self, image: UInt8Array) -> Embedding:
        return self._encode([image])[0]

    @torch.inference_mode()
    def _encode(self, images: list[UInt8Array]) -> list[Embedding]:
        spec = self.spec
        frames = [self._frame(image) for image in images]
        tensors = [
            preprocess(image, frame, side=spec.encoder_side, mean=spec.mean, std=spec.std)
            for image, frame in zip(images, frames, strict=True)
        ]
        batch = torch.stack(tensors).to(self.device, self.dtype)
        features = self._network.encode(batch)
        return [Embedding(_rows(features, row, len(frames)), frame, spec.name) for row, frame in enumerate(frames)]

    @torch.inference_mode()
    def _decode(
        self, embedding: Embedding, prompts: PromptBatch, *, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One decoder call: logits (N, K, 256, 256) and scores (N, K)."""
        return self._network.decode(
            dict(embedding.features), _move(prompts, self.device), multimask=multimask
        )

    def _click(self, embedding: Embedding, points: FloatArray) -> tuple[torch.Tensor, torch.Tensor]:
        """Three candidates of each of the (n, 2) clicks, in pixels of the image of the embedding."""
        prompts = make_prompts(self.spec, embedding.frame, points=points[:, None])
        return self._decode(embedding, prompts, multimask=True)


def _rows(features: Features, row: int, count: int) -> Features:
    # A clone, so that one embedding of a batch does not keep the memory of all of them.
    return {name: tensor if count == 1 else tensor[row : row + 1].clone() for name, tensor in features.items()}


def _move(prompts: PromptBatch, device: torch.device) -> PromptBatch:
    boxes, masks = prompts.boxes, prompts.masks
    return PromptBatch(
        prompts.points.to(device),
        prompts.labels.to(device),
        None if boxes is None else boxes.to(device),
        None if masks is None else masks.to(device),
    )
