"""The values that travel between the parts of the core: frames, prompts, embeddings, networks.

Convention, everywhere: ``(x, y)`` in pixels, origin at the top left corner of the image, boxes as
``(x0, y0, x1, y1)``, half-open. *Original* means the image the user handed in; *input frame* means the
square the network's prompts are expressed in (1024 for most of the family).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    cast,
    get_args,
    runtime_checkable,
)

import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import InputError

if TYPE_CHECKING:
    import torch
    from PIL import Image

FloatArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
ImageLike: TypeAlias = "npt.NDArray[Any] | Image.Image | str | Path"
ArrayLike: TypeAlias = "npt.ArrayLike | torch.Tensor"
Features: TypeAlias = "dict[str, torch.Tensor]"
Answer: TypeAlias = "tuple[torch.Tensor, torch.Tensor] | tuple[torch.Tensor, torch.Tensor, torch.Tensor]"
Fit: TypeAlias = Literal["pad", "stretch", "letterbox"]

LOW_RES = 256  # side of every low-resolution mask (logits) that leaves a network, in cells
LETTERBOX_STEP = 32  # pixels; the sides of a letterbox are multiples of it


@dataclass(frozen=True, slots=True)
class Frame:
    """How one image lies in the square input frame of a model.

    Args:
        height: Height of the original image in pixels.
        width: Width of the original image in pixels.
        side: Side of the input frame in pixels.
        fit: ``"pad"`` scales the longest side to `side` and pads right and bottom (SAM);
            ``"stretch"`` scales both sides to `side` (EfficientSAM); ``"letterbox"`` scales the longest side
            to `side` and centres the image in the smallest rectangle whose sides are multiples of 32, which
            lies at the top left of the frame (YOLO).
    """

    height: int
    width: int
    side: int
    fit: Fit = "pad"

    @property
    def resized(self) -> tuple[int, int]:
        """(height, width) of the image content inside the input frame, in pixels, each at least 1."""
        if self.fit == "stretch":
            return self.side, self.side
        scale = self.side / max(self.height, self.width)
        if self.fit == "letterbox":
            return max(1, round(self.height * scale)), max(1, round(self.width * scale))
        return max(1, int(self.height * scale + 0.5)), max(1, int(self.width * scale + 0.5))

    @property
    def box(self) -> FloatArray:
        """The whole original image: (4,) float32 ``xyxy``."""
        return np.array((0, 0, self.width, self.height), np.float32)

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of the part of the input frame that a network sees, in pixels."""
        if self.fit != "letterbox":
            return self.side, self.side
        height, width = (-(-length // LETTERBOX_STEP) * LETTERBOX_STEP for length in self.resized)
        return height, width

    @property
    def offset(self) -> tuple[int, int]:
        """(x, y) of the top left corner of the image content in the input frame, in pixels."""
        if self.fit != "letterbox":
            return 0, 0
        (rows, columns), (height, width) = self.canvas, self.resized
        return (columns - width) // 2, (rows - height) // 2

    @property
    def scale(self) -> tuple[float, float]:
        """(x, y) factors from original pixels to input-frame pixels."""
        height, width = self.resized
        return width / self.width, height / self.height

    def to_input(self, xy: npt.ArrayLike) -> FloatArray:
        """Map ``(..., 2)`` or ``(..., 4)`` coordinates from original pixels to the input frame."""
        array = np.asarray(xy, np.float64)
        scale, offset = (np.tile(pair, array.shape[-1] // 2) for pair in (self.scale, self.offset))
        mapped: FloatArray = (array * scale + offset).astype(np.float32)
        return mapped

    def to_image(self, xy: npt.ArrayLike) -> FloatArray:
        """Map ``(..., 2)`` or ``(..., 4)`` coordinates from the input frame to original pixels."""
        array = np.asarray(xy, np.float64)
        scale, offset = (np.tile(pair, array.shape[-1] // 2) for pair in (self.scale, self.offset))
        mapped: FloatArray = ((array - offset) / scale).astype(np.float32)
        return mapped


@dataclass(frozen=True, slots=True)
class PromptBatch:
    """Prompts of N objects, as tensors in the input frame of one image.

    Args:
        points: (N, P, 2) float32, ``(x, y)`` in input-frame pixels; P may be 0.
        labels: (N, P) int64: 1 foreground, 0 background, -1 padding (ignored).
        boxes: (N, 4) float32 ``xyxy`` in input-frame pixels, or None.
        masks: (N, 256, 256) float32 logits of an earlier answer, or None.
        padded: Whether some label is -1. Whoever makes the batch on the CPU says so; where None it is looked up, for
            which a GPU would have to be waited for.
    """

    points: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor | None = None
    masks: torch.Tensor | None = None
    padded: bool | None = None

    def __len__(self) -> int:
        return int(self.points.shape[0])

    def __getitem__(self, rows: slice | torch.Tensor) -> PromptBatch:
        """The prompts of some objects: of a range, or of (M,) int64 numbers."""
        return PromptBatch(
            self.points[rows],
            self.labels[rows],
            None if self.boxes is None else self.boxes[rows],
            None if self.masks is None else self.masks[rows],
            self.padded,
        )

    def to(self, device: torch.device | str) -> PromptBatch:
        """The same prompts on another device."""
        return PromptBatch(
            self.points.to(device),
            self.labels.to(device),
            None if self.boxes is None else self.boxes.to(device),
            None if self.masks is None else self.masks.to(device),
            self.padded,
        )


class Decoded(NamedTuple):
    """Masks of N objects, K candidates each.

    Args:
        logits: (N, K, 256, 256) over the whole input frame.
        scores: (N, K) predicted IoU.
        limits: (N, K, 4) ``xyxy`` in pixels of the original image; no mask has pixels outside its own.
    """

    logits: torch.Tensor
    scores: torch.Tensor
    limits: FloatArray


class Chosen(NamedTuple):
    """What everything mode chooses from: masks of N clicks or boxes that are rated above a threshold.

    Args:
        logits: (M, 256, 256) over the whole input frame.
        scores: (M,) predicted IoU.
        rows: (M,) which of the N each is of.
        limits: (M, 4) ``xyxy`` in pixels of the original image; no mask has pixels outside its own.
        best: (N,) the highest predicted IoU of each, above the threshold or not.
    """

    logits: torch.Tensor
    scores: FloatArray
    rows: IntArray
    limits: FloatArray
    best: FloatArray


class Network(Protocol):
    """What every architecture offers to the segmenter: an image side and a prompt side.

    A network is a `torch.nn.Module` in eval mode. It knows nothing of files, original sizes or numpy.
    """

    def encode(self, images: torch.Tensor) -> Features:
        """Encode (B, 3, S, S) normalised float images to named features, batch first.

        For a letterbox (B, 3, H, W), as large as `Frame.canvas` says.
        """
        ...

    def decode(self, features: Features, prompts: PromptBatch, *, multimask: bool) -> Answer:
        """Decode N prompts of ONE image (features with batch size 1).

        Returns:
            Logits (N, K, 256, 256) over the whole input frame and predicted IoU (N, K);
            K is 1, or 3 candidates sorted best first where `multimask`. A network whose masks end at boxes adds
            these, (N, K, 4) ``xyxy`` in input-frame pixels.
        """
        ...


@runtime_checkable
class Rater(Protocol):
    """What a network offers besides that gives only candidates worth it, mostly rated before they are drawn."""

    def decode_above(
        self, features: Features, prompts: PromptBatch, threshold: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidates of N prompts of ONE image with a predicted IoU above the threshold.

        Returns:
            Logits (M, 256, 256) of those, in the order of the prompts, and of one the best first; and predicted IoU
            (N, K) of all candidates, best first.
        """
        ...


@runtime_checkable
class Proposer(Protocol):
    """What a network offers besides that finds all objects of an image without a prompt (FastSAM)."""

    def propose(self, features: Features) -> Answer:
        """The objects of ONE image as `Network.decode` gives them, N = 1 and K as many as there are."""
        ...


@runtime_checkable
class Finisher(Protocol):
    """What a network offers besides whose `encode` ends with work that depends on what is in the image (FastSAM).

    `encode` is `finish` of `maps`; the maps are what an engine can compute.
    """

    def maps(self, images: torch.Tensor) -> Features:
        """The part of `Network.encode` that is one fixed graph."""
        ...

    def finish(self, maps: Features) -> Features:
        """The rest of it."""
        ...


@runtime_checkable
class Detector(Protocol):
    """What a network offers besides that finds the objects of an image as boxes, to be decoded (MobileSAMv2)."""

    def detect(self, images: torch.Tensor) -> torch.Tensor:
        """Find objects in (B, 3, H, W) float images, letterboxes of RGB in 0..1.

        Returns:
            (B, K, 5) float32: boxes ``xyxy`` in pixels of the letterbox, and their confidence, highest first;
            rows that are not needed are zero.
        """
        ...


@dataclass(frozen=True)
class Embedding:
    """An encoded image: immutable, tied to its model, movable between devices, savable.

    Args:
        features: Named tensors with batch size 1, as the model's `encode` made them.
        frame: Size of the original image and how it lies in the input frame.
        model: Name of the model that made it.
    """

    features: Mapping[str, torch.Tensor]
    frame: Frame
    model: str

    def __repr__(self) -> str:
        height, width = self.size
        size = f"image {width}x{height}, {self.frame.side} px {self.frame.fit}"
        return f"Embedding({self.model!r}, {size}, {self.nbytes / 1e6:.1f} MB)"

    @property
    def nbytes(self) -> int:
        """Bytes held by the tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.features.values())

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the original image in pixels."""
        return self.frame.height, self.frame.width

    def vector(self) -> FloatArray:
        """One vector of the whole image, for similarity: the mean of every feature map over the image.

        Returns:
            (D,) float32, D being all channels of all maps, in the order of their names; padding is left out. Vectors
            of different models cannot be compared.
        """
        (height, width), (rows, columns) = self.frame.resized, self.frame.canvas
        left, top = self.frame.offset
        means = []
        for name in sorted(self.features):
            maps = self.features[name]
            if maps.ndim != 4 or not maps.is_floating_point():  # what is no map, and the detector's image
                continue
            down, across = maps.shape[2] / rows, maps.shape[3] / columns
            y0, x0 = int(top * down), int(left * across)
            y1, x1 = ceil((top + height) * down), ceil((left + width) * across)
            means.append(maps[0, :, y0:y1, x0:x1].float().mean((1, 2)).cpu().numpy())
        return np.concatenate(means)

    def to(self, device: str | torch.device) -> Embedding:
        """The same embedding on another device; itself where nothing has to move."""
        if all(str(tensor.device) == str(device) for tensor in self.features.values()):
            return self
        return replace(self, features={name: tensor.to(device) for name, tensor in self.features.items()})

    def save(self, path: str | Path) -> None:
        """Write the embedding as one safetensors file."""
        from safetensors.torch import save_file

        frame = self.frame
        metadata = {"model": self.model, "frame": f"{frame.height},{frame.width},{frame.side},{frame.fit}"}
        save_file({name: tensor.contiguous() for name, tensor in self.features.items()}, path, metadata)

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> Embedding:
        """Read an embedding written by `save`.

        Raises:
            InputError: The file is not such a file.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt", device=str(device)) as file:
                metadata = file.metadata() or {}
                height, width, side, fit = metadata["frame"].split(",")
                features = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                if fit not in get_args(Fit):
                    raise ValueError(f"unknown fit {fit!r}")
                frame = Frame(int(height), int(width), int(side), cast("Fit", fit))
                return cls(features, frame, metadata["model"])
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise InputError(
                f"cannot read the embedding {str(path)!r}",
                expected="a file written by Embedding.save",
                got=f"{type(error).__name__}: {error}",
                hint="Encode the image again with model.embed(image).",
            ) from error
