"""`lightsam segment --weights FILE` with a checkpoint in each official form, and with one that is another model's."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from seeded import MINIATURES, efficientvit_sam, narrow, photo, seeded_network, tiny_vit
from test_weights_parts import below
from typer.testing import CliRunner, Result

from lightsam_plugins.cli.app import build_app
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.registry import model_card
from lightsam_plugins.segmenter import Segmenter

PHOTO = photo(60, 80)
BOXES = [[9.0, 9.0, 50.0, 40.0], [30.0, 20.0, 70.0, 55.0]]
State = dict[str, torch.Tensor]

# pycocotools 2.0.11 decodes with a call that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def zipped(state: State, path: Path) -> None:
    """EfficientSAM-S as its repository has it."""
    torch.save({"model": state}, path.with_suffix(""))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path.with_suffix(""), path.stem)


def folder(state: State, path: Path) -> None:
    """MobileSAMv2's three files."""
    path.mkdir()
    torch.save(below(state, "image_encoder."), path / "mobile_sam.pt")
    decoder = {"PromtEncoder": below(state, "prompt_encoder."), "MaskDecoder": below(state, "mask_decoder.")}
    torch.save(decoder, path / "Prompt_guided_Mask_Decoder.pt")
    torch.save({"model": below(state, "detector."), "ema": None}, path / "ObjectAwareModel.pt")


@dataclass(frozen=True)
class Form:
    """One official form of weights.

    Args:
        model: Name of the model.
        builder: What builds it, by module and function.
        build: A small network that stands for it during a test.
        file: Name of the file.
        write: Writes it.
    """

    model: str
    builder: str
    build: Callable[[], torch.nn.Module]
    file: str
    write: Callable[[State, Path], None]


def _mobile_sam(file: str, write: Callable[[State, Path], None]) -> Form:
    return Form("mobilesam", "mobile_sam.build", lambda: narrow(SamNetwork(tiny_vit())), file, write)


_EFFICIENT_SAM = MINIATURES["lightsam_plugins.models.efficient_sam"]
FORMS = {
    "plain": _mobile_sam("mobile_sam.pt", torch.save),
    "legacy": _mobile_sam(
        "mobile_sam.pth",
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    ),
    "safetensors": _mobile_sam("mine.safetensors", save_file),
    "model": Form(
        "efficientsam-ti",
        "efficient_sam.build_ti",
        _EFFICIENT_SAM,
        "efficient_sam_vitt.pt",
        lambda state, path: torch.save({"model": state}, path),
    ),
    "zip": Form(
        "efficientsam-s", "efficient_sam.build_s", _EFFICIENT_SAM, "efficient_sam_vits.pt.zip", zipped
    ),
    "state_dict": Form(
        "efficientvit-sam-l0",
        "efficientvit_sam.build_l0",
        efficientvit_sam,
        "efficientvit_sam_l0.pt",
        lambda state, path: torch.save({"state_dict": state}, path),
    ),
    "parts": Form(
        "mobilesamv2",
        "mobile_sam_v2.build",
        MINIATURES["lightsam_plugins.models.mobile_sam_v2"],
        "weights",
        folder,
    ),
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Path, torch.nn.Module]]:
    """Writes a form below `tmp_path` and gives its path and the network, for which the model stands during a test."""

    def write(name: str) -> tuple[Path, torch.nn.Module]:
        form = FORMS[name]
        monkeypatch.setattr(f"lightsam_plugins.models.{form.builder}", form.build)
        torch.manual_seed(0)
        network = form.build()
        form.write(network.state_dict(), tmp_path / form.file)
        return tmp_path / form.file, network

    return write


def segment(tmp_path: Path, model: str, weights: Path) -> Result:
    """Run the command with two boxes; the report is `tmp_path`/out.json, the picture out.png."""
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    boxes = [part for box in BOXES for part in ("--box", ",".join(map(str, box)))]
    files = ["--weights", weights, "-o", tmp_path / "out.png", "--json", tmp_path / "out.json"]
    args = ["segment", tmp_path / "photo.png", "--model", model, "--device", "cpu", *boxes, *files]
    return CliRunner().invoke(build_app(), [str(arg) for arg in args])


def flat(done: Result) -> str:
    """The words of an error's panel, without frame and line breaks."""
    return " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("name", FORMS)
def test_each_official_form_is_taken(
    name: str, written: Callable[[str], tuple[Path, torch.nn.Module]], tmp_path: Path
) -> None:
    """Masks and scores of the report are those of the network that was saved, and the picture is drawn."""
    weights, network = written(name)
    expected = Segmenter(network, model_card(FORMS[name].model)).segment(PHOTO, boxes=BOXES)

    done = segment(tmp_path, FORMS[name].model, weights)

    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert report["model"]["weights"] == str(weights)
    assert [mask["rle"] for mask in report["masks"]] == [
        {"size": list(rle["size"]), "counts": rle["counts"]} for rle in expected.rle()
    ]
    assert [mask["area"] for mask in report["masks"]] == expected.areas.tolist()
    assert [mask["score"] for mask in report["masks"]] == pytest.approx(expected.scores.tolist(), abs=1e-4)
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.width >= 960


@pytest.mark.parametrize(
    ("asked", "given"), [("sam-vit-b", "plain"), ("mobilesam", "state_dict"), ("nano", "zip")]
)
def test_the_file_of_another_model_is_told(
    asked: str, given: str, written: Callable[[str], tuple[Path, torch.nn.Module]], tmp_path: Path
) -> None:
    """The panel says which model the file really is, whatever its container."""
    weights, _ = written(given)

    done = segment(tmp_path, asked, weights)

    assert done.exit_code == 1
    assert f"do not belong to the model '{asked}'" in flat(done)
    assert f"'{FORMS[given].model}'" in flat(done).split("They are weights of")[1]
    assert not (tmp_path / "out.png").exists()


def test_one_part_alone_is_told(
    written: Callable[[str], tuple[Path, torch.nn.Module]], tmp_path: Path
) -> None:
    """MobileSAMv2's decoder alone is refused, with the files that are needed and how to name them."""
    weights, _ = written("parts")

    done = segment(tmp_path, "mobilesamv2", weights / "Prompt_guided_Mask_Decoder.pt")

    assert done.exit_code == 1
    assert "are not all that 'mobilesamv2' needs" in flat(done)
    assert (
        "mobile_sam.pt (encoder), Prompt_guided_Mask_Decoder.pt (decoder), ObjectAwareModel.pt (detector)"
        in flat(done)
    )


def test_real_size_from_the_command_line(tmp_path: Path) -> None:
    """A network of its real size in its official form, and nothing replaced: MobileSAM with weights from a seed."""
    network = seeded_network("mobilesam")
    torch.save(network.state_dict(), tmp_path / "mobile_sam.pt")
    expected = Segmenter(network, model_card("mobilesam")).segment(PHOTO, boxes=BOXES)

    done = segment(tmp_path, "mobilesam", tmp_path / "mobile_sam.pt")

    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [mask["area"] for mask in report["masks"]] == expected.areas.tolist()
