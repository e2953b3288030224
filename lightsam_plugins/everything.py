"""Everything mode: click on a grid of points, keep the good masks, once each.

The steps are those of SAM's automatic mask generator; a network that proposes all objects at once is asked once a
crop, as if by a single click, and one with a detector gets the boxes of that instead of clicks. Filters and
suppression work on low-resolution logits; only the masks that are left are ever upsampled, and only inside their own
boxes.
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
    prompts = _prompts(runner, source, crops, options)
    total = sum(len(rows) for rows in prompts)
    chunk = _chunk(runner, options)
    parts: list[Part] = []
    current: Candidates | None = None
    done = 0
    try:
        for (_, crop), rows in zip(crops, prompts, strict=True):
            if not len(rows):  # nothing to encode it for
                continue
            view = _view(runner, source, frame, crop, rows)
            current = Candidates(view, options)
            before = done
            for clicks in current.chunks(chunk):
                current.decode(clicks)
                done = before + current.decoded + current.left_out
                _report(progress, done, total)
            if done < before + len(rows):  # none of the other clicks promised anything
                done = before + len(rows)
                _report(progress, done, total)
            parts.append(Part.of(current))
            current = None
    except (KeyboardInterrupt, _Stop) as stop:
        if current is not None:
            parts.append(Part.of(current))
        kind = Cancelled if isinstance(stop, _Stop) else Interrupted
        found = join(parts, frame, options)
        what = "boxes" if runner.detects else "points"
        raise kind(f"everything mode stopped after {done} of {total} {what}", partial=found) from None
    return join(parts, frame, options)


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None and progress(done, total) is False:
        raise _Stop


def _chunk(runner: Runner, options: EverythingOptions) -> int:
    """Clicks a decoder call: what was asked for, but no more than a CPU can do well."""
    wanted = options.points_per_batch
    return min(wanted, runner.chunk) if runner.device.type == "cpu" else wanted


def _prompts(
    runner: Runner,
    source: UInt8Array | Embedding,
    crops: list[tuple[int, CropBox]],
    options: EverythingOptions,
) -> list[FloatArray]:
    """What each crop is asked for, in its own pixels: (K, 2) clicks of a grid, or (K, 5) objects that are detected.

    How sure the detector is of an object is known before it is decoded.
    """
    if runner.detects:
        found = [runner.detect(_cut(source, crop), bgr=options.detector_bgr) for _, crop in crops]
        return [rows[rows[:, 4] > options.pred_iou_thresh] for rows in found]
    grids = _ONE_CLICK * len(crops) if runner.proposes else options.grids()
    sizes = [np.asarray((x1 - x0, y1 - y0), np.float32) for _, (x0, y0, x1, y1) in crops]
    return [grids[layer] * size for (layer, _), size in zip(crops, sizes, strict=True)]


def _cut(source: UInt8Array | Embedding, crop: CropBox) -> UInt8Array | Embedding:
    """A crop of the image; of an embedding there is but the whole."""
    x0, y0, x1, y1 = crop
    return source if isinstance(source, Embedding) else source[y0:y1, x0:x1]


def _view(
    runner: Runner, source: UInt8Array | Embedding, frame: Frame, crop: CropBox, prompts: FloatArray
) -> View:
    """Encode one crop, to be asked for its clicks or boxes."""
    part = _cut(source, crop)
    embedding = part if isinstance(part, Embedding) else runner.encode([part])[0]
    decode = partial(runner.box if runner.detects else runner.click, embedding)
    return View(crop, embedding.frame, (frame.height, frame.width), prompts, decode)
