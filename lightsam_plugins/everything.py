"""Everything mode: click on a grid of points, keep the good masks, once each.

The steps are those of SAM's automatic mask generator; a network that proposes all objects at once is asked once a
crop, as if by a single click. Filters and suppression work on low-resolution
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
from lightsam_plugins.point_grid import CropBox, crop_boxes
from lightsam_plugins.types import Embedding, FloatArray, Frame

if TYPE_CHECKING:
    from lightsam_plugins.everything_options import EverythingOptions
    from lightsam_plugins.masks import Masks
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.runner import Runner

Progress: TypeAlias = Callable[[int, int], bool | None]


_ONE_CLICK = [np.array([[0.5, 0.5]], np.float32)]  # where nothing depends on the click


class _Stop(Exception):
    """The progress callback asked for an end."""


def segment_everything(
    runner: Runner,
    source: UInt8Array | Embedding,
    frame: Frame,
    options: EverythingOptions,
    progress: Progress | None,
) -> Masks:
    """Run everything mode; see `Segmenter.everything`.

    Args:
        runner: The model.
        source: (H, W, 3) uint8 RGB, or an embedding where there are no crop layers.
        frame: How the whole image lies in the input frame.
        options: The checked options.
        progress: Called with (clicks done, clicks in all); returning False stops.

    Raises:
        Cancelled: `progress` returned False.
        Interrupted: Ctrl-C.
    """
    crops = crop_boxes(frame.height, frame.width, options.crop_n_layers, options.crop_overlap_ratio)
    grids = _ONE_CLICK * len(crops) if runner.proposes else options.grids()
    total = sum(len(grids[layer]) for layer, _ in crops)
    chunk = _chunk(runner, options)
    parts: list[Part] = []
    current: Candidates | None = None
    done = 0
    try:
        for layer, crop in crops:
            view = _view(runner, source, frame, crop, grids[layer])
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


def _chunk(runner: Runner, options: EverythingOptions) -> int:
    """Clicks a decoder call: what was asked for, but no more than a CPU can do well."""
    wanted = options.points_per_batch
    return min(wanted, runner.chunk) if runner.device.type == "cpu" else wanted


def _view(
    runner: Runner, source: UInt8Array | Embedding, frame: Frame, crop: CropBox, grid: FloatArray
) -> View:
    """Encode one crop and lay its grid of clicks."""
    x0, y0, x1, y1 = crop
    embedding = source if isinstance(source, Embedding) else runner.encode([source[y0:y1, x0:x1]])[0]
    points = grid * np.asarray((x1 - x0, y1 - y0), np.float32)
    return View(crop, embedding.frame, (frame.height, frame.width), points, partial(runner.click, embedding))
