"""Every file that a card names is downloaded from where the card says, and the models that come of it segment."""

from __future__ import annotations

import hashlib
import io
import pathlib
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import torch
from hub_server import HubServer, serving
from seeded import MINIATURES, photo, seeded_network
from test_weights_parts import below

import lightsam_plugins as ls
from lightsam_plugins.cards.clip import CLIP
from lightsam_plugins.model_spec import ModelSpec, WeightFile
from lightsam_plugins.registry import MODELS
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.weights import fetch

CARDS = {card.name: card for card in (*MODELS.values(), CLIP)}
FILES = [
    pytest.param(card, file, id=f"{card.name}-{pathlib.Path(file.filename).name}")
    for card in CARDS.values()
    for file in card.files
    if not file.bundled
]
HOSTS = {"github.com", "huggingface.co", "dl.fbaipublicfiles.com"}


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The loopback server."""
    with serving(tmp_path, monkeypatch) as running:
        yield running


def offered(server: HubServer, file: WeightFile, content: bytes, *, hub: bool = True) -> WeightFile:
    """The entry of a card for `content`, which the server has at the very places that the card names."""
    if file.repo and hub:
        server.add_hub(file.repo, file.filename, content, file.revision)
    url = file.url
    if url:
        parts = urlsplit(url)
        assert (parts.scheme, parts.hostname in HOSTS) == ("https", True)
        served, url = server.add_url(unquote(parts.path), content)
        served.lfs = False
    digest = hashlib.sha256(content).hexdigest()
    return replace(file, size=len(content), sha256=digest, git_blob=None, url=url)


def places(file: WeightFile, server: HubServer) -> list[str]:
    """Paths below which the server was asked for content, in order."""
    hub = f"/{file.repo}/resolve/{file.revision}/{file.filename}"
    plain = urlsplit(file.url or "").path
    asked = dict.fromkeys(path for _, path, _ in server.requests)
    return [{hub: "hub", plain: "url"}[path] for path in asked if not path.startswith("/storage/")]


@pytest.mark.parametrize(("card", "file"), FILES)
def test_every_file_is_asked_for_where_its_card_says(
    server: HubServer, tmp_path: pathlib.Path, card: ModelSpec, file: WeightFile
) -> None:
    """Repository, revision and name on the Hub, else the path of the URL, lead to the file under its own name."""
    content = random.Random(file.filename).randbytes(5_000)
    known = offered(server, file, content)

    path = fetch(card, known, progress=False)

    assert path.read_bytes() == content
    assert path.name == pathlib.Path(file.filename).name
    assert places(file, server) == ["hub" if file.repo else "url"]


@pytest.mark.parametrize(("card", "file"), [one for one in FILES if one.values[1].repo and one.values[1].url])
def test_the_url_is_asked_where_the_hub_lacks_the_file(
    server: HubServer, tmp_path: pathlib.Path, card: ModelSpec, file: WeightFile
) -> None:
    """A card with both sources gets the file from the URL when the Hub has lost it."""
    content = random.Random(file.filename).randbytes(5_000)
    known = offered(server, file, content, hub=False)

    assert fetch(card, known, progress=False).read_bytes() == content
    assert places(file, server) == ["hub", "url"]


def test_every_card_has_a_source_and_an_identity() -> None:
    """Each file has a place to come from and a published hash; sizes that no one has published are these."""
    files = [one.values[1] for one in FILES]

    assert all(file.repo or file.url for file in files)
    assert all(len(file.sha256 or "") == 64 or len(file.git_blob or "") == 40 for file in files)
    assert {file.filename for file in files if not file.size} == {
        "Prompt_guided_Mask_Decoder.pt",
        "repvit_sam.pt",
        "tinysam.pth",
        "weight/ObjectAwareModel.pt",
    }


def parts(network: torch.nn.Module) -> dict[str, object]:
    """The three files of MobileSAMv2."""
    state = network.state_dict()
    decoder = {"PromtEncoder": below(state, "prompt_encoder."), "MaskDecoder": below(state, "mask_decoder.")}
    encoder = {name: state[name] for name in state if name.startswith("image_encoder.")}
    return {"encoder": encoder, "decoder": decoder, "detector": {"model": network.detector, "ema": None}}


# Model -> part -> what its official file holds.
OFFICIAL: dict[str, Callable[[torch.nn.Module], dict[str, object]]] = {
    "mobilesam": lambda network: {"": network.state_dict()},
    "efficientsam-ti": lambda network: {"": {"model": network.state_dict()}},
    "efficientvit-sam-l0": lambda network: {"": {"state_dict": network.state_dict()}},
    "fastsam-s": lambda network: {"": {"epoch": -1, "model": network.half(), "ema": None}},
    "mobilesamv2": parts,
    "sam-vit-b": lambda network: {"": network.state_dict()},
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_model_is_loaded_from_the_network_by_its_name(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`load(name)` downloads the official container, and its masks are those of the network that was saved."""
    card, network = MODELS[name], seeded_network(name)
    module, function = card.builder.split(":")
    if module in MINIATURES:
        monkeypatch.setattr(import_module(module), function, MINIATURES[module])
    contents = OFFICIAL[name](network)
    files = []
    for file in card.files:
        saved = io.BytesIO()
        torch.save(contents[file.part], saved)
        files.append(offered(server, file, saved.getvalue()))
    monkeypatch.setitem(MODELS, name, replace(card, weights=files[0], more_weights=tuple(files[1:])))
    prompts = {"boxes": [[9, 9, 50, 40], [30, 20, 70, 55]]}
    expected = Segmenter(network.float(), card).segment(photo(60, 80), **prompts)

    masks = ls.load(name, device="cpu").segment(photo(60, 80), **prompts)

    assert masks.dense().shape == (2, 60, 80)
    np.testing.assert_array_equal(masks.logits, expected.logits)
    np.testing.assert_array_equal(masks.scores, expected.scores)
    asked = len(server.requests)
    ls.load(name, device="cpu")
    assert len(server.requests) == asked >= len(files)
