"""Distillation: the student learns its teacher's features and goes on after a stop, whatever the pair is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from seeded import narrow, photo, seeded_segmenter, tiny_vit

import lightsam_plugins as ls
from lightsam_plugins.errors import InputError, OptionError
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.registry import model_card
from training import distill
from training.distill import Distillation, Options, unexplained
from training.students import STUDENTS, Student, build_student, image_side, live_norms, same_features


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photos, a few more than are kept out."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(8):
        Image.fromarray(photo(48, 64, number)).save(folder / f"{number}.png")
    return folder


def mobile_sam() -> SamNetwork:
    """MobileSAM in miniature."""
    torch.manual_seed(0)
    return narrow(SamNetwork(tiny_vit()))


def test_nano_teaches_a_quarter_of_itself(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The student explains more of its teacher after some steps; curve, agreement, weights and picture are there."""
    monkeypatch.setattr(distill, "one_core", lambda: None)
    monkeypatch.setattr(distill.fast_upsample, "install", lambda: None)
    options = Options([images], tmp_path, steps=8, tune_steps=2, watched=2, batch=2)

    found = distill.run(options)

    first, last = json.loads((tmp_path / "curve.json").read_text())
    assert last["unexplained"] < first["unexplained"]
    assert found == json.loads((tmp_path / "agreement.json").read_text())
    assert set(found) >= {"boxes, before tuning", "boxes, after tuning", "clicks, after tuning"}
    with Image.open(tmp_path / "curve.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
    student = build_student("nano-quarter").network
    student.load_state_dict(ls.weights.read_tensors(tmp_path / "student.safetensors"))
    whole = sum(p.numel() for p in image_side(ls.models.nano.Nano()))
    assert 0.2 < sum(p.numel() for p in image_side(student)) / whole < 0.3


def test_sam_teaches_mobilesam_by_changing_names(images: Path, tmp_path: Path) -> None:
    """SAM-H and MobileSAM, in miniature, go through both parts: the features come closer, and norms learn."""
    teacher = seeded_segmenter("sam-vit-h")
    student = Student(mobile_sam(), model_card("mobilesam"))
    options = Options([images], tmp_path, steps=6, tune_steps=1, watched=2, batch=2)
    before = student.network.state_dict()["image_encoder.patch_embed.seq.0.bn.running_mean"].clone()

    done = Distillation(options, teacher, student)
    done.distill()
    decoder = done.network.mask_decoder.state_dict()["mask_tokens.weight"].clone()
    taught = teacher._runner.module.mask_decoder.state_dict()["mask_tokens.weight"]
    done.tune()

    assert done.state.curve[-1]["unexplained"] < done.state.curve[0]["unexplained"]
    assert torch.equal(decoder, taught)
    assert not torch.equal(done.network.mask_decoder.state_dict()["mask_tokens.weight"], taught)
    assert not torch.equal(done.network.image_encoder.patch_embed.seq[0].bn.running_mean, before)


def test_it_goes_on_where_it_stopped(images: Path, tmp_path: Path) -> None:
    """A run that was stopped ends with the weights and the curve of one that was not; no image is encoded again."""
    teacher = ls.load("nano", "cpu")

    def distillation(folder: str) -> Distillation:
        torch.manual_seed(0)
        options = Options([images], tmp_path / folder, steps=6, every=3, watched=2, batch=2)
        return Distillation(options, teacher, build_student("nano-quarter"))

    whole, stopped = distillation("whole"), distillation("stopped")
    whole.distill()
    real = stopped.drawn

    def drawn(number: int, count: int) -> Any:
        if number == 4:
            raise KeyboardInterrupt
        return real(number, count)

    stopped.drawn = drawn  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stopped.distill()
    made = {file: file.stat().st_mtime_ns for file in (tmp_path / "stopped" / "features").iterdir()}
    again = distillation("stopped")
    assert again.state.step == 3
    again.distill()

    assert again.state == whole.state
    assert len(again.state.curve) == 3
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value)
    assert {file: file.stat().st_mtime_ns for file in made} == made


def test_unexplained_is_one_for_the_mean_and_zero_for_the_teacher() -> None:
    """The measure of the curve has the ends it is said to have."""
    wanted = {"a": torch.randn(2, 3, 4, 4), "b": 100 * torch.randn(2, 5, 2, 2)}
    mean = {name: torch.full_like(value, float(value.mean())) for name, value in wanted.items()}

    assert float(unexplained(wanted, wanted)) == 0
    assert float(unexplained(mean, wanted)) == pytest.approx(1, abs=0.06)


def test_norms_compute_the_same_in_use() -> None:
    """A network whose norms were set free answers as before once it is in eval mode."""
    network = mobile_sam()
    image = torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network.encode(image)["image_embedding"]
        found = live_norms(network).encode(image)["image_embedding"]

    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    """An unknown student, features of other shapes and too few images are errors that name what fits."""
    with pytest.raises(OptionError, match=f"student: expected one of .*{next(iter(STUDENTS))}.* got 'bob'"):
        build_student("bob")
    with pytest.raises(
        OptionError, match="features of the teacher's shapes .* Choose a student and a teacher"
    ):
        same_features({"a": torch.zeros(1, 2)}, {"a": torch.zeros(1, 3)})
    with pytest.raises(InputError, match="too few images: expected at least 4, got 0"):
        distill.list_images([tmp_path], 10, 4)
