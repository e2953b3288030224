"""A checkpoint of another model is refused, and named where its tensors say whose it is."""

import json
from pathlib import Path

import pytest
import torch
from seeded import MINIATURES, narrow, tiny_vit

import lightsam_plugins as ls
from lightsam_plugins.errors import WeightsMismatch
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.recognition import recognise
from lightsam_plugins.registry import MODELS, build_network, list_models

GOLDEN = Path(__file__).parents[1] / "golden"


def official(name):
    """The tensors of an official checkpoint, without memory."""
    content = json.loads((GOLDEN / f"{name}.keys.json").read_text())
    return {
        key: torch.empty(shape, dtype=torch.int64 if key.endswith("_tracked") else None, device="meta")
        for key, shape in content["state_dict"]
    }


@pytest.fixture
def checkpoints(monkeypatch, tmp_path):
    """Plain state dicts on disk of MobileSAM and SAM, both of which are narrow for the length of a test."""
    builders = {
        "mobilesam": (
            "lightsam_plugins.models.mobile_sam.build",
            lambda: narrow(SamNetwork(tiny_vit())),
        ),
        "sam-vit-b": (
            "lightsam_plugins.models.sam_vit.build_b",
            MINIATURES["lightsam_plugins.models.sam_vit"],
        ),
    }
    for name, (place, build) in builders.items():
        monkeypatch.setattr(place, build)
        torch.manual_seed(0)
        torch.save(build().state_dict(), tmp_path / f"{name}.pth")
    return {name: tmp_path / f"{name}.pth" for name in builders}


@pytest.mark.parametrize("name", list_models())
def test_every_model_is_recognised_by_its_tensors(name):
    """Names and shapes of a network lead back to its model, and only to models of as many parameters."""
    with torch.device("meta"):
        tensors = build_network(MODELS[name]).state_dict()

    found = recognise(tensors)

    assert name in found
    assert {MODELS[other].params for other in found} == {MODELS[name].params}


@pytest.mark.parametrize(("file", "name"), [("mobilesam", "mobilesam"), ("sam_vit_b", "sam-vit-b")])
def test_official_files_are_recognised(file, name):
    """So does the official file, with the parts of it that are not used."""
    assert name in recognise(official(file))


@pytest.mark.parametrize("change", ["a name", "a shape", "all"])
def test_other_tensors_are_nobodys(change):
    """One name or shape that differs, or no tensor at all, and no model is named."""
    tensors = official("mobilesam")
    first = tensors.pop("mask_decoder.iou_token.weight")
    if change == "a name":
        tensors["mask_decoder.iou_tokens.weight"] = first
    elif change == "a shape":
        tensors["mask_decoder.iou_token.weight"] = first[:, :-1]
    else:
        tensors.clear()

    assert recognise(tensors) == []


@pytest.mark.parametrize(("asked", "given"), [("sam-vit-b", "mobilesam"), ("mobilesam", "sam-vit-b")])
def test_the_wrong_file_is_refused_by_its_right_name(checkpoints, asked, given):
    """MobileSAM's file as SAM's, or SAM's as MobileSAM's, is an error that says what the file is."""
    message = rf"{given}\.pth' do not belong to the model '{asked}'.* weights of '{given}'.*: load that model"

    with pytest.raises(WeightsMismatch, match=message):
        ls.load(asked, device="cpu", weights=checkpoints[given])


def test_a_file_of_no_model_is_refused_without_a_name(checkpoints, tmp_path):
    """Where the tensors are nobody's, the advice is to check the name."""
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "odd.pth")

    with pytest.raises(WeightsMismatch, match=r"1 unexpected \(conv\.weight\)\. Check the model name"):
        ls.load("sam-vit-b", device="cpu", weights=tmp_path / "odd.pth")


@pytest.mark.parametrize("name", ["sam-vit-b", "mobilesam"])
def test_a_plain_state_dict_is_loaded(checkpoints, name):
    """The container of the official files: every tensor of it arrives in the network."""
    expected = torch.load(checkpoints[name], weights_only=True)

    loaded = ls.load(name, device="cpu", weights=checkpoints[name])._runner.module.state_dict()

    assert loaded.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in loaded.items())
    assert any(tensor.is_floating_point() and tensor.std() > 0 for tensor in loaded.values())
