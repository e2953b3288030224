"""`LightSAM`: the models of lightsam-plugins with supervision's detections on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, Unpack, overload

import numpy as np
import supervision as sv

import lightsam_plugins as ls
from lightsam_plugins.adapter_arguments import as_model, check_options
from lightsam_plugins.adapter_frames import as_lists, check_entries, turned
from lightsam_plugins.box_masks import check_tile, segment_boxes
from lightsam_plugins.errors import check_flags
from lightsam_plugins.everything_options import EverythingKeywords
from lightsam_plugins.mask_prompts import crop_logits, rough_logits
from lightsam_plugins.text import read_texts
from lightsam_plugins.types import ImageLike
from lightsam_supervision.compact import compact_mask, crops_of

Frames: TypeAlias = "ImageLike | Sequence[ImageLike]"


class LightSAM:
    """A model whose answers are `supervision.Detections`.

    Args:
        model: Name of a model, see `lightsam_plugins.list_models`, or one that is loaded already.
        bgr: Arrays are BGR, as OpenCV, `sv.process_video`, `sv.get_video_frames_generator` and so `sv.InferenceSlicer`
            have them; RGB otherwise. PIL images and paths know their colours.
        dense: Masks are (N, H, W) bool arrays instead of `supervision.CompactMask`.
        tile: Side in pixels of the tiles that boxes are grouped by; None cuts frames of more than 4096 pixels only.
        **options: How to load the model, as in `lightsam_plugins.load`: device, weights, dtype and so on.
    """

    def __init__(
        self,
        model: str | ls.Segmenter = "nano",
        *,
        bgr: bool = False,
        dense: bool = False,
        tile: int | None = None,
        **options: Any,
    ) -> None:
        check_tile(tile)
        check_flags(bgr=bgr, dense=dense)
        self.model = as_model(model, options, own=("bgr", "dense", "tile"))
        self.bgr, self.dense, self.tile = bgr, dense, tile

    @overload
    def refine(
        self, frame: ImageLike, detections: sv.Detections, *, bgr: bool | None = None
    ) -> sv.Detections: ...
    @overload
    def refine(
        self, frame: Sequence[ImageLike], detections: Sequence[sv.Detections], *, bgr: bool | None = None
    ) -> list[sv.Detections]: ...

    def refine(
        self, frame: Frames, detections: sv.Detections | Sequence[sv.Detections], *, bgr: bool | None = None
    ) -> sv.Detections | list[sv.Detections]:
        """Masks for the boxes of any detector or tracker.

        Args:
            frame: (H, W, 3) uint8 or any other image; or a list of them, encoded in batches.
            detections: What was found in it; or a list, one a frame.
            bgr: As of the class, for this call.

        Returns:
            Copies of the detections, row by row, of which nothing changes but `mask`, and ``data["mask_score"]``
            (predicted IoU) and ``data["stability"]``, (N,) float32, which are added. Masks may go beyond their boxes.
            A box that has left the frame has a mask without pixels, of score 0.

        Raises:
            lightsam_plugins.InputError: Frames and detections that do not match, boxes with NaN or inverted ones, or
                no image.
        """
        hint = (
            "Boxes alone: predict(frame, boxes=boxes). Ultralytics' Results: sv.Detections.from_ultralytics."
        )
        frames, before, several = as_lists(frame, detections, sv.Detections, hint)
        images = [turned(one, bgr=self._swap(bgr)) for one in frames]
        found = segment_boxes(self.model, images, [one.xyxy for one in before], tile=self.tile)
        after = [
            self._filled(one.select(slice(None)), masks) for one, masks in zip(before, found, strict=True)
        ]
        return after if several else after[0]

    def predict(
        self,
        frame: Frames,
        *,
        boxes: Any = None,
        points: Any = None,
        point_labels: Any = None,
        masks: Any = None,
        text: str | Sequence[str] | None = None,
        bgr: bool | None = None,
        **options: Unpack[EverythingKeywords],
    ) -> Any:
        """Segment what prompts point at, or everything; the callback of `sv.InferenceSlicer`, single and batched.

        Args:
            frame: An image; or a list of them: then each kind of prompt is a list as well, one entry a frame, and a
                list is returned.
            boxes: (N, 4) ``xyxy`` in pixels of the frame.
            points: ``(x, y)``: (P, 2) is one object, (N, P, 2) are N.
            point_labels: (P,) or (N, P): 1 foreground, 0 background, -1 padding.
            masks: Rough masks to be made better: (N, H, W) bool, a `CompactMask`, or (N, 256, 256) logits.
            text: What to find, in English; see `lightsam_plugins.Segmenter.segment`.
            bgr: As of the class, for this call.
            **options: Of everything mode, where there is no prompt.

        Returns:
            `supervision.Detections`: tight boxes, masks, the predicted IoU as confidence and
            ``data["mask_score"]``, ``data["stability"]``. Prompts keep their order. All are of class 0, which
            supervision's suppression asks for; for texts the class is the index of the text, and
            ``data["class_name"]`` the text.

        Raises:
            lightsam_plugins.InputError: An image, a prompt or an option that cannot be used.
        """
        prompts = {"boxes": boxes, "points": points, "point_labels": point_labels, "masks": masks}
        check_options(options, prompts | {"text": text})
        given = {name: value for name, value in prompts.items() if value is not None}
        swap = self._swap(bgr)
        if not isinstance(frame, list | tuple):
            return self._predict(
                [turned(frame, bgr=swap)], {n: [v] for n, v in given.items()}, text, options
            )[0]
        for name, value in given.items():
            check_entries(name, value, len(frame))
        return self._predict([turned(one, bgr=swap) for one in frame], given, text, options)

    def _predict(
        self, frames: list[Any], given: dict[str, Any], text: Any, options: EverythingKeywords
    ) -> list[sv.Detections]:
        if text is not None:
            names = read_texts(text)
            given = {"mask_input" if name == "masks" else name: values for name, values in given.items()}
            found = [
                self.model.segment(one, text=names, **{name: values[row] for name, values in given.items()})
                for row, one in enumerate(frames)
            ]
            return [self._filled(_detections(masks, names), masks) for masks in found]
        if given.keys() == {"boxes"}:
            boxes = [np.zeros((0, 4)) if one is None else one for one in given["boxes"]]
            found = segment_boxes(self.model, frames, boxes, tile=self.tile)
        elif given:
            found = [
                self._segment(embedding, {name: values[row] for name, values in given.items()})
                for row, embedding in enumerate(self.model.embed(frames))
            ]
        else:
            found = [self.model.everything(one, **options) for one in frames]
        return [self._filled(_detections(masks), masks) for masks in found]

    def _segment(self, embedding: ls.Embedding, prompts: dict[str, Any]) -> ls.Masks:
        rough = prompts.pop("masks", None)
        if isinstance(rough, sv.CompactMask):
            rough = crop_logits(crops_of(rough), embedding.frame)
        elif rough is not None:
            rough = rough_logits(rough, embedding.frame)
        return self.model.segment(embedding, mask_input=rough, **prompts)

    def _swap(self, bgr: bool | None) -> bool:
        swap = self.bgr if bgr is None else bgr
        check_flags(bgr=swap)
        return swap

    def _filled(self, detections: sv.Detections, masks: ls.Masks) -> sv.Detections:
        detections.mask = masks.dense() if self.dense else compact_mask(masks.crops(), masks.size)
        detections.data |= {"mask_score": masks.scores, "stability": masks.stability}
        return detections


def _detections(masks: ls.Masks, names: Sequence[str] | None = None) -> sv.Detections:
    classes = np.zeros(len(masks), int) if names is None else np.arange(len(names))
    found = sv.Detections(xyxy=masks.boxes, confidence=masks.scores, class_id=classes)
    if names is not None:
        found.data["class_name"] = np.array(names)
    return found
