"""The tasks of `SamPredictor`, which every official implementation of the family has a copy of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import lightsam_plugins as ls
from benchmarks.interleave import Case
from benchmarks.seeded import boxes, ellipses, photo

WIDTH, HEIGHT = 2250, 1500


def encoding(
    predictor: Any,
    ours: ls.Segmenter,
    bar: float | None,
    features: Callable[[], torch.Tensor],
    tolerance: float = 1e-3,
) -> Case:
    """A photo of 1024 x 1024, from array to embedding.

    Args:
        predictor: The official predictor.
        ours: The same model.
        bar: What is asked for.
        features: The embedding that the predictor holds.
        tolerance: Largest relative error.
    """
    image = photo(1024, 1024)

    def same() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        predictor.set_image(image)
        return features().numpy(), ours.embed(image).features["image_embedding"].float().numpy()

    return Case(
        f"encode, {ours.name}, {ours.engine}, {str(ours.dtype).removeprefix('torch.')}",
        bar,
        lambda: predictor.set_image(image),
        lambda: ours.embed(image),
        same,
        tolerance,
    )


def decoding(predictor: Any, ours: ls.Segmenter, count: int, bar: float | None, rounds: int) -> Case:
    """Boxes on an encoded photo: one to logits, many to masks of a large image."""
    image, asked = photo(WIDTH, HEIGHT), boxes(count, WIDTH, HEIGHT)
    predictor.set_image(image)
    encoded = ours.embed(image)
    frame = torch.from_numpy(predictor.transform.apply_boxes(asked, image.shape[:2])).float()

    def theirs() -> torch.Tensor:
        masks: torch.Tensor = predictor.predict_torch(None, None, frame, multimask_output=False)[0]
        return masks

    def same() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        predictor.set_image(image)
        return theirs()[:, 0].numpy(), ours.segment(encoded, boxes=asked).dense()

    plural = "box" if count == 1 else "boxes"
    work = f"{count} {plural} to masks, {WIDTH}x{HEIGHT}, {ours.name}"
    return Case(work, bar, theirs, lambda: ours.segment(encoded, boxes=asked).crops(), same, 1e-4, rounds)


def one_box(sam: Any, ours: ls.Segmenter, bar: float | None) -> Case:
    """One box on an encoded photo, to low-resolution logits."""
    image, asked = photo(1024, 1024), boxes(1, 1024, 1024)
    encoded = ours.embed(image)
    embedding = encoded.features["image_embedding"].contiguous()
    frame = torch.from_numpy(asked)

    @torch.inference_mode()
    def theirs() -> torch.Tensor:
        sparse, dense = sam.prompt_encoder(points=None, boxes=frame, masks=None)
        position = sam.prompt_encoder.get_dense_pe()
        logits: torch.Tensor = sam.mask_decoder(embedding, position, sparse, dense, multimask_output=False)[0]
        return logits

    def work() -> ls.Masks:
        return ours.segment(encoded, boxes=asked)

    return Case(
        f"decode 1 box, {ours.name}",
        bar,
        theirs,
        work,
        lambda: (theirs()[:, 0].numpy(), work().logits),
        1e-5,
    )


def masks_from_logits(sam: Any, bar: float) -> Case:
    """16 ellipses from 256 x 256 logits to the pixels of a large image."""
    logits = ellipses(16)
    frame = ls.Frame(HEIGHT, WIDTH, 1024)
    tensor = torch.from_numpy(logits)[:, None]

    def theirs() -> torch.Tensor:
        masks: torch.Tensor = sam.postprocess_masks(tensor, frame.resized, (HEIGHT, WIDTH)) > 0
        return masks

    def ours() -> ls.Masks:
        masks = ls.Masks(logits, np.ones(len(logits)), frame)
        masks.crops()
        return masks

    return Case(
        f"masks from logits, 16 objects, {WIDTH}x{HEIGHT}",
        bar,
        theirs,
        ours,
        lambda: (theirs()[:, 0].numpy(), ours().dense()),
        0,
    )


def predictor_cases(
    sam: Any, predictor: Any, ours: ls.Segmenter, bars: dict[str, float], features: Callable[[], torch.Tensor]
) -> Iterator[Case]:
    """Encoding, one box and 64 boxes; `bars` names ``encode``, ``box`` and ``boxes``."""
    yield encoding(predictor, ours, bars.get("encode"), features)
    yield one_box(sam, ours, bars.get("box"))
    yield decoding(predictor, ours, 64, bars.get("boxes"), rounds=3)
