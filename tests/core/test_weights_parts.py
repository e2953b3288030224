"""Models whose weights are several files: given as a folder, by their parts or as one, and named where they fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from seeded import MINIATURES

import lightsam_plugins as ls
from lightsam_plugins.cli.everything_run import Job, _settings
from lightsam_plugins.errors import WeightsError, WeightsMismatch
from lightsam_plugins.model_spec import WeightFile
from lightsam_plugins.models.mobile_sam_v2 import MobileSamV2
from lightsam_plugins.registry import build_network, model_card
from lightsam_plugins.weights.fitting import differences
from lightsam_plugins.weights.parts import _placed

GOLDEN = Path(__file__).parents[1] / "golden"
Tensors = dict[str, torch.Tensor]
FILES = {
    "encoder": "mobile_sam.pt",
    "decoder": "Prompt_guided_Mask_Decoder.pt",
    "detector": "ObjectAwareModel.pt",
}


def below(state: Tensors, prefix: str) -> Tensors:
    """The tensors below a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


@pytest.fixture(scope="module")
def state() -> Tensors:
    """The tensors of the miniature, each unlike the others."""
    torch.manual_seed(0)
    return MINIATURES["lightsam_plugins.models.mobile_sam_v2"]().state_dict()


@pytest.fixture
def folder(state: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The three official files of the miniature, for which `mobilesamv2` stands during a test."""
    monkeypatch.setattr(
        "lightsam_plugins.models.mobile_sam_v2.build", MINIATURES["lightsam_plugins.models.mobile_sam_v2"]
    )
    encoder = {name: tensor for name, tensor in state.items() if name.startswith("image_encoder.")}
    unused = {
        "image_encoder.head.weight": torch.zeros(2),
        "prompt_encoder.no_mask_embed.weight": torch.zeros(3),
    }
    torch.save(encoder | unused, tmp_path / FILES["encoder"])
    decoder = {"PromtEncoder": below(state, "prompt_encoder."), "MaskDecoder": below(state, "mask_decoder.")}
    torch.save(decoder, tmp_path / FILES["decoder"])
    torch.save({"epoch": -1, "model": below(state, "detector."), "ema": None}, tmp_path / FILES["detector"])
    return tmp_path


def loaded(weights: object) -> Tensors:
    """The tensors of `mobilesamv2` after loading."""
    return ls.load("mobilesamv2", device="cpu", weights=weights)._runner.module.state_dict()  # type: ignore[arg-type]


def same(found: Tensors, expected: Tensors) -> bool:
    """Whether all tensors are there and equal."""
    return found.keys() == expected.keys() and all(
        torch.equal(tensor, expected[name]) for name, tensor in found.items()
    )


def test_a_folder_of_the_official_files(folder: Path, state: Tensors) -> None:
    """Every tensor of the three containers arrives in its part of the network."""
    assert same(loaded(folder), state)
    assert same(loaded(str(folder)), state)


@pytest.mark.parametrize(
    "form",
    [
        lambda encoder: {"model": encoder},
        lambda encoder: {"model": encoder | {"head.bias": torch.zeros(2), "norm_head.bias": torch.zeros(2)}},
        lambda encoder: encoder,
        lambda encoder: {"state_dict": {f"module.image_encoder.{name}": t for name, t in encoder.items()}},
    ],
    ids=["model", "classifier", "plain", "wrapped"],
)
def test_every_form_of_an_encoder(folder: Path, state: Tensors, form: Callable[[Tensors], object]) -> None:
    """An encoder alone, or inside of a training's wrapper, is an encoder; so the authors' own files differ."""
    torch.save(form(below(state, "image_encoder.")), folder / "other.pt")
    files = {part: folder / name for part, name in FILES.items()} | {"encoder": folder / "other.pt"}

    assert same(loaded(files), state)


def test_what_is_not_given_is_fetched(folder: Path, state: Tensors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts left out of a mapping are downloaded, each under its own entry of the card; without any, all are."""
    fetched: list[str] = []

    def fetch(spec: ls.ModelSpec, file: WeightFile, *, trust: bool) -> Path:
        fetched.append(file.part)
        return folder / Path(file.filename).name

    monkeypatch.setattr("lightsam_plugins.loading.fetch", fetch)

    assert same(loaded({"decoder": str(folder / FILES["decoder"])}), state)
    assert fetched == ["encoder", "detector"]
    assert same(loaded(None), state)
    assert fetched[2:] == ["encoder", "decoder", "detector"]


def test_one_file_of_all_parts(folder: Path, state: Tensors) -> None:
    """A file with the names of the network is all of it."""
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "all.safetensors")

    assert same(loaded(folder / "all.safetensors"), state)


def test_missing_files_are_named(folder: Path) -> None:
    """A folder without some of the files is refused with those it lacks, and how to name others."""
    (folder / FILES["decoder"]).unlink()
    (folder / FILES["detector"]).rename(folder / "other.pt")
    message = (
        r"the folder '.*' lacks weights of 'mobilesamv2': expected mobile_sam\.pt \(encoder\), .*, "
        r"got no Prompt_guided_Mask_Decoder\.pt \(decoder\), no ObjectAwareModel\.pt \(detector\)\. "
        r"Files of other names: weights=\{'encoder': PATH, 'decoder': PATH, 'detector': PATH\}"
    )

    with pytest.raises(WeightsError, match=message):
        loaded(folder)


@pytest.mark.parametrize("part", FILES)
def test_one_part_is_not_all(folder: Path, part: str) -> None:
    """A single file that is a part of the model is refused with all that is needed."""
    message = (
        r"are not all that 'mobilesamv2' needs: expected mobile_sam\.pt \(encoder\), .*Pass their folder"
    )

    with pytest.raises(WeightsError, match=message):
        loaded(folder / FILES[part])


@pytest.mark.parametrize("part", FILES)
def test_the_file_of_another_part_is_refused(folder: Path, part: str) -> None:
    """Where two parts are swapped, or a tensor is not known, it is an error that names tensors."""
    files = {part: folder / name for part, name in FILES.items()}
    files[part] = folder / FILES["decoder" if part != "decoder" else "detector"]

    with pytest.raises(
        WeightsMismatch, match=r"do not belong to the model 'mobilesamv2'.*missing.*unexpected"
    ):
        loaded(files)


def test_parts_that_are_not_there() -> None:
    """A part the model does not have, or parts of a model of one file, are refused."""
    with pytest.raises(
        WeightsError, match=r"'mobilesamv2' has no part 'prompts': expected some of \['encoder',"
    ):
        loaded({"prompts": "x.pt"})
    with pytest.raises(
        WeightsError, match=r"'nano' are one file: expected a path, got a mapping of \['encoder'\]"
    ):
        ls.load("nano", device="cpu", weights={"encoder": "x.pt"})


def official(name: str) -> Tensors:
    """The tensors of an official checkpoint, without memory."""
    content = json.loads((GOLDEN / f"{name}.keys.json").read_text())
    return {
        key: torch.empty(shape, dtype=torch.int64 if key.endswith("_tracked") else None, device="meta")
        for key, shape in content["state_dict"]
    }


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("mobilesamv2", "mobilesam"), ("mobilesamv2-efficientvit-l2", "efficientvit_sam_l2")],
)
def test_every_official_name_is_accounted_for(name: str, encoder: str) -> None:
    """Names and shapes of the official files are those of the network; unused are the rest of the encoder's model."""
    whole = official(encoder)
    decoder = {
        **{f"PromtEncoder.{key}": tensor for key, tensor in below(whole, "prompt_encoder.").items()},
        **{f"MaskDecoder.{key}": tensor for key, tensor in below(whole, "mask_decoder.").items()},
    }
    files = {"encoder": whole, "decoder": decoder, "detector": official("fastsam_x")}
    with torch.device("meta"):
        network = build_network(model_card(name))
    assert isinstance(network, MobileSamV2)

    placed = {
        new: tensor
        for part, tensors in files.items()
        for new, tensor in _placed(tensors, network.parts[part]).items()
    }

    assert differences(network, placed) == []
    assert len(placed) == sum(map(len, files.values()))
    unused = {
        key.removeprefix("image_encoder.").partition(".")[0] for key in placed.keys() - network.state_dict()
    }
    classifier = {"norm_head", "head"} if encoder == "mobilesam" else set()
    assert unused == {"prompt_encoder", "mask_decoder"} | classifier


def test_a_resumable_run_knows_all_files(folder: Path, tmp_path: Path) -> None:
    """Results of `lightsam everything` depend on each of the files, and on the colours the detector sees."""

    def settings(weights: Path | None, **options: object) -> dict[str, object]:
        job = Job(tmp_path, tmp_path, None, False, False, "mobilesamv2", "cpu", weights, "torch", options)
        return _settings(job)

    own, changed = settings(folder)["weights"], settings(None)["weights"]
    assert len(str(own).split("+")) == len(str(changed).split("+")) == 3
    torch.save({"other": torch.ones(2)}, folder / FILES["detector"])
    assert settings(folder)["weights"] != own
    assert settings(None)["detector_bgr"] is False
    assert settings(None, detector_bgr=True)["detector_bgr"] is True
