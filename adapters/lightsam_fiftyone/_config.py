"""What a LightSAM model in FiftyOne can be told when it is loaded."""

from __future__ import annotations

from typing import Any

import fiftyone.utils.torch as fout

from lightsam_plugins.errors import OptionError

PROMPT_KEYS = ("box_prompt_field", "point_prompt_field", "mask_prompt_field", "prompt_field")


class LightSAMModelConfig(fout.TorchImageModelConfig):  # type: ignore[misc] # FiftyOne has no annotations
    """The options of `lightsam_fiftyone.load_model`; those of FiftyOne's own SAM keep their names.

    Args:
        d: The options by name:
            variant: Name of the model.
            device, dtype, weights, accept_licence, trust: As in `lightsam_plugins.load`.
            use_half_precision: The same as ``dtype="float16"``.
            box_prompt_field, point_prompt_field, mask_prompt_field, prompt_field: Fields to take prompts from where
                `apply_model` names none.
            points_mask_index: Of the three masks of a click, sorted by size, the one to take: 0, 1 or 2 (the
                largest). None takes the one rated best.
            bbox_mode: ``"prompt"`` keeps the box of a box prompt, and the mask within it; ``"mask"`` draws the box
                tightly around the whole mask.
            attributes: Names of more attributes to carry over from the prompts.
            auto_kwargs: Options of everything mode, see `EverythingOptions`.
            prompt_batch: Prompts decoded before their masks are cut out: it bounds the memory.
            confidence_thresh, filter_classes: Leave out masks rated lower; prompts of other labels.
            get_item_cls: Class that loads the samples; set by FiftyOne for video frames.

    Raises:
        OptionError: An unknown option, or a value that cannot be used.
    """

    def __init__(self, d: dict[str, Any]) -> None:
        super().__init__(d)
        self.raw_inputs, self.ragged_batches = True, False
        for key in ("variant", "dtype", "weights", "accept_licence", *PROMPT_KEYS):
            setattr(self, key, self.parse_string(d, key, default=None))
        self.trust = self.parse_bool(d, "trust", default=False)
        self.points_mask_index = self.parse_raw(d, "points_mask_index", default=None)
        self.bbox_mode = self.parse_string(d, "bbox_mode", default="prompt")
        self.attributes = self.parse_array(d, "attributes", default=None) or []
        self.auto_kwargs = self.parse_dict(d, "auto_kwargs", default=None) or {}
        self.prompt_batch = self.parse_int(d, "prompt_batch", default=64)
        default = "lightsam_fiftyone._items.LightSAMGetItem"
        self.get_item_cls = self.parse_string(d, "get_item_cls", default=default)
        self._check(d)

    def _check(self, d: dict[str, Any]) -> None:
        for name in d:
            if name not in vars(self):
                raise OptionError(
                    f"unknown option {name!r} of a LightSAM model",
                    expected=f"one of {sorted(vars(self))}",
                    hint="Options of everything mode go into auto_kwargs.",
                )
        if self.points_mask_index not in (None, 0, 1, 2):
            raise OptionError(
                "points_mask_index", expected="0, 1, 2 or None", got=repr(self.points_mask_index)
            )
        if self.bbox_mode not in ("prompt", "mask"):
            raise OptionError("bbox_mode", expected="'prompt' or 'mask'", got=repr(self.bbox_mode))
        if self.prompt_batch < 1:
            raise OptionError("prompt_batch", expected="a whole number >= 1", got=repr(self.prompt_batch))
