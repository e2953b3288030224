"""The predictor: images and prompts in, `Masks` out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack, cast, overload

import numpy as np
import torch

from lightsam_plugins.devices import resolve_dtype
from lightsam_plugins.engines import check_engine, make_encoder
from lightsam_plugins.errors import ImageError, OptionError, PromptError
from lightsam_plugins.everything import Progress, segment_everything
from lightsam_plugins.everything_options import EverythingKeywords, everything_options
from lightsam_plugins.masks import Masks
from lightsam_plugins.prompts import make_prompts, require_everything
from lightsam_plugins.runner import Runner
from lightsam_plugins.text import choose, read_texts
from lightsam_plugins.transforms import load_image
from lightsam_plugins.types import LOW_RES, Embedding

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.registry import ModelSpec
    from lightsam_plugins.stopping import KeepGoing
    from lightsam_plugins.types import ArrayLike, Frame, ImageLike


class Segmenter:
    """A loaded model. It holds no state of any image: one may be used from several threads at once.

    Args:
        network: The architecture with its weights, a `torch.nn.Module` that fulfils `Network`.
        spec: Its model card.
        device: Where to run.
        dtype: Precision of weights and features; prompts and results are float32 always.
        engine: What runs the encoder, see `engines`.
    """

    spec: ModelSpec
    device: torch.device
    dtype: torch.dtype
    engine: str

    def __init__(
        self,
        network: torch.nn.Module,
        spec: ModelSpec,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        engine: str = "torch",
    ) -> None:
        self.spec, self.device, self.dtype, self.engine = spec, torch.device(device), dtype, engine
        encoder = make_encoder(engine, network, spec, dtype)
        self._runner = Runner(network, spec, self.device, dtype, encoder)

    def __repr__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        engine = "" if self.engine == "torch" else f", engine={self.engine!r}"
        return f"Segmenter({self.name!r}, device={str(self.device)!r}, dtype={dtype!r}{engine})"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.spec.name

    @property
    def network(self) -> torch.nn.Module:
        """The network itself, on its device; for export."""
        return self._runner.module

    def to(self, device: str | torch.device) -> Segmenter:
        """The same model on another device; itself where it is there already.

        The original is left as it was, since other threads may be using it.

        Raises:
            DeviceError: The device is not there, the model's dtype gives wrong masks on it, or its engine does not
                run on it.
        """
        target = check_engine(self.engine, device, self.dtype)
        if target == self.device:
            return self
        resolve_dtype(self.dtype, target, self.spec)
        return Segmenter(copy.deepcopy(self._runner.module), self.spec, target, self.dtype, self.engine)

    # A path as str is a sequence of str to the type checker; it is an image here.
    @overload
    def embed(  # type: ignore[overload-overlap]
        self, image: ImageLike, *, batch_size: int = 8, keep_going: KeepGoing | None = None
    ) -> Embedding: ...
    @overload
    def embed(
        self, image: Sequence[ImageLike], *, batch_size: int = 8, keep_going: KeepGoing | None = None
    ) -> list[Embedding]: ...

    def embed(
        self,
        image: ImageLike | Sequence[ImageLike],
        *,
        batch_size: int = 8,
        keep_going: KeepGoing | None = None,
    ) -> Embedding | list[Embedding]:
        """Encode an image once, to prompt it as often as needed.

        Args:
            image: (H, W, 3) uint8 RGB array (other forms: see `transforms.load_image`), a PIL image or
                a path; or a list or tuple of them, of any sizes.
            batch_size: Images encoded at once, where a list is given.
            keep_going: Asked before every operation of the network, so it should be quick; returning False stops.

        Returns:
            One embedding, or a list in the order of the images.

        Raises:
            Cancelled: `keep_going` returned False.
            ImageError: An image cannot be read.
            OptionError: `batch_size` is below 1.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise OptionError("batch_size", expected="a whole number >= 1", got=repr(batch_size))
        if not isinstance(image, list | tuple):
            return self._runner.embed([load_image(cast("ImageLike", image))], keep_going)[0]
        embeddings: list[Embedding] = []
        for start in range(0, len(image), batch_size):
            some = [load_image(one) for one in image[start : start + batch_size]]
            embeddings += self._runner.embed(some, keep_going)
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
        text: str | Sequence[str] | None = None,
    ) -> Masks:
        """Segment the objects the prompts point at: one mask an object, in their order.

        Args:
            image: An image, as in `embed`, or an embedding made by this model.
            boxes: (N, 4) or (4,) ``xyxy`` in pixels of the image.
            points: ``(x, y)`` in pixels of the image: (P, 2) is ONE object, (N, P, 2) are N objects.
            point_labels: (P,) or (N, P): 1 foreground (the default), 0 background, -1 padding. Clicks of label 0
                alone point at nothing: `nano` mostly answers with an empty mask, others with anything.
            mask_input: (N, 256, 256) or (256, 256) logits of an earlier answer (`Masks.logits`).
            multimask: Return three candidates an object, best first (rows 3i, 3i+1, 3i+2 are object i).
            text: What to find, in English, alone and in an image: of all masks of everything mode the one that CLIP
                finds most alike, one a text; see `text.choose`. It needs the extra ``text``.

        Returns:
            N masks, or 3N. No rows in the prompts give no masks. For texts the scores are those of `text.rank`.

        Raises:
            PromptError: A prompt of the wrong shape or value or outside the image, or none at all.
            UnsupportedPrompt: The model does not take this kind of prompt.
            EmbeddingMismatch: The embedding was made by another model.
            ImageError: The image cannot be read.
            MissingExtra: A text, and CLIP's extra is not installed.
            WeightsError: A text, and CLIP's weights cannot be fetched.
        """
        source, frame = self._open(image)
        if text is not None:
            others = {
                "boxes": boxes,
                "points": points,
                "point_labels": point_labels,
                "mask_input": mask_input,
            }
            given = [name for name, value in others.items() if value is not None]
            return self._find(source, frame, text, given + ["multimask"] * multimask)
        prompts = make_prompts(
            self.spec, frame, boxes=boxes, points=points, point_labels=point_labels, mask_input=mask_input
        )
        candidates, chunk = (3 if multimask else 1), self._runner.chunk
        logits = np.empty((len(prompts) * candidates, LOW_RES, LOW_RES), np.float32)
        scores = np.empty(len(logits), np.float32)
        limits = np.empty((len(logits), 4), np.float32)
        if len(prompts):
            embedding = source if isinstance(source, Embedding) else self._runner.encode([source])[0]
            for start in range(0, len(prompts), chunk):
                some = self._runner.decode(embedding, prompts[start : start + chunk], multimask=multimask)
                rows = slice(start * candidates, start * candidates + some.scores.numel())
                logits[rows] = some.logits.flatten(0, 1).float().cpu().numpy()
                scores[rows] = some.scores.flatten().float().cpu().numpy()
                limits[rows] = some.limits.reshape(-1, 4)
        return Masks(logits, scores, frame, candidates=candidates, limits=limits)

    def everything(
        self,
        image: ImageLike | Embedding,
        *,
        progress: Progress | None = None,
        **options: Unpack[EverythingKeywords],
    ) -> Masks:
        """Segment whatever there is, without a prompt, by clicking on a grid of points.

        A model that finds all objects at once (FastSAM) needs no clicks, and one with a detector (MobileSAMv2)
        takes the boxes of that instead: options about clicks change nothing there but `points_per_batch`, which is
        boxes a batch. The scores are then the confidence of the object, which is what `pred_iou_thresh` is about.

        Args:
            image: An image, as in `embed`, or an embedding made by this model.
            progress: Called with (points done, points in all) after each chunk; returning False stops.
            **options: The fields of `EverythingOptions`, named as in SAM's automatic mask generator:
                points_per_side, points_per_batch, pred_iou_thresh, stability_score_thresh,
                stability_score_offset, box_nms_thresh, crop_n_layers, crop_nms_thresh,
                crop_overlap_ratio, crop_n_points_downscale_factor, point_grids, min_mask_region_area; hierarchical,
                which is faster; and detector_bgr, of MobileSAMv2.
                An option left out or None takes the model's default, which is SAM's unless
                ``spec.everything_defaults`` says otherwise.

        Returns:
            The masks, highest score first.

        Raises:
            OptionError: An unknown option, one out of its range or of another model, or crops of an embedding.
            Cancelled: `progress` returned False; ``partial`` holds the masks found so far.
            Interrupted: Ctrl-C; ``partial`` holds the masks found so far.
            EmbeddingMismatch: The embedding was made by another model.
            ImageError: The image cannot be read.
        """
        require_everything(self.spec)
        settings = everything_options(self.spec, options)
        source, frame = self._open(image)
        if isinstance(source, Embedding) and settings.crop_n_layers:
            raise OptionError(
                "crop_n_layers",
                expected="0 for an embedding",
                got=str(settings.crop_n_layers),
                hint="Crops are encoded one by one: pass the image itself.",
            )
        return segment_everything(self._runner, source, frame, settings, progress)

    def _find(
        self, source: UInt8Array | Embedding, frame: Frame, text: str | Sequence[str], others: list[str]
    ) -> Masks:
        """The mask of each text, among all that there are."""
        texts = read_texts(text)
        if others:
            raise PromptError(
                "text does not combine with other prompts",
                expected="text alone",
                got=f"text and {', '.join(others)}",
                hint="Prompt twice, or pass the masks of the other prompts to lightsam_plugins.text.choose.",
            )
        if isinstance(source, Embedding):
            raise PromptError(
                "text needs the pixels of the image, which an embedding does not keep",
                expected="an image",
                got="an embedding",
                hint="Pass the image itself: model.segment(image, text=...).",
            )
        require_everything(self.spec)
        if not texts:
            return Masks.empty(frame)
        from lightsam_plugins.text_clip import clip_scorer

        scorer = clip_scorer(self.device)  # first, so that what it lacks is told at once
        return choose(source, self.everything(source), texts, scorer=scorer)

    def _open(self, source: ImageLike | Embedding) -> tuple[UInt8Array | Embedding, Frame]:
        """The pixels of an image, or an embedding that fits this model; and the frame of either."""
        if isinstance(source, list | tuple):
            raise ImageError(
                "one image is segmented at a time",
                expected="an image or an embedding",
                got=f"a {type(source).__name__} of {len(source)}",
                hint="Loop over model.embed(images), which encodes them in batches.",
            )
        if isinstance(source, Embedding):
            return self._runner.fit(source), source.frame
        image = load_image(source)
        return image, self._runner.frame(image)
