"""Everything mode: click on a grid of points, keep the good masks, once each.

The steps are those of SAM's automatic mask generator. Filters and suppression work on low-resolution
logits; only the masks that are left are ever upsampled, and only inside their own boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from lightsam_plugins.candidates import Candidates, View
from lightsam_plugins.errors import Cancelled, Interrupted
from lightsam_plugins.everything_join import Part, join
from lightsam_plugins.pixel_values import UInt8Array
from lightsam_plugins.point_grid import CropBox, crop_boxes
from lightsam_plugins.types import Embedding, FloatArray, Frame

if TYPE_CHECKING:
    import torch

    from lightsam_plugins.everything_options import EverythingOptions
    from lightsam_plugins.masks import Masks

Progress: TypeAlias = Callable[[int, int], bool | None]
Encoder: TypeAlias = Callable[[UInt8Array], Embedding]
Clicker: TypeAlias = "Callable[[Embedding, FloatArray], tuple[torch.Tensor, torch.Tensor]]"


class _Stop(Exception):
    """The progress callback asked for an end."""


def segment_everything(
    source: UInt8Array | Embedding,
    frame: Frame,
    options: EverythingOptions,
    encode: Encoder,
    click: Clicker,
    chunk: int,
    progress: Progress | None,
) -> Masks:
    """Run everything mode; see `Segmenter.everything`.

    Args:
        source: (H, W, 3) uint8 RGB, or an embedding where there are no crop layers.
        frame: How the whole image lies in the input frame.
        options: The checked options.
        encode: Encodes one image or crop.
        click: Logits (n, 3, 256, 256) and scores (n, 3) of (n, 2) clicks, in pixels of the encoded image.
        chunk: Clicks at once.
        progress: Called with (clicks done, clicks in all); returning False stops.

    Raises:
        Cancelled: `progress` returned False.
        Interrupted: Ctrl-C.
    """
    crops = crop_boxes(frame.height, frame.width, options.crop_n_layers, options.crop_overlap_ratio)
    grids = options.grids()
    total = sum(len(grids[layer]) for layer, _ in crops)
    parts: list[Part] = []
    current: Candidates | None = None
    done = 0
    try:
        for layer, crop in crops:
            view = _view(source, frame, crop, grids[layer], encode, click)
            current = Candidates(view, options)
            for start in range(0, len(view.points), chunk):
                current.decode(start, start + chunk)
                done += len(view.points[start : start + chunk])
                if progress is not None and progress(done, total) is False:
                    raise _Stop
            parts.append(Part.of(current))
            current = None
    except (KeyboardInterrupt, _Stop) as stop:
        if current is not None:
            parts.append(Part.of(current))
        kind = Cancelled if isinstance(stop, _Stop) else Interrupted
        found = join(parts, frame, options)
        raise kind(f"everything mode stopped after {done} of {total} points", partial=found) from None
    return join(parts, frame, options)


def _view(
    source: UInt8Array | Embedding,
    frame: Frame,
    crop: CropBox,
    grid: FloatArray,
    encode: Encoder,
    click: Clicker,
) -> View:
    """Encode one crop and lay its grid of clicks."""
    x0, y0, x1, y1 = crop
    embedding = source if isinstance(source, Embedding) else encode(source[y0:y1, x0:x1])
    points = grid * np.asarray((x1 - x0, y1 - y0), np.float32)
    return View(crop, embedding.frame, (frame.height, frame.width), points, partial(click, embedding))
