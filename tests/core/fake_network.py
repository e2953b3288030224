"""Networks without weights whose masks are known exactly: the logic around a network is tested with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lightsam_plugins.registry import MODELS, ModelSpec
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.types import Features, PromptBatch

SIDE = 256  # encoder side, prompt side and mask side: one cell is one pixel of a 256x256 image
LEVEL = 8.0  # logits are +LEVEL inside and -LEVEL outside
SPEC = dataclasses.replace(
    MODELS["mobilesam"],
    name="wand",
    builder="fake_network:Wand",
    encoder_side=SIDE,
    prompt_side=SIDE,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)


class Wand(nn.Module):
    """A magic wand: what has the colour of a positive click and not that of a negative one, inside the box.

    A box alone is filled. A mask input is added to the logits. Of three candidates the first is the answer,
    the second is it without its last cells, the third everything else.
    """

    unused_keys: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(LEVEL))
        self.decoded: list[int] = []  # prompts of each decoder call
        self.encoded: list[int] = []  # images of each encoder call

    def encode(self, images: torch.Tensor) -> Features:
        """The image is its own embedding."""
        self.encoded.append(len(images))
        return {"image": images}

    def decode(
        self, features: Features, prompts: PromptBatch, *, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, K, 256, 256) logits of +-LEVEL, and IoU that falls with the rank."""
        self.decoded.append(len(prompts))
        inside = torch.stack(
            [self._mask(features["image"][0], prompts[i : i + 1]) for i in range(len(prompts))]
        )
        logits = (inside.float() * 2 - 1) * self.scale
        if prompts.masks is not None:
            logits = logits + prompts.masks
        best = 0.9 + 0.09 * inside.float().mean((1, 2))
        if not multimask:
            return logits[:, None], best[:, None]
        smaller = -functional.max_pool2d(-logits[:, None], 3, 1, 1)[:, 0]
        return torch.stack([logits, smaller, -logits], 1), torch.stack([best, best - 0.3, best - 0.6], 1)

    def _mask(self, image: torch.Tensor, prompt: PromptBatch) -> torch.Tensor:
        image = image.float()
        mask = torch.zeros(image.shape[1:], dtype=torch.bool, device=image.device)
        alike = [self._alike(image, point) for point in prompt.points[0]]
        for same, label in zip(alike, prompt.labels[0].tolist(), strict=True):
            mask = mask | same if label == 1 else mask
        if not (prompt.labels == 1).any():
            mask = ~mask
        for same, label in zip(alike, prompt.labels[0].tolist(), strict=True):
            mask = mask & ~same if label == 0 else mask
        if prompt.boxes is not None:
            x0, y0, x1, y1 = prompt.boxes[0].round().long().tolist()
            box = torch.zeros_like(mask)
            box[y0:y1, x0:x1] = True
            mask = mask & box
        return mask

    def _alike(self, image: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
        x, y = point.long().clamp(0, SIDE - 1).tolist()
        return (image - image[:, y, x, None, None]).abs().amax(0) < 8


Script = Callable[[float, float], list[tuple[tuple[float, float, float, float], float]]]


class Scripted(nn.Module):
    """Answers each click with three boxes and scores given by a function of its place in the input frame."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.decoded: list[int] = []

    def encode(self, images: torch.Tensor) -> Features:
        """Nothing: the script is all there is."""
        return {"nothing": images.new_zeros((len(images), 1))}

    def decode(
        self, features: Features, prompts: PromptBatch, *, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Filled boxes of +-LEVEL, three a prompt."""
        self.decoded.append(len(prompts))
        logits = torch.full((len(prompts), 3, SIDE, SIDE), -LEVEL)
        scores = torch.zeros((len(prompts), 3))
        for row, (x, y) in enumerate(prompts.points[:, 0].tolist()):
            for rank, ((x0, y0, x1, y1), score) in enumerate(self.script(x, y)):
                logits[row, rank, int(y0) : int(y1), int(x0) : int(x1)] = LEVEL
                scores[row, rank] = score
        return logits, scores


def wand_segmenter(**changes: object) -> Segmenter:
    """A segmenter around `Wand`; `changes` are fields of its model card."""
    return Segmenter(Wand(), spec(**changes))


def spec(**changes: object) -> ModelSpec:
    """The model card of the networks here."""
    return dataclasses.replace(SPEC, **changes)  # type: ignore[arg-type]


def blocks(
    height: int = SIDE, width: int = SIDE, cells: int = 4, seed: int = 0
) -> tuple[np.ndarray, list[tuple[int, int, int, int]]]:
    """A grey (50) image with one block of its own colour in the middle of each cell of a grid.

    Returns:
        (height, width, 3) uint8 and the blocks as ``xyxy``, row by row.
    """
    random = np.random.default_rng(seed)
    levels = random.permutation(
        [(r, g, b) for r in (90, 150, 210) for g in (0, 120, 240) for b in (0, 120, 240)]
    )
    image = np.full((height, width, 3), 50, np.uint8)
    found = []
    for index in range(cells * cells):
        row, column = divmod(index, cells)
        y0, x0 = int((row + 0.25) * height / cells), int((column + 0.25) * width / cells)
        y1, x1 = int((row + 0.75) * height / cells), int((column + 0.75) * width / cells)
        image[y0:y1, x0:x1] = levels[index]
        found.append((x0, y0, x1, y1))
    return image, found
