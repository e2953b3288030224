"""Ultralytics' arguments of a prediction, beside a model that is no YOLO: each of them acts, or is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ultralytics.cfg import DEFAULT_CFG_DICT

import lightsam_plugins as ls
from lightsam_plugins.errors import did_you_mean
from lightsam_plugins.everything_options import EverythingKeywords

_LOADING = frozenset({"batch", "device", "stream_buffer", "vid_stride"})
_ROWS = frozenset({"classes", "conf", "max_det"})
_SAVING = frozenset(
    {"exist_ok", "name", "project", "save", "save_conf", "save_crop", "save_frames", "save_txt"}
)
_SHOWING = frozenset({"line_width", "show", "show_boxes", "show_conf", "show_labels", "verbose"})
_ACT = _LOADING | _ROWS | _SAVING | _SHOWING
_ALL_KEPT = "Nothing is suppressed; everything mode takes everything={'box_nms_thresh': 0.7}"
_PRECISION = 'Choose the precision where the model is loaded: LightSAM(model, dtype="bfloat16")'
_MEANT = {
    "point_labels": "Did you mean 'labels'?",
    "text": "Texts are prompts of the core: lightsam_plugins.load(name).segment(image, text=text)",
}
_WHY = {
    "agnostic_nms": _ALL_KEPT,
    "box": "Boxes to be segmented are bboxes=",
    "half": _PRECISION,
    "imgsz": "The model resizes images to its own size",
    "int8": _PRECISION,
    "iou": _ALL_KEPT,
    "nms": _ALL_KEPT,
    "quantize": _PRECISION,
    "retina_masks": "Masks have the size of the image always",
}


def check_arguments(arguments: Mapping[str, Any], prompts: Iterable[str], side: int) -> None:
    """Refuse what would be ignored. A value that says what is done anyway is taken, and None and False always.

    Args:
        arguments: Of Ultralytics; it checks names and values of those that it knows itself.
        prompts: Names of ours, one of which an unknown name may be meant for.
        side: What images are resized to, in pixels.

    Raises:
        OptionError: An argument that has no effect; a ValueError, as Ultralytics' own of invalid values.
    """
    anyway: dict[str, Any] = {"imgsz": side, "retina_masks": True, "task": "segment", "mode": "predict"}
    for name, value in arguments.items():
        hint = _MEANT.get(name) or did_you_mean(name, prompts)
        if name in EverythingKeywords.__annotations__:
            hint = f"Write everything={{{name!r}: {value!r}}}."
        if name not in DEFAULT_CFG_DICT and name not in _WHY and hint:
            raise ls.OptionError(f"unknown argument {name!r} of LightSAM", hint=hint)
        if name in _ACT or (name not in DEFAULT_CFG_DICT and name not in _WHY):
            continue
        done = anyway.get(name)
        if value is None or value is False or (done and value in (done, [done, done], (done, done))):
            continue
        raise ls.OptionError(
            f"'{name}={value!r}' has no effect on LightSAM",
            expected=f"{name}={done!r}, or none" if name in anyway else f"no {name}",
            hint=f"{_WHY.get(name, 'It is about networks of YOLO')}.",
        )
