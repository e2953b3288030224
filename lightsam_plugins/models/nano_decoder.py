"""`nano`'s decoder: a small U-Net over prompt maps, added to the image's projections, then guided to stride 2."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from lightsam_plugins.models.nano_encoder import GUIDE, PROJECTIONS, upsample
from lightsam_plugins.models.nano_prompts import COARSE_MAPS, FINE_MAPS, SIMILARITIES, coarse_maps, fine_maps
from lightsam_plugins.models.nano_rating import Rating
from lightsam_plugins.types import Features, PromptBatch

TOKENS = 3  # masks a prompt: number 0 is trained to be right on the whole, the others to part ways


class Refine(nn.Module):
    """Residual pair of 3x3 convolutions without norm; `gain` starts at zero, so training starts at identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.gain * self.second(functional.relu(self.first(x), inplace=True)))


class NanoDecoder(nn.Module):
    """Features of one image (or of B images, with N / B prompts each, in order) and N prompts to masks."""

    def __init__(self) -> None:
        super().__init__()
        d4, d8, d16, d32 = PROJECTIONS
        self.enter = nn.Conv2d(COARSE_MAPS + SIMILARITIES, d8, 3, padding=1)
        self.body8 = Refine(d8)
        self.to16 = nn.Conv2d(d8, d16, 3, 2, 1)
        self.body16 = Refine(d16)
        self.to32 = nn.Conv2d(d16, d32, 3, 2, 1)
        self.body32 = Refine(d32)
        self.mix32 = nn.Linear(d32, d32)
        self.up16, self.out16 = nn.Conv2d(d32, d16, 1), nn.Conv2d(d16, d16, 3, padding=1)
        self.up8, self.out8 = nn.Conv2d(d16, d8, 1), nn.Conv2d(d8, d8, 3, padding=1)
        self.up4 = nn.Conv2d(d8, d4, 1)
        self.enter4 = nn.Conv2d(FINE_MAPS + SIMILARITIES, d4, 1)
        self.body4 = nn.Sequential(
            nn.Conv2d(d4, d4, 3, padding=1), nn.ReLU(), nn.Conv2d(d4, d4, 3, padding=1), nn.ReLU()
        )
        self.coarse = nn.Conv2d(d4, TOKENS * (GUIDE + 1), 1)  # per token: weights of the guide, and an offset
        self.rating = Rating(TOKENS)

    def forward(self, features: Features, prompts: PromptBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode N prompts to all masks: logits (N, TOKENS, S / 2, S / 2) and predicted IoU (N, TOKENS)."""
        weights, quality = self.propose(features, prompts)
        return guided(weights, share(features["guide"], len(prompts))), quality

    def propose(self, features: Features, prompts: PromptBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Everything but the step to full resolution.

        Returns:
            Coefficients (N, TOKENS, GUIDE + 1, S / 4, S / 4) for `guided`, and predicted IoU (N, TOKENS).
        """
        count, side = prompts.labels.shape[0], features["s8"].shape[-1] * 8
        image = {  # a saved embedding has lost the memory format of the convolutions
            name: share(value.contiguous(memory_format=torch.channels_last), count)
            for name, value in features.items()
            if name.startswith("s")
        }
        dtype = features["s8"].dtype  # maps are drawn in float32, where coordinates are exact
        drawn, similar = (maps.to(dtype) for maps in fine_maps(prompts, features["keys"].float(), side))
        coarse = coarse_maps(prompts, side, drawn.device).to(dtype)
        x8 = functional.relu(
            image["s8"] + self.enter(torch.cat([coarse, functional.avg_pool2d(similar, 2)], 1))
        )
        x8 = self.body8(x8)
        x16 = self.body16(functional.relu(image["s16"] + self.to16(x8)))
        x32 = self.body32(functional.relu(image["s32"] + self.to32(x16)))
        x32 = x32 + self.mix32(x32.mean((2, 3)))[:, :, None, None]
        x16 = functional.relu(self.out16(x16 + upsample(self.up16(x32))))
        x8 = functional.relu(self.out8(x8 + upsample(self.up8(x16))))
        x4 = functional.relu(
            image["s4"] + upsample(self.up4(x8)) + self.enter4(torch.cat([drawn, similar], 1))
        )
        x4 = x4 + self.body4(x4)
        weights = self.coefficients(x4)
        guide = share(functional.avg_pool2d(features["guide"], 2), count)
        return weights, self.rating(linear(weights.detach(), guide), (x8, x16, x32), prompts)

    def coefficients(self, x4: torch.Tensor) -> torch.Tensor:
        """The layer `coarse` as one matrix product, whose output is laid out channel by channel, as it is read."""
        layer, (height, width) = self.coarse, x4.shape[2:]
        flat = torch.matmul(layer.weight.flatten(1), x4.flatten(2)) + layer.get_parameter("bias")[:, None]
        return flat.unflatten(2, (height, width)).unflatten(1, (TOKENS, GUIDE + 1))


def share(value: torch.Tensor, count: int) -> torch.Tensor:
    """One image's map as it is (it broadcasts); of B images, each repeated for its count / B prompts."""
    return value if value.shape[0] == 1 else value.repeat_interleave(count // value.shape[0], 0)


def guided(weights: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
    """Locally linear upsampling: logits are a linear function of the stride-2 guide whose coefficients vary smoothly.

    Args:
        weights: (N, T, GUIDE + 1, H, W) coefficients and offset at stride 4.
        guide: (N or 1, GUIDE, 2H, 2W).
    """
    return linear(weights, guide, upsample)


def linear(
    weights: torch.Tensor, guide: torch.Tensor, resize: Callable[[torch.Tensor], torch.Tensor] = torch.clone
) -> torch.Tensor:
    """(N, T, H, W): the offset plus each coefficient, resized, times its channel of the guide."""
    # One channel after the other: all at once would be 1.3 MB of intermediate values a mask, too much for the cache.
    *slopes, offset = weights.unbind(2)
    logits = resize(offset)
    for slope, channel in zip(slopes, guide.unbind(1), strict=True):
        logits.addcmul_(resize(slope), channel[:, None])
    return logits
