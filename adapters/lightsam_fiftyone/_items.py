"""What FiftyOne's data loaders make of samples: pixels and prompts, and no part of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone.utils.torch as fout

from lightsam_fiftyone._config import PROMPT_KEYS
from lightsam_fiftyone._prompts import SINGLE, Prompt, read_prompts
from lightsam_plugins.errors import LightSamError
from lightsam_plugins.images import load_image


@dataclass(frozen=True, slots=True)
class Item:
    """One image to segment.

    Args:
        name: What messages call it.
        image: (H, W, 3) uint8 RGB; None where it cannot be read.
        prompts: One an object; None asks for everything.
        single: Whether the prompt is one label, as in patches views; so is the answer then.
        error: Why there will be no masks. Were it raised, the rest of the batch would be lost.
    """

    name: str
    image: Any = None
    prompts: list[Prompt] | None = None
    single: bool = False
    error: LightSamError | None = None

    @classmethod
    def read(
        cls, source: Any, fields: Mapping[str, Any] | None = None, attributes: Iterable[str] = ()
    ) -> Item:
        """Of an image, in any form, and the values of its prompt fields; an error is kept."""
        name, image = source if isinstance(source, str) else "an image", None
        single = any(isinstance(value, SINGLE) for value in (fields or {}).values())
        # FiftyOne knows the labels of a patches view by their ids, when it writes them back to the dataset.
        carried = ("id", *attributes) if single else attributes
        try:
            image = load_image(source)
            prompts = read_prompts(fields, image.shape[:2], carried) if fields else None
        except LightSamError as error:
            return cls(name, image, error=error)
        return cls(name, image, prompts, single)


class LightSAMGetItem(fout.GetItem):
    """Loads the image and prompts of a sample.

    Args:
        field_mapping: Field of the samples by key: prompt fields, and ``filepath``.
        attributes: Names of attributes to carry over from the prompts.
    """

    def __init__(self, field_mapping: Mapping[str, str], attributes: Iterable[str] = ()) -> None:
        self.prompt_keys = [key for key in PROMPT_KEYS if key in field_mapping]
        self.attributes = tuple(attributes)
        super().__init__(dict(field_mapping))

    @property
    def required_keys(self) -> list[str]:
        """Keys of the dict that a call takes."""
        return ["filepath", *self.prompt_keys]

    def __call__(self, d: Mapping[str, Any]) -> Item:
        """The item of a sample's values."""
        return Item.read(d["filepath"], {key: d.get(key) for key in self.prompt_keys}, self.attributes)
