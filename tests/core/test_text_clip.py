"""CLIP for text prompts: fetched from a Hub for real, and equal to transformers' own computation."""

from __future__ import annotations

import pathlib
import pickle
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import tiny_clip
import torch
from fake_network import blocks, wand_segmenter
from hub_server import HubServer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from lightsam_plugins import text_clip
from lightsam_plugins.cli.app import build_app
from lightsam_plugins.errors import (
    ChecksumError,
    DownloadError,
    MissingExtra,
    PromptError,
    UnsafeCheckpoint,
    WeightsError,
    WeightsMismatch,
)
from lightsam_plugins.text import choose, cut_out, rank
from lightsam_plugins.text_clip import BATCH, CLIP, FILES, ClipScorer, clip_scorer

IMAGE, BLOCKS = blocks()
TEXTS = ["a dog", "a cup of tea", "zebra", "a dog"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The files of a tiny CLIP."""
    return tiny_clip.write(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture
def server(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path
) -> Iterator[HubServer]:
    """A Hub that has the tiny CLIP, in place of OpenAI's."""
    with tiny_clip.served(folder, tmp_path, monkeypatch) as running:
        yield running


def squares(count: int) -> list[np.ndarray]:
    """Square images of noise, of many sizes."""
    random = np.random.default_rng(0)
    sides = random.integers(3, 90, count)
    return [random.integers(0, 256, (side, side, 3), np.uint8) for side in sides]


@pytest.mark.parametrize("count", [1, BATCH, 2 * BATCH + 7])
def test_scores_are_those_of_transformers(folder: pathlib.Path, count: int) -> None:
    """Whatever the number of batches, the logits equal those of CLIPModel.forward, its tokenizer and processor."""
    crops = squares(count)
    expected = tiny_clip.official(folder, crops, TEXTS)

    found = ClipScorer(folder, "cpu")(iter(crops), TEXTS)

    assert expected.std() > 0.5
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_text_is_the_same_alone_and_beside_longer_ones(folder: pathlib.Path) -> None:
    """What fills shorter texts up has no influence."""
    scorer, crops = ClipScorer(folder, "cpu"), squares(3)

    alone = np.concatenate([scorer(crops, [text]) for text in TEXTS])

    np.testing.assert_allclose(scorer(crops, TEXTS), alone, rtol=0, atol=1e-5)


def test_segment_fetches_clip_and_chooses_by_it(server: HubServer, folder: pathlib.Path) -> None:
    """segment(text=...) downloads the four files once, and each text gets the mask that transformers' CLIP prefers."""
    model = wand_segmenter()
    everything = model.everything(IMAGE)
    worth = np.flatnonzero(everything.areas > 100)
    crops = [cut_out(IMAGE, everything.crops()[row]) for row in worth]
    logits = tiny_clip.official(folder, crops, TEXTS)
    scores = np.exp(logits - logits.max(1, keepdims=True))
    scores /= scores.sum(1, keepdims=True)

    masks = model.segment(IMAGE, text=TEXTS)
    first = len(server.requests)
    again = model.segment(IMAGE, text=TEXTS)

    assert sorted(path.rpartition("/")[2] for verb, path, _ in server.requests if verb == "GET") == sorted(
        FILES
    )
    assert len(server.requests) == first
    assert len(set(worth[logits.argmax(1)])) > 1
    assert masks.boxes.tolist() == again.boxes.tolist()
    assert masks.boxes.tolist() == everything[worth[logits.argmax(1)]].boxes.tolist()
    np.testing.assert_allclose(masks.scores, scores.max(1), atol=1e-5)
    np.testing.assert_allclose(rank(IMAGE, everything, TEXTS)[:, worth], scores, atol=1e-5)


def test_choose_takes_a_clip_of_ones_own(folder: pathlib.Path) -> None:
    """The folder of another CLIP works without any network, and two equal texts get one mask twice."""
    everything = wand_segmenter().everything(IMAGE)

    masks = choose(IMAGE, everything, TEXTS, scorer=ClipScorer(folder, "cpu"))

    assert len(masks) == len(TEXTS)
    assert masks[0].boxes.tolist() == masks[3].boxes.tolist()
    assert masks.scores[0] == masks.scores[3]


def test_the_download_is_found_again(server: HubServer) -> None:
    """A new process takes the files from the cache, without a request."""
    clip_scorer("cpu")
    text_clip._loaded.cache_clear()
    first = len(server.requests)

    clip_scorer("cpu")

    assert len(server.requests) == first > 0


def test_the_command_line_fetches_it(server: HubServer) -> None:
    """`lightsam download text` puts the four files on disk, with which CLIP is then loaded without a request."""
    done = CliRunner().invoke(build_app(), ["download", "text"])
    asked = len(server.requests)

    clip_scorer("cpu")

    assert done.exit_code == 0, done.output
    assert all(f"{name} (" in "".join(done.stderr.split("\n")) for name in FILES)
    assert len(server.requests) == asked > 0


def test_the_command_line_without_the_hub(server: HubServer) -> None:
    """Where CLIP cannot be fetched the panel says what helps, and nothing of models of `load`."""
    server.files.clear()

    done = CliRunner().invoke(build_app(), ["download", "text"])

    assert done.exit_code == 1
    assert "ClipScorer(FOLDER)" in done.stderr
    assert "load(" not in done.stderr


@pytest.mark.parametrize("name", FILES)
def test_another_file_on_the_hub_is_refused(server: HubServer, name: str) -> None:
    """Each of the files has to be the one that is known, settings included."""
    served = server.files[f"/storage/{name}"]
    served.content = bytes(reversed(served.content))

    with pytest.raises(ChecksumError, match=rf"cannot get the weights '{name}' of 'tiny-clip'.*sha256"):
        wand_segmenter().segment(IMAGE, text="a dog")


@pytest.mark.parametrize("offline", [True, False])
def test_without_the_hub_the_message_says_what_helps(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    """Offline, or where the Hub has no such file, the hint is about CLIP and not about models of `load`."""
    server.files.clear()
    if offline:
        monkeypatch.setenv("LIGHTSAM_OFFLINE", "1")

    with pytest.raises(
        DownloadError,
        match=r"'tiny-clip'.*`lightsam download text`.*scorer=lightsam_plugins\.text_clip\.ClipScorer",
    ) as caught:
        wand_segmenter().segment(IMAGE, text="a dog")

    assert "lightsam download tiny-clip" not in str(caught.value)
    assert "load(" not in str(caught.value)


def test_without_the_extra_nothing_is_downloaded(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where transformers is not installed the error has the command, and comes before the first request."""
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(
        MissingExtra, match=r'transformers is not installed.*pip install "lightsam-plugins\[text\]"'
    ):
        wand_segmenter().segment(IMAGE, text="a dog")

    assert server.requests == []


def test_a_long_text_is_refused(folder: pathlib.Path) -> None:
    """A text of more tokens than CLIP has places for is told instead of cut."""
    scorer = ClipScorer(folder, "cpu")

    assert scorer(squares(1), ["d" * (tiny_clip.MOST - 2)]).shape == (1, 1)
    with pytest.raises(PromptError, match=r"text 1 is too long for CLIP: expected at most 16 tokens.*got 17"):
        scorer(squares(1), ["a dog", "d" * (tiny_clip.MOST - 1)])


def copy(folder: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Another folder with the same files."""
    target.mkdir()
    for name in FILES:
        (target / name).write_bytes((folder / name).read_bytes())
    return target


def test_numbers_of_positions_are_no_weights(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Files of older versions of transformers hold numbered positions; they load to the same network."""
    older = copy(folder, tmp_path / "older")
    tensors = load_file(folder / FILES[0])
    for part, count in (("text", tiny_clip.MOST), ("vision", 17)):
        tensors[f"{part}_model.embeddings.position_ids"] = torch.arange(count)[None]
    save_file(tensors, older / FILES[0])
    crops = squares(2)

    np.testing.assert_array_equal(
        ClipScorer(older, "cpu")(crops, TEXTS), ClipScorer(folder, "cpu")(crops, TEXTS)
    )


def test_weights_of_another_size_are_refused(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Weights that do not fit the settings are an error, not a network that is partly at random."""
    wrong = copy(folder, tmp_path / "wrong")
    tensors = load_file(folder / FILES[0])
    del tensors["logit_scale"]
    save_file(tensors, wrong / FILES[0])

    with pytest.raises(WeightsMismatch, match=r"1 missing \(logit_scale\)"):
        ClipScorer(wrong, "cpu")


def test_a_pickle_under_that_name_runs_nothing(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A pickle that would write a file, named like the weights, is refused and not executed."""
    evil, trace = copy(folder, tmp_path / "evil"), tmp_path / "executed"

    class Touch:
        def __reduce__(self) -> tuple[object, ...]:
            return pathlib.Path.touch, (trace,)

    (evil / FILES[0]).write_bytes(pickle.dumps({"logit_scale": Touch()}))

    with pytest.raises(UnsafeCheckpoint, match="ask for more than tensors"):
        ClipScorer(evil, "cpu")
    assert not trace.exists()
    pickle.loads((evil / FILES[0]).read_bytes())
    assert trace.exists(), "the pickle was harmless, so nothing was proven"


def test_a_folder_without_a_clip_is_told(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The files that are missing are named."""
    part = copy(folder, tmp_path / "part")
    (part / "tokenizer.json").unlink()

    with pytest.raises(
        WeightsError, match=r"has no CLIP: expected the files model.*got no tokenizer\.json\. Copy"
    ):
        ClipScorer(part, "cpu")


def test_the_official_weights_are_pinned() -> None:
    """Each file of OpenAI's CLIP has a size, a hash and a commit, and the weights are safetensors."""
    assert tuple(file.filename for file in CLIP.files) == FILES
    assert CLIP.weights.filename.endswith(".safetensors")
    assert all(file.size and len(file.sha256 or "") == 64 and len(file.revision) == 40 for file in CLIP.files)
