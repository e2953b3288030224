"""`lightsam export`: ONNX files that answer as torch does, and the JSON that says how to use them."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from seeded import Patches, photo, seeded_segmenter
from typer.testing import CliRunner

import lightsam_plugins as ls
from lightsam_plugins.cli.app import build_app
from lightsam_plugins.errors import EngineError, MissingExtra, OptionError
from lightsam_plugins.export import export_onnx, graphs
from lightsam_plugins.models.fastsam import FastSam
from lightsam_plugins.registry import model_card
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.transforms import preprocess


def run(folder: Path, file: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of an exported file."""
    session = onnxruntime.InferenceSession(folder / file, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def encoded(segmenter: Segmenter, folder: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    """What the exported encoder makes of an image, by name, and that its card is right about the normalisation."""
    card = json.loads((folder / "model.json").read_text("utf-8"))
    frame = segmenter.embed(image).frame
    given = card["input"]
    assert (frame.side, frame.fit) == (card["prompt_frame"]["side"], card["prompt_frame"]["fit"])
    pixels = preprocess(image, frame, side=given["side"], mean=given["mean"], std=given["std"])
    outputs = run(folder, "encoder.onnx", {"images": pixels[None].numpy()})
    return dict(zip(card["files"]["encoder.onnx"]["outputs"], outputs, strict=True))


def test_sams_decoder_answers_boxes(tmp_path: Path) -> None:
    """By ONNX Runtime alone a box gives the mask that `segment` gives, as many boxes at once as there are."""
    segmenter, image = seeded_segmenter("sam-vit-b"), photo(120, 160)
    done = export_onnx(segmenter, tmp_path)
    boxes = np.array([[20, 10, 130, 100], [5, 5, 60, 60], [50, 20, 150, 110]], np.float32)
    frame = segmenter.embed(image).frame
    corners = frame.to_input(boxes).reshape(3, 2, 2)

    logits, iou = run(
        tmp_path,
        "decoder.onnx",
        encoded(segmenter, tmp_path, image)
        | {
            "points": corners,
            "labels": np.tile(np.array([2, 3]), (3, 1)),
            "masks": np.zeros((3, 256, 256), np.float32),
            "has_mask": np.zeros(1, np.float32),
        },
    )

    assert [one.path.name for one in done] == ["encoder.onnx", "decoder.onnx"]
    assert max(one.difference for one in done) < 1e-4
    expected = segmenter.segment(image, boxes=boxes)
    np.testing.assert_allclose(logits[:, 0], expected.logits, atol=1e-3 * np.abs(expected.logits).max())
    np.testing.assert_allclose(iou[:, 0], expected.scores, atol=1e-3)


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that `lightsam export nano` writes, and what it prints."""
    folder = tmp_path_factory.mktemp("nano")
    done = CliRunner().invoke(build_app(), ["export", "nano", "--out", str(folder)])
    assert done.exit_code == 0, done.output
    return folder, done.stdout


def test_nano_answers_clicks(nano: tuple[Path, str]) -> None:
    """Of one click `nano` as ONNX gives three masks, scored as `segment` scores them."""
    segmenter, image, (folder, _) = ls.load("nano", device="cpu"), photo(120, 160), nano
    clicks = np.array([[[40, 30]], [[100, 60]]], np.float32)
    expected = segmenter.segment(image, points=clicks, multimask=True)

    logits, iou = run(
        folder,
        "decoder.onnx",
        encoded(segmenter, folder, image)
        | {
            "points": segmenter.embed(image).frame.to_input(clicks),
            "labels": np.ones((2, 1), np.int64),
            "boxes": np.zeros((2, 4), np.float32),
            "masks": np.zeros((2, 256, 256), np.float32),
        },
    )

    assert logits.shape == (2, 3, 256, 256)
    np.testing.assert_allclose(-np.sort(-iou, 1), expected.scores.reshape(2, 3), atol=1e-3)


def test_efficientsam_has_slots(tmp_path: Path) -> None:
    """EfficientSAM takes six points an object, corners of a box among them, and answers as `segment` does."""
    segmenter, image = seeded_segmenter("efficientsam-ti"), photo(120, 160)
    export_onnx(segmenter, tmp_path)
    corners = segmenter.embed(image).frame.to_input([[20, 10], [130, 100]])
    points = np.full((1, 6, 2), -1, np.float32)
    points[0, :2] = corners

    logits, _ = run(
        tmp_path,
        "decoder.onnx",
        encoded(segmenter, tmp_path, image)
        | {"points": points, "labels": np.array([[2, 3, -1, -1, -1, -1]])},
    )

    expected = segmenter.segment(image, boxes=[20, 10, 130, 100]).logits
    np.testing.assert_allclose(logits[:, 0], expected, atol=1e-3 * np.abs(expected).max())


def test_fastsam_has_no_decoder(tmp_path: Path) -> None:
    """FastSAM is one file, which takes letterboxes of any sides."""
    torch.manual_seed(0)
    network = FastSam((8, 16, 32, 32, 32), (1, 1, 1, 1, 1), 32).eval()
    done = export_onnx(Segmenter(network, model_card("fastsam-s")), tmp_path)
    images = torch.rand(1, 3, 320, 224)

    predictions, prototypes = run(tmp_path, "encoder.onnx", {"images": images.numpy()})

    assert [one.path.name for one in done] == ["encoder.onnx"]
    with torch.inference_mode():
        right = network(images)
    np.testing.assert_allclose(predictions, right[0].numpy(), atol=1e-2)
    np.testing.assert_allclose(prototypes, right[1].numpy(), atol=1e-4)


def test_the_command_writes_and_reports(nano: tuple[Path, str]) -> None:
    """`lightsam export` writes the three files, and prints how far they are from torch."""
    folder, said = nano

    assert {path.name for path in folder.iterdir()} == {"encoder.onnx", "decoder.onnx", "model.json"}
    assert "largest difference" in said
    card = json.loads((folder / "model.json").read_text("utf-8"))
    assert max(card["largest_difference"].values()) < 1e-3


def test_a_difference_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An answer that is not torch's is refused, with how far it is off."""
    monkeypatch.setattr(graphs, "TOLERANCE", 0.0)

    with pytest.raises(
        EngineError, match="ONNX Runtime answers otherwise than torch for the encoder of 'nano'"
    ):
        export_onnx(Segmenter(Patches(), model_card("nano")), tmp_path)


def test_what_cannot_be_exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model in half precision is refused, and so is everything where the extra is missing."""
    half = Segmenter(Patches(), model_card("nano"), dtype=torch.bfloat16)
    with pytest.raises(OptionError, match="model: expected one on the CPU in float32, got cpu, bfloat16"):
        export_onnx(half, tmp_path)

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r'pip install "lightsam-plugins\[export\]"'):
        export_onnx("nano", tmp_path)
