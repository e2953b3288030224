"""Prompts as a user would give them, drawn from label maps; all of it vectorised over N = B x P objects."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from lightsam_plugins.types import PromptBatch

SLOTS = 8  # click slots an object


def pick_objects(labels: torch.Tensor, per_image: int, generator: torch.Generator) -> torch.Tensor:
    """(B * P, H, W) float target masks: P objects an image, without repeats while there are enough.

    Args:
        labels: (B, H, W) int64; 0 is background.
        per_image: P.
        generator: Source of randomness.
    """
    targets = []
    for label in labels:
        counts = torch.bincount(label.flatten())
        counts[0] = 0
        ids = torch.nonzero(counts >= 12).flatten()
        if len(ids) == 0:
            targets.append(torch.zeros(per_image, *label.shape))
            continue
        order = ids[torch.randperm(len(ids), generator=generator)]
        chosen = order.repeat(-(-per_image // len(order)))[:per_image]
        targets.append((label[None] == chosen[:, None, None]).float())
    return torch.cat(targets)


def blur(maps: torch.Tensor, kernel: int) -> torch.Tensor:
    """Box filter of (N, H, W) by an odd kernel, zeros around. OpenCV's time does not grow with the kernel."""
    size = (kernel, kernel)
    return torch.from_numpy(
        np.stack([cv2.blur(one, size, borderType=cv2.BORDER_CONSTANT) for one in maps.numpy()])
    )


def dilate(maps: torch.Tensor, kernel: int) -> torch.Tensor:
    """Maximum filter of (N, H, W) by an odd kernel."""
    square = np.ones((kernel, kernel), np.uint8)
    return torch.from_numpy(np.stack([cv2.dilate(one, square) for one in maps.numpy()]))


def draw_point(
    region: torch.Tensor, sharp: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """One cell of each region, the likelier the deeper inside.

    Args:
        region: (N, H, W) 0/1.
        sharp: (N,) 0 draws evenly, large values draw the centre.
        generator: Source of randomness.

    Returns:
        (N, 2) ``(x, y)`` in cells, and (N,) whether the region holds anything.
    """
    side = region.shape[-1]
    total = region
    for kernel in (5, side // 16 * 2 + 1, side // 6 * 2 + 1):
        total = total + blur(region, kernel)
    total = (total / 4).clamp(min=0) * region
    weights = (total / total.amax((1, 2), keepdim=True).clamp(min=1e-6)) ** sharp[:, None, None] * region
    flat = weights.flatten(1)
    filled = flat.sum(1) > 0
    flat = torch.where(filled[:, None], flat, torch.ones_like(flat))
    index = torch.multinomial(flat, 1, generator=generator)[:, 0]
    jitter = torch.rand(len(region), 2, generator=generator)
    return torch.stack([index % side, index // side], 1) + jitter, filled


def bounds(targets: torch.Tensor) -> torch.Tensor:
    """(N, 4) half-open xyxy in cells; zeros for empty masks."""
    boxes = []
    for axis in (1, 2):
        hit = targets.amax(axis) > 0
        cells = torch.arange(hit.shape[1])
        low = torch.where(hit, cells, hit.shape[1]).amin(1)
        high = torch.where(hit, cells + 1, 0).amax(1)
        boxes += [low.float(), high.float()]
    x0, x1, y0, y1 = boxes
    return torch.stack([x0, y0, x1, y1], 1) * (targets.amax((1, 2)) > 0)[:, None]


@dataclass
class Session:
    """The prompts given so far for N objects; grows by corrective clicks.

    Args:
        targets: (N, H, W) 0/1 at stride 2 of the input frame.
        generator: Source of randomness.
    """

    targets: torch.Tensor
    generator: torch.Generator

    def __post_init__(self) -> None:
        count = len(self.targets)
        self.points = torch.zeros(count, SLOTS, 2)
        self.labels = torch.full((count, SLOTS), -1)
        self.used = torch.zeros(count, dtype=torch.long)
        self.boxes = torch.zeros(count, 4)
        self.masks = torch.zeros_like(self.targets)

    def rand(self, *shape: int) -> torch.Tensor:
        """Uniform numbers of this session's generator."""
        return torch.rand(*shape, generator=self.generator)

    def click(self, region: torch.Tensor, label: torch.Tensor, wanted: torch.Tensor) -> None:
        """Add one click of `label` (N,) drawn from `region` where `wanted` (N,) and the region is not empty."""
        sharp = torch.where(self.rand(len(region)) < 0.5, 8.0, 1.5)
        cells, filled = draw_point(region, sharp, self.generator)
        rows = torch.nonzero(wanted & filled & (self.used < SLOTS)).flatten()
        slots = self.used[rows]
        self.points[rows, slots] = cells[rows] * 2
        self.labels[rows, slots] = label[rows]
        self.used[rows] += 1

    def start(self, others: torch.Tensor) -> None:
        """First prompts: 44 % one click, 40 % a box, 8 % a box and a click, 8 % two clicks of either sign.

        Args:
            others: (N, H, W) 1 where another object is.
        """
        count = len(self.targets)
        kind = self.rand(count)
        positive = torch.ones(count, dtype=torch.long)
        self.click(self.targets, positive, (kind < 0.44) | (kind > 0.84))
        with_box = (kind >= 0.44) & (kind < 0.92)
        tight = bounds(self.targets)
        size = (tight[:, 2:] - tight[:, :2]).repeat(1, 2)
        loose = torch.where(self.rand(count, 1) < 0.5, 0.0, 0.06)
        noise = torch.randn(count, 4, generator=self.generator) * loose * size
        noise = noise + (self.rand(count, 4) - 0.5)
        jittered = (tight + noise.clamp(-0.15 * size - 1, 0.15 * size + 1)).clamp(0, self.targets.shape[-1])
        self.boxes = jittered * 2 * with_box[:, None]
        second = kind >= 0.92
        near = dilate(self.targets, 31) - self.targets
        use_other = (others * near).amax((1, 2)) > 0
        outside = torch.where(use_other[:, None, None], others * near, near)
        negative = self.rand(count) < 0.5
        region = torch.where(negative[:, None, None], outside, self.targets)
        self.click(region, (~negative).long(), second)

    def correct(self, logits: torch.Tensor, keep_mask: float) -> None:
        """Add the click a user would add: deep inside the larger error, missing or surplus; offer the mask back.

        Args:
            logits: (N, H, W) the answer so far.
            keep_mask: Share of objects whose next prompt holds the mask too.
        """
        answer = (logits > 0).float()
        missing, surplus = self.targets * (1 - answer), answer * (1 - self.targets)

        def largest(error: torch.Tensor) -> torch.Tensor:
            return blur(error, 7).amax((1, 2)) + error.mean((1, 2)) * 4

        add = largest(missing) >= largest(surplus)
        region = torch.where(add[:, None, None], missing, surplus)
        self.click(region, add.long(), torch.ones(len(region), dtype=torch.bool))
        kept = self.rand(len(region)) < keep_mask
        self.masks = logits.detach().clamp(-16, 16) * kept[:, None, None]

    def batch(self) -> PromptBatch:
        """The prompts as a network takes them."""
        slots = max(1, int(self.used.max()))
        return PromptBatch(self.points[:, :slots], self.labels[:, :slots], self.boxes, self.masks)


def begin(labels: torch.Tensor, per_image: int, generator: torch.Generator) -> Session:
    """A session of `per_image` objects of each of (B, H, W) label maps, with their first prompts given."""
    session = Session(pick_objects(labels, per_image, generator), generator)
    occupied = (labels > 0).float().repeat_interleave(per_image, 0)
    session.start((occupied - session.targets).clamp(min=0))
    return session
