"""`lightsam segment --text`: the mask of each text, in the picture and in the report."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import lightsam
from fake_network import blocks, wand_segmenter
from PIL import Image
from test_text import colour, colours

import lightsam_plugins
from lightsam_plugins import text_clip

IMAGE, BLOCKS = blocks()


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture of blocks; models are magic wands, and texts are colours."""
    monkeypatch.setattr(lightsam_plugins, "load", lambda *args, **options: wand_segmenter())
    monkeypatch.setattr(text_clip, "clip_scorer", lambda device: colours)
    path = tmp_path / "blocks.png"
    Image.fromarray(IMAGE).save(path)
    return path


def test_each_text_has_its_mask(photo: Path, tmp_path: Path) -> None:
    """Two texts give two masks in their order, named in the report and drawn on the picture."""
    picture, report = tmp_path / "out.png", tmp_path / "out.json"
    texts = [colour(6), colour(2)]

    done = lightsam("segment", photo, "--text", texts[0], "--text", texts[1], "-o", picture, "--json", report)
    plain = lightsam("segment", photo, "--text", texts[0], "-o", tmp_path / "one.png")

    assert done.exit_code == plain.exit_code == 0, done.output + plain.output
    written = json.loads(report.read_text("utf-8"))
    assert written["prompts"] == {"text": texts}
    assert [mask["box"] for mask in written["masks"]] == [list(BLOCKS[6]), list(BLOCKS[2])]
    with Image.open(picture) as two, Image.open(tmp_path / "one.png") as one:
        assert two.size == one.size
        assert (np.asarray(two) != np.asarray(one)).any()


@pytest.mark.parametrize("other", [["--box", "1,2,30,40"], ["--point", "5,5"], ["--multimask"]])
def test_a_text_stands_alone(photo: Path, other: list[str]) -> None:
    """Text beside another prompt is wrong use, and the message says which options to leave out."""
    done = lightsam("segment", photo, "--text", "a dog", *other)

    assert done.exit_code == 2
    assert "a text is a prompt of its own" in " ".join(done.output.replace("│", " ").split())


def test_an_empty_text_is_told(photo: Path) -> None:
    """The error of the package is shown as a panel."""
    done = lightsam("segment", photo, "--text", " ")

    assert done.exit_code == 1
    assert "text 0 is empty" in done.output


def test_help_names_the_extra() -> None:
    """`--help` says what to install, brackets included."""
    done = lightsam("segment", "--help")

    assert "lightsam-plugins[text]" in "".join(done.output.replace("│", " ").split())
