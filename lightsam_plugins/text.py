"""Text prompts: which mask shows what a text says.

The idea is FastSAM's, for the masks of any model: every object of everything mode is cut out, a scorer (CLIP) compares
each piece with the text, and the best is the answer::

    masks = model.segment("photo.jpg", text=["a dog", "a cup"])             # everything mode, then the choice
    masks = choose("photo.jpg", model.everything("photo.jpg"), "a dog")     # the same in two steps
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lightsam_plugins.errors import InputError, PromptError
from lightsam_plugins.images import load_image
from lightsam_plugins.masks import NOWHERE, Masks
from lightsam_plugins.types import LOW_RES, FloatArray

if TYPE_CHECKING:
    import numpy.typing as npt

    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.types import ImageLike
    from lightsam_plugins.upsample import Crop

SMALLEST = 100  # pixels; like FastSAM, masks that are not larger are left out where there are larger ones
MARGIN = 0.1  # white on each side of an object, in parts of its longer side
_WHITE = 255


class TextScorer(Protocol):
    """What compares images with texts; `text_clip.ClipScorer` is one."""

    def __call__(self, crops: Iterable[UInt8Array], texts: Sequence[str]) -> npt.ArrayLike:
        """How well each image fits each text.

        Args:
            crops: M images (S, S, 3) uint8 RGB of any sizes, made one by one as they are asked for.
            texts: T different texts.

        Returns:
            (T, M) logits: a softmax over the images makes them scores.
        """
        ...


def rank(
    image: ImageLike, masks: Masks, text: str | Sequence[str], *, scorer: TextScorer | None = None
) -> FloatArray:
    """How well each mask fits each text, compared with the other masks.

    Args:
        image: The image of the masks, as in `Segmenter.embed`.
        masks: M masks of any model, as from `Segmenter.everything`.
        text: A text, or T texts.
        scorer: Compares crops with texts; CLIP where left out, which needs the extra ``text``.

    Returns:
        (T, M) float32 in 0..1; the scores of a text have the sum 1. Masks without pixels have 0, and so have those of
        up to `SMALLEST` pixels where there are larger ones. All are 0 where no mask has pixels.

    Raises:
        PromptError: No text, or one that is empty or longer than CLIP reads.
        InputError: The masks are of an image of another size, or the scorer does not answer in the form it should.
        MissingExtra: CLIP is needed, and the extra is not installed.
        WeightsError: The weights of CLIP cannot be fetched.
        ImageError: The image cannot be read.
    """
    texts, pixels = read_texts(text), load_image(image)
    if pixels.shape[:2] != masks.size:
        raise InputError(
            "the masks are of another image",
            expected=f"masks of (height, width) {pixels.shape[:2]}",
            got=f"{masks.size}",
            hint="Pass the image that model.everything(image) was given.",
        )
    different = list(dict.fromkeys(texts))  # once each, so that equal texts have equal scores
    scores = np.zeros((len(different), len(masks)), np.float32)
    rows = _worth_a_look(masks)
    if different and len(rows):
        crops = masks.crops()
        pieces = (cut_out(pixels, crops[row]) for row in rows)
        scores[:, rows] = _softmax((scorer or _clip())(pieces, different), len(different), len(rows))
    picked: FloatArray = scores[[different.index(one) for one in texts]]
    return picked


def choose(
    image: ImageLike, masks: Masks, text: str | Sequence[str], *, scorer: TextScorer | None = None
) -> Masks:
    """The mask that fits a text best: one a text, in the order of the texts, also where two mean the same mask.

    Something is chosen always: no score says that what a text names is not in the image at all.

    Args:
        image: The image of the masks; this, the other arguments and the errors are as in `rank`.
        masks: M masks.
        text: A text, or T texts.
        scorer: Compares crops with texts; CLIP where left out.

    Returns:
        T masks whose scores are those of `rank`; without pixels, of score 0, where no mask has any.
    """
    scores = rank(image, masks, text, scorer=scorer)
    if not scores.any():
        nothing = np.full((len(scores), LOW_RES, LOW_RES), masks.threshold + NOWHERE, np.float32)
        return Masks(nothing, np.zeros(len(scores)), masks.frame, threshold=masks.threshold)
    best = scores.argmax(1)
    chosen = masks[best]
    return Masks(chosen.logits, scores.max(1), masks.frame, threshold=masks.threshold, crops=chosen.crops())


def read_texts(text: str | Sequence[str]) -> list[str]:
    """One text or several, checked.

    Raises:
        PromptError: Something that is no text, or an empty one.
    """
    texts = [text] if isinstance(text, str) else list(text) if isinstance(text, list | tuple) else None
    if texts is None or not all(isinstance(one, str) for one in texts):
        kinds = type(text).__name__ if texts is None else f"{[type(one).__name__ for one in texts]}"
        raise PromptError(
            "not a text", expected="a str, or a list of them", got=kinds, hint='Pass text="a dog".'
        )
    for row, one in enumerate(texts):
        if not one.strip():
            raise PromptError(
                f"text {row} is empty",
                expected="words",
                got=repr(one),
                hint='Say what to find: text="a dog".',
            )
    return texts


def cut_out(image: UInt8Array, crop: Crop) -> UInt8Array:
    """The object alone, in the middle of a white square.

    Args:
        image: (H, W, 3) uint8 RGB.
        crop: ``(x0, y0, mask)`` in pixels of the image.

    Returns:
        (S, S, 3) uint8 RGB, S the longer side of the mask and `MARGIN` on both sides of it.
    """
    x0, y0, mask = crop
    height, width = mask.shape
    side = max(height, width)
    side += 2 * int(np.ceil(MARGIN * side))
    square = np.full((side, side, 3), _WHITE, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width][mask] = image[y0 : y0 + height, x0 : x0 + width][mask]
    return square


def _softmax(answer: npt.ArrayLike, texts: int, crops: int) -> npt.NDArray[np.float64]:
    """A scorer's logits as scores of sum 1 over the crops."""
    logits = np.asarray(answer, np.float64)
    finite = bool(np.isfinite(logits).all())
    if logits.shape != (texts, crops) or not finite:
        raise InputError(
            "the scorer's answer cannot be used",
            expected=f"finite logits of shape {(texts, crops)}, texts by crops",
            got=f"shape {logits.shape}" if finite else "NaN or infinity",
            hint="See text.TextScorer for what a scorer returns.",
        )
    parts = np.exp(logits - logits.max(1, keepdims=True))
    scores: npt.NDArray[np.float64] = parts / parts.sum(1, keepdims=True)
    return scores


def _worth_a_look(masks: Masks) -> npt.NDArray[np.intp]:
    """Rows of the masks that are compared with the texts."""
    areas = masks.areas
    large = np.flatnonzero(areas > SMALLEST)
    return large if len(large) else np.flatnonzero(areas)


def _clip() -> TextScorer:
    from lightsam_plugins.text_clip import clip_scorer

    return clip_scorer()
