"""What is loaded for the model, in FiftyOne's data loaders: pixels and prompts, and no part of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone.utils.torch as fout
import numpy as np
import numpy.typing as npt

from lightsam_fiftyone._config import PROMPT_KEYS
from lightsam_fiftyone._prompts import Prompt, read_prompts
from lightsam_plugins.errors import LightSamError, OptionError
from lightsam_plugins.images import load_image


@dataclass(frozen=True, slots=True)
class Item:
    """One image to segment.

    Args:
        image: (H, W, 3) uint8 RGB; None where it cannot be read.
        prompts: One an object; None asks for everything.
        error: Why there will be no masks, kept so that the rest of the batch goes on.
        name: What messages call it.
    """

    image: npt.NDArray[np.uint8] | None
    prompts: list[Prompt] | None = None
    error: LightSamError | None = None
    name: str = "the image"


class LightSAMGetItem(fout.GetItem):  # type: ignore[misc]
    """Loads an image and its prompts.

    Args:
        field_mapping: Field of the samples by key: the prompt fields, and ``filepath``.
        attributes: Names of attributes to carry over from the prompts.

    Raises:
        OptionError: An unknown key, or `prompt_field` beside another.
    """

    image_key = "filepath"

    def __init__(
        self, field_mapping: Mapping[str, str] | None = None, attributes: Iterable[str] = ()
    ) -> None:
        mapping = dict(field_mapping or {})
        self.prompt_keys = [key for key in PROMPT_KEYS if mapping.get(key)]
        self.attributes = tuple(attributes)
        for key in mapping:
            if key not in (*PROMPT_KEYS, "filepath", "id"):
                raise OptionError(f"unknown argument {key!r}", expected=f"one of {[*PROMPT_KEYS, 'filepath']}")
        if len(self.prompt_keys) > 1 and "prompt_field" in self.prompt_keys:
            raise OptionError(
                "prompt_field", expected="alone, or box_prompt_field and point_prompt_field in its place"
            )
        super().__init__({key: mapping[key] for key in self.required_keys if key in mapping})

    @property
    def required_keys(self) -> list[str]:
        """Keys of the dict that a call takes."""
        return [self.image_key, *self.prompt_keys]

    def __call__(self, d: Mapping[str, Any]) -> Item:
        """The image and prompts of a sample; what is wrong with them is told by `Item.error`, not raised."""
        source = d[self.image_key]
        name = source if isinstance(source, str) else "the frame"
        image = None
        try:
            image = load_image(source)
            fields = {key: d.get(key) for key in self.prompt_keys}
            prompts = read_prompts(fields, image.shape[:2], self.attributes) if fields else None
        except LightSamError as error:
            return Item(image, error=error, name=name)
        return Item(image, prompts, name=name)


class LightSAMGetItemForVideo(LightSAMGetItem):
    """The same for frames, which FiftyOne has decoded; it finds this class by its name."""

    image_key = "image"


def collate(batch: list[Any]) -> list[Any]:
    """A batch as it is: a list."""
    return batch
