"""A CLIP of a few thousand weights from a seed, in the files of the Hub, and the same by transformers alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import COMMIT, HubServer, serving
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from lightsam_plugins import text_clip
from lightsam_plugins.cards import clip
from lightsam_plugins.model_spec import ModelSpec, WeightFile
from lightsam_plugins.text_clip import CLIP, FILES

SIDE = 32  # pixels of the image CLIP sees
MOST = 16  # tokens it reads
REPO = "someone/tiny-clip"
_LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]
_SPECIAL = ["<|startoftext|>", "<|endoftext|>"]
VOCABULARY = {
    word: row for row, word in enumerate([*_LETTERS, *(f"{one}</w>" for one in _LETTERS), *_SPECIAL])
}
_TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "projection_dim": 8,
}


def write(folder: Path) -> Path:
    """Make `folder` with the files of the tiny CLIP."""
    folder.mkdir()
    ids = [VOCABULARY[token] for token in _SPECIAL]
    text = _TOWER | {"vocab_size": len(VOCABULARY), "max_position_embeddings": MOST}
    text |= {"bos_token_id": ids[0], "eos_token_id": ids[1], "pad_token_id": ids[1]}
    config = CLIPConfig(
        text_config=text, vision_config=_TOWER | {"image_size": SIDE, "patch_size": 8}, projection_dim=8
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CLIPModel(config)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight) * 0.3)  # so that images and texts differ
    save_file(network.state_dict(), folder / "model.safetensors")
    config.to_json_file(folder / "config.json")
    tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps(processor().to_dict()), "utf-8")
    return folder


def tokenizer() -> CLIPTokenizer:
    """One that knows small letters."""
    return CLIPTokenizer(vocab=VOCABULARY, merges=[])


def processor() -> CLIPImageProcessorPil:
    """What turns images into the network's input."""
    side = {"height": SIDE, "width": SIDE}
    return CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=side)


def official(folder: Path, crops: Sequence[np.ndarray], texts: Sequence[str]) -> np.ndarray:
    """(T, M) logits by transformers: its tokenizer, its image processor, its forward."""
    network = CLIPModel.from_pretrained(folder).eval()
    words = tokenizer()(list(texts), padding=True, return_tensors="pt")
    pixels = processor()([Image.fromarray(crop) for crop in crops], return_tensors="pt")
    with torch.no_grad():
        return network(**words, **pixels).logits_per_text.numpy()


def card(folder: Path) -> ModelSpec:
    """The model card of the tiny CLIP, on `REPO`."""
    files = [
        WeightFile(
            name,
            len(content := (folder / name).read_bytes()),
            hashlib.sha256(content).hexdigest(),
            repo=REPO,
            revision=COMMIT,
        )
        for name in FILES
    ]
    return replace(CLIP, name="tiny-clip", weights=files[0], more_weights=tuple(files[1:]))


def offer(server: HubServer, folder: Path) -> None:
    """Put the files on the server's Hub."""
    for name in FILES:
        served = server.add_hub(REPO, name, (folder / name).read_bytes(), revision=COMMIT)
        served.lfs = name == FILES[0]


@contextmanager
def served(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that has the tiny CLIP, in place of OpenAI's."""
    tiny = card(folder)
    for module in (text_clip, clip):
        monkeypatch.setattr(module, "CLIP", tiny)
    text_clip._loaded.cache_clear()
    with serving(tmp_path, monkeypatch) as running:
        offer(running, folder)
        yield running
    text_clip._loaded.cache_clear()
