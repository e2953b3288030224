"""A network on its device: images and prompts in, tensors out, with nothing kept between two calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from lightsam_plugins.detection import boxes_in_image, detector_image
from lightsam_plugins.errors import EmbeddingMismatch
from lightsam_plugins.prompts import make_prompts
from lightsam_plugins.stopping import KeepGoing, stoppable
from lightsam_plugins.transforms import frame_for, preprocess
from lightsam_plugins.types import (
    Chosen,
    Decoded,
    Detector,
    Embedding,
    Features,
    FloatArray,
    PromptBatch,
    Proposer,
    Rater,
)

if TYPE_CHECKING:
    from lightsam_plugins.engines import Encoder
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.registry import ModelSpec
    from lightsam_plugins.types import Answer, Frame, Network

CPU_CHUNK = 16  # objects a decoder call: more is slower on a CPU, and memory grows with it
ACCELERATOR_CHUNK = 64


class Runner:
    """Runs one network.

    Args:
        module: The network, a `torch.nn.Module` that fulfils `Network`. It is moved and frozen in place.
        spec: Its model card.
        device: Where to run.
        dtype: Precision of weights and features; prompts stay float32, and so do parts of the network that it names by
            an attribute ``exact_modules``.
        encoder: Encodes float32 images in place of the network, see `engines`.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        spec: ModelSpec,
        device: torch.device,
        dtype: torch.dtype,
        encoder: Encoder | None = None,
    ) -> None:
        self.spec, self.device, self.dtype = spec, device, dtype
        self._encoder = encoder
        self.module = _converted(module.eval().requires_grad_(False).to(device), dtype)
        self._network = cast("Network", self.module)

    @property
    def chunk(self) -> int:
        """Objects a decoder call; a network may know better by an attribute ``prompt_chunk``."""
        usual = CPU_CHUNK if self.device.type == "cpu" else ACCELERATOR_CHUNK
        return int(getattr(self.module, "prompt_chunk", usual))

    def frame(self, image: UInt8Array) -> Frame:
        """How an (H, W, 3) image lies in the input frame of the model."""
        return frame_for(image, side=self.spec.prompt_side, fit=self.spec.fit)

    @torch.inference_mode()
    def encode(self, images: list[UInt8Array], keep_going: KeepGoing | None = None) -> list[Embedding]:
        """Encode (H, W, 3) images of any sizes in one call.

        Raises:
            Cancelled: `keep_going` returned False.
        """
        spec = self.spec
        frames = [self.frame(image) for image in images]
        inputs = [
            preprocess(image, frame, side=spec.encoder_side, mean=spec.mean, std=spec.std)
            for image, frame in zip(images, frames, strict=True)
        ]
        found: dict[int, Features] = {}
        for shape in {one.shape for one in inputs}:  # letterboxes differ, all else is square
            rows = [row for row, one in enumerate(inputs) if one.shape == shape]
            batch = torch.stack([inputs[row] for row in rows]).to(self.device)
            encode = self._encoder
            with stoppable(keep_going):
                features = self._network.encode(batch.to(self.dtype)) if encode is None else encode(batch)
            found |= {row: _row(features, place, len(rows)) for place, row in enumerate(rows)}
        return [Embedding(found[row], frame, spec.name) for row, frame in enumerate(frames)]

    def embed(self, images: list[UInt8Array], keep_going: KeepGoing | None = None) -> list[Embedding]:
        """As `encode`, to be kept: with the image for the detector, of which everything mode may be in need later.

        The detector is not run here, since prompts do without it.
        """
        embeddings = self.encode(images, keep_going)
        if not self.detects:
            return embeddings
        seen = [detector_image(image)[None].to(self.device) for image in images]
        return [
            replace(one, features={**one.features, "detector_image": pixels})
            for one, pixels in zip(embeddings, seen, strict=True)
        ]

    def fit(self, embedding: Embedding) -> Embedding:
        """The embedding on this device and in this precision.

        A network may name features by an attribute ``exact_features`` that stay as they are: coordinates up to 1024
        would be 4 pixels apart in bfloat16.

        Raises:
            EmbeddingMismatch: Another model made it, or this one when it had another input frame.
        """
        if embedding.model != self.spec.name:
            raise EmbeddingMismatch(
                f"the embedding was made by {embedding.model!r}",
                expected=f"one made by {self.spec.name!r}",
                hint="Encode the image with this model: model.embed(image).",
            )
        frame = embedding.frame
        if (frame.side, frame.fit) != (self.spec.prompt_side, self.spec.fit):
            raise EmbeddingMismatch(
                f"the embedding was made by another version of {self.spec.name!r}",
                expected=f"a frame of {self.spec.prompt_side} px ({self.spec.fit})",
                got=f"{frame.side} px ({frame.fit})",
                hint="Encode the image again: model.embed(image).",
            )
        moved = embedding.to(self.device)
        exact: tuple[str, ...] = getattr(self.module, "exact_features", ())
        features = {
            name: tensor.to(self.dtype) if tensor.is_floating_point() and name not in exact else tensor
            for name, tensor in moved.features.items()
        }
        return replace(moved, features=features)

    @torch.inference_mode()
    def decode(self, embedding: Embedding, prompts: PromptBatch, *, multimask: bool) -> Decoded:
        """One decoder call; K is 1, or 3 best first."""
        some = prompts.to(self.device)
        answer = self._network.decode(dict(embedding.features), some, multimask=multimask)
        return _decoded(answer, embedding.frame)

    @property
    def proposes(self) -> bool:
        """Whether the network finds all objects of an image at once, without clicks."""
        return isinstance(self.module, Proposer)

    @torch.inference_mode()
    def click(self, embedding: Embedding, points: FloatArray, threshold: float) -> Chosen:
        """What everything mode chooses from, as far as the predicted IoU is above the threshold.

        Three candidates of each of (N, 2) clicks, in pixels of the image of the embedding; of a network that
        proposes all objects at once these, whatever the one click.
        """
        features, frame = dict(embedding.features), embedding.frame
        if isinstance(self.module, Proposer):
            return _above(_decoded(self.module.propose(features), frame), threshold)
        prompts = make_prompts(self.spec, frame, points=points[:, None])
        if not isinstance(self.module, Rater):
            return _above(self.decode(embedding, prompts, multimask=True), threshold)
        answer = self.module.decode_above(features, prompts.to(self.device), threshold)
        return _chosen(_decoded(answer, frame), answer[0], threshold)

    @property
    def detects(self) -> bool:
        """Whether the network finds the objects of an image as boxes, which it decodes in place of clicks."""
        return isinstance(self.module, Detector)

    @torch.inference_mode()
    def detect(self, source: UInt8Array | Embedding, *, bgr: bool) -> FloatArray:
        """The objects of an (H, W, 3) image, or of the image of an embedding.

        Args:
            source: The image.
            bgr: Show the detector blue where red is, and red where blue is.

        Returns:
            (K, 5) float32: boxes ``xyxy`` in pixels of the image, and their confidence, highest first.
        """
        network = cast("Detector", self.module)
        if isinstance(source, Embedding):
            pixels, frame = source.features["detector_image"], source.frame
        else:
            pixels, frame = detector_image(source)[None], self.frame(source)
        images = pixels.to(self.device, self.dtype) / 255
        found = network.detect(images.flip(1) if bgr else images)[0]
        return boxes_in_image(found.float().cpu().numpy(), frame)

    def box(self, embedding: Embedding, found: FloatArray, threshold: float) -> Chosen:
        """One mask of each of (N, 5) detected objects whose scores, the detector's, are above the threshold."""
        prompts = make_prompts(self.spec, embedding.frame, boxes=found[:, :4])
        decoded = self.decode(embedding, prompts, multimask=False)
        scores = torch.from_numpy(found[:, 4:]).to(self.device)
        return _above(decoded._replace(scores=scores), threshold)


def _above(decoded: Decoded, threshold: float) -> Chosen:
    """The candidates with a predicted IoU above the threshold, object by object."""
    return _chosen(decoded, decoded.logits[decoded.scores.float() > threshold], threshold)


def _chosen(rated: Decoded, logits: torch.Tensor, threshold: float) -> Chosen:
    """The same where only the logits of those are at hand, (M, 256, 256)."""
    scores = rated.scores.float().cpu().numpy()
    above = scores > np.float32(threshold)
    best = np.fmax.reduce(scores, axis=1, initial=0)  # which a rating of NaN does not spoil
    return Chosen(logits, scores[above], above.nonzero()[0], rated.limits[above], best)


def _decoded(answer: Answer, frame: Frame) -> Decoded:
    logits, scores = answer[:2]
    if len(answer) == 2:
        return Decoded(logits, scores, np.tile(frame.box, (*scores.shape, 1)))
    limits = frame.to_image(answer[2].float().cpu().numpy())
    return Decoded(logits, scores, np.clip(limits, 0, frame.box[[2, 3, 2, 3]]))


def _row(features: Features, row: int, count: int) -> Features:
    # A clone, so that one embedding of a batch does not keep the memory of all of them.
    return {
        name: tensor if count == 1 else tensor[row : row + 1].clone() for name, tensor in features.items()
    }


def _converted(module: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    exact: tuple[str, ...] = getattr(module, "exact_modules", ())
    if not exact:
        return module.to(dtype)
    for name, part in module.named_children():
        part.to(torch.float32 if name in exact else dtype)
    return module
