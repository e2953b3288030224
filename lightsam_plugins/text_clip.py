"""CLIP, which compares crops with texts: its weights from the Hub, its network from transformers (extra ``text``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from lightsam_plugins.cards.clip import BY_HAND, CLIP, FILES
from lightsam_plugins.devices import resolve_device
from lightsam_plugins.errors import MissingExtra, PromptError, WeightsError
from lightsam_plugins.weights import fetch, load_into, read_tensors

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.types import FloatArray

BATCH = 32  # crops encoded at once


class ClipScorer:
    """Scores crops by CLIP; a `text.TextScorer`.

    Args:
        folder: Has the `FILES` of a CLIP in the layout of the Hub, of any size. Only tensors and settings are read.
        device: Where to run; in float32.

    Raises:
        MissingExtra: transformers is not installed.
        WeightsError: A file is missing or damaged, or the tensors do not fit the settings.
    """

    def __init__(self, folder: str | Path, device: str | torch.device = "auto") -> None:
        CLIPConfig, CLIPModel, Tokenizer = _require_extra()
        weights, config, preprocessor, tokenizer = (Path(folder) / name for name in FILES)
        missing = [name for name in FILES if not (Path(folder) / name).is_file()]
        if missing:
            raise WeightsError(
                f"the folder {str(folder)!r} has no CLIP",
                expected=f"the files {', '.join(FILES)}",
                got=f"no {', '.join(missing)}",
                hint="Copy them from a CLIP on the Hugging Face Hub.",
            )
        self.device = resolve_device(device)
        network = CLIPModel(CLIPConfig.from_dict(json.loads(config.read_text("utf-8"))))
        # Older files have numbers of positions, which are no weights.
        network.unused_keys = tuple(f"{part}_model.embeddings.position_ids" for part in ("text", "vision"))
        load_into(network, read_tensors(weights), model=CLIP.name, source=str(weights))
        self._network = network.eval().requires_grad_(False).to(self.device)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        settings = json.loads(preprocessor.read_text("utf-8"))
        self._mean = np.asarray(settings["image_mean"], np.float32)
        self._std = np.asarray(settings["image_std"], np.float32)

    @torch.inference_mode()
    def __call__(self, crops: Iterable[UInt8Array], texts: Sequence[str]) -> FloatArray:
        """(T, M) float32: cosine between text and crop, times CLIP's own factor.

        Raises:
            PromptError: A text is longer than CLIP reads.
        """
        words = self._texts(texts)
        found = [self._images(batch) for batch in _batches(crops)]
        pictures = torch.cat(found) if found else words[:0]
        logits: FloatArray = (words @ pictures.T * self._network.logit_scale.exp()).cpu().numpy()
        return logits

    def _texts(self, texts: Sequence[str]) -> torch.Tensor:
        """(T, D) features of length 1."""
        most = self._network.config.text_config.max_position_embeddings
        tokens = [self._tokenizer.encode(text).ids for text in texts]
        for row, ids in enumerate(tokens):
            if len(ids) > most:
                raise PromptError(
                    f"text {row} is too long for CLIP",
                    expected=f"at most {most} tokens, start and end included",
                    got=f"{len(ids)}",
                    hint="Name the object in a few words.",
                )
        longest = max(map(len, tokens), default=0)
        # The last token ends the text, and CLIP reads nothing behind the first of those.
        padded = [ids + ids[-1:] * (longest - len(ids)) for ids in tokens]
        ids = torch.tensor(padded, device=self.device).reshape(len(tokens), longest)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens]).to(ids)
        pooled = self._network.text_model(input_ids=ids, attention_mask=mask).pooler_output
        return _unit(self._network.text_projection(pooled))

    def _images(self, crops: Sequence[UInt8Array]) -> torch.Tensor:
        """(B, D) features of length 1."""
        batch = torch.from_numpy(np.stack([self._pixels(crop) for crop in crops])).to(self.device)
        return _unit(
            self._network.visual_projection(self._network.vision_model(pixel_values=batch).pooler_output)
        )

    def _pixels(self, crop: UInt8Array) -> FloatArray:
        """(3, S, S) float32 of a square crop, resized and normalised as for CLIP."""
        side = self._network.config.vision_config.image_size
        small = Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC)
        values = (np.asarray(small, np.float32) / 255 - self._mean) / self._std
        return np.ascontiguousarray(values.transpose(2, 0, 1))


def clip_scorer(device: str | torch.device = "auto") -> ClipScorer:
    """OpenAI's ViT-B/32, downloaded at the first call (605 MB) and kept in memory from then on.

    Raises:
        MissingExtra: transformers is not installed.
        WeightsError: The files cannot be fetched.
    """
    return _loaded(str(resolve_device(device)))


@lru_cache(maxsize=2)
def _loaded(device: str) -> ClipScorer:
    _require_extra()  # told before hundreds of megabytes are downloaded
    paths = [fetch(CLIP, file, by_hand=BY_HAND) for file in CLIP.files]
    return ClipScorer(paths[0].parent, device)


def _require_extra() -> tuple[Any, Any, Any]:
    try:
        from tokenizers import Tokenizer
        from transformers import CLIPConfig, CLIPModel
    except ImportError as error:
        raise MissingExtra(
            "text prompts need CLIP, and transformers is not installed",
            got=str(error),
            hint='pip install "lightsam-plugins[text]"',
        ) from error
    return CLIPConfig, CLIPModel, Tokenizer


def _batches(crops: Iterable[UInt8Array]) -> Iterator[list[UInt8Array]]:
    waiting = iter(crops)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def _unit(features: torch.Tensor) -> torch.Tensor:
    unit: torch.Tensor = features / features.norm(dim=-1, keepdim=True)
    return unit
