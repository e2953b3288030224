"""What a LightSAM model in FiftyOne can be told when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone.utils.torch as fout

from lightsam_plugins.errors import OptionError, did_you_mean

PROMPT_KEYS = ("box_prompt_field", "point_prompt_field", "mask_prompt_field", "prompt_field")
_VALUES: dict[str, Sequence[Any]] = {
    "points_mask_index": (None, 0, 1, 2),
    "bbox_mode": ("prompt", "mask"),
    "prompt_batch": range(1, 1 << 16),
}
_TEXTS = ("variant", "dtype", "weights", "engine", "accept_licence", *PROMPT_KEYS)
_OPTIONS = (*_TEXTS[1:], *_VALUES, "auto_kwargs", "confidence_thresh", "device", "keep_attributes", "trust")


class LightSAMModelConfig(fout.TorchImageModelConfig):
    """The options of `lightsam_fiftyone.load_model`, where they are described.

    Raises:
        OptionError: An unknown option, or a value that cannot be used.
    """

    def __init__(self, d: dict[str, Any]) -> None:
        super().__init__(d)
        self.raw_inputs, self.ragged_batches = True, False
        for name in _TEXTS:
            setattr(self, name, self.parse_string(d, name, default=None))
        self.trust = self.parse_bool(d, "trust", default=False)
        self.points_mask_index = self.parse_raw(d, "points_mask_index", default=None)
        self.bbox_mode = self.parse_string(d, "bbox_mode", default="prompt")
        self.keep_attributes = self.parse_array(d, "keep_attributes", default=None) or []
        self.auto_kwargs = self.parse_dict(d, "auto_kwargs", default=None) or {}
        self.prompt_batch = self.parse_int(d, "prompt_batch", default=64)
        if unknown := sorted(d.keys() - vars(self).keys()):
            hint = did_you_mean(unknown[0], _OPTIONS) or "Options of everything mode go into auto_kwargs."
            raise OptionError(f"unknown option {unknown[0]!r}", expected=f"one of {_OPTIONS}", hint=hint)
        for name, good in _VALUES.items():
            if (value := getattr(self, name)) not in good:
                raise OptionError(name, expected=f"in {good}", got=repr(value))


def check_fields(fields: Mapping[str, str]) -> None:
    """Refuse arguments of ``apply_model`` that mean nothing to the model.

    Raises:
        OptionError: An unknown one, or `prompt_field` beside another prompt field.
    """
    if unknown := sorted(fields.keys() - {*PROMPT_KEYS, "filepath"}):
        own, near = unknown[0] in _OPTIONS, did_you_mean(unknown[0], PROMPT_KEYS)
        what = f"unknown argument {unknown[0]!r} of apply_model"
        hint = "It is an option of load_model." if own else near
        raise OptionError(what, expected=f"one of {PROMPT_KEYS}", hint=hint)
    if len(fields.keys() & PROMPT_KEYS) > 1 and "prompt_field" in fields:
        raise OptionError("prompt_field", expected="no other prompt field", got=", ".join(sorted(fields)))
