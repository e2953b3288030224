"""Wide convolutional blocks in horizontal strips, so that what they widen to stays small."""

from __future__ import annotations

from collections.abc import Callable

import torch

STRIP = 8 << 20  # bytes of the widest activation of a strip


def in_strips(
    block: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, wide: int, reach: int, stride: int = 1
) -> torch.Tensor:
    """`block(x)`, on a CPU strip by strip; the same values.

    At 1024 x 1024 TinyViT's first blocks widen to 67 MB. The C library gives so much memory back to the system each
    time, and fresh pages cost time; those of a strip are used again. MobileSAM's encoder takes 0.90 of the CPU time
    that it takes without (one thread). Not for dense convolutions: EfficientViT-SAM XL0 takes 1.2.

    Args:
        block: Convolutions, (B, C, H, W) -> (B, D, H / stride, W / stride).
        x: (B, C, H, W), H divisible by `stride`.
        wide: Channels of the widest activation, at the resolution of `x`.
        reach: Rows of `x` beyond a strip that its result depends on, rounded up to a multiple of `stride`.
        stride: Of all convolutions of the block together.
    """
    height, width = x.shape[2:]
    rows = max(1, STRIP // (x.element_size() * wide * width) // stride) * stride
    if x.device.type != "cpu" or rows >= height or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return block(x)
    images = []
    for image in x.split(1):
        parts = []
        for top in range(0, height, rows):
            start, count = max(top - reach, 0), min(rows, height - top)
            seen = block(image[:, :, start : top + count + reach])
            parts.append(seen.narrow(2, (top - start) // stride, count // stride))
        images.append(torch.cat(parts, dim=2))
    return images[0] if len(images) == 1 else torch.cat(images)
