"""An outline drawn by hand as a mask prompt: low-resolution logits, as an earlier answer would have them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lightsam_plugins.errors import PromptError
from lightsam_plugins.types import LOW_RES, FloatArray, Frame

_FINER = 4  # lines a cell, so that its share of the outline is known
_LOGIT = 6.0  # of a cell that lies inside; about what sure answers have


def outline_logits(ring: npt.ArrayLike, frame: Frame) -> FloatArray:
    """The `mask_input` that says "what is inside of this outline".

    Args:
        ring: (K, 2) ``(x, y)`` in pixels of the image, K >= 3; closed by itself.
        frame: Of the image, as `Embedding.frame` has it.

    Returns:
        (256, 256) float32 logits over the input frame: positive inside, negative outside.

    Raises:
        PromptError: Not a ring of at least three finite points.
    """
    from PIL import Image, ImageDraw

    points = np.asarray(ring, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise PromptError(
            "not an outline", expected="(K, 2) finite numbers, K >= 3", got=f"shape {points.shape}",
            hint="Draw at least three corners.",
        )  # fmt: skip
    side = LOW_RES * _FINER
    drawn = Image.new("L", (side, side))
    # PIL's pixel centres are whole numbers, those of the frame lie half a pixel further.
    corners = frame.to_input(points).astype(float) * side / frame.side - 0.5
    ImageDraw.Draw(drawn).polygon([(float(x), float(y)) for x, y in corners], fill=255)
    inside = np.asarray(drawn, np.float32).reshape(LOW_RES, _FINER, LOW_RES, _FINER).mean((1, 3)) / 255
    return np.asarray((inside * 2 - 1) * _LOGIT, np.float32)
