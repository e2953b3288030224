"""FastSAM from an official checkpoint finds what the ultralytics package finds with it, without that package.

So does MobileSAMv2's detector, which is the same network in the same container.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

import lightsam_plugins as ls
from lightsam_plugins.images import load_image
from lightsam_plugins.masks import Masks
from lightsam_plugins.models.mobile_sam_v2 import MobileSamV2
from lightsam_plugins.models.tiny_vit import TinyViT
from lightsam_plugins.models.yolo_seg import YoloSeg
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.types import Embedding

ASSETS = Path(ls.__file__).parent / "assets"
PHOTOS = ("coffee", "chelsea", "cell")  # with bars above and below, and left and right


@dataclass(frozen=True)
class Official:
    """What the package made of the weights: a folder with the checkpoint and a file for each photo."""

    folder: Path
    checkpoint: Path

    def proposals(self, photo: str) -> dict[str, np.ndarray]:
        """``boxes`` (P, 4), ``scores`` (P,) and ``masks`` (P, H, W) bool of a photo."""
        with np.load(self.folder / f"{photo}.npz") as file:
            return dict(file)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Official:
    """The package at work, in a process of its own."""
    folder = tmp_path_factory.mktemp("official")
    script = Path(__file__).with_name("official_fastsam.py")
    photos = []
    for name in PHOTOS:
        photos.append(folder / f"{name}.png")  # lossless: no two decoders to compare
        Image.open(ASSETS / f"{name}.jpg").convert("RGB").save(photos[-1])
    swapped = np.asarray(Image.open(photos[0]))[..., ::-1]
    photos.append(folder / f"{PHOTOS[0]}-bgr.png")
    Image.fromarray(np.ascontiguousarray(swapped)).save(photos[-1])
    environment = os.environ | {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(script), str(folder), *map(str, photos)],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return Official(folder, folder / "FastSAM-s.pt")


@pytest.fixture(scope="module")
def model(official: Official) -> Segmenter:
    """Our network with the tensors of the checkpoint."""
    return ls.load("fastsam-s", weights=official.checkpoint, device="cpu")


def test_the_official_container_is_read_without_its_package(official: Official) -> None:
    """A pickled module in half precision gives its 417 tensors in a process that never imports ultralytics."""
    code = (
        "import sys; from lightsam_plugins.weights import read_tensors\n"
        f"tensors = read_tensors({str(official.checkpoint)!r})\n"
        "assert not {name for name in sys.modules if name.partition('.')[0] == 'ultralytics'}\n"
        "import torch; print(len(tensors), {str(t.dtype) for t in tensors.values() if t.is_floating_point()})"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "417 {'torch.float32'}"


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # pycocotools 2.0.11, numpy 2
def test_the_command_line_takes_the_official_file(official: Official, tmp_path: Path) -> None:
    """`lightsam segment --model fastsam-s --weights FILE --box` gives the package's masks, though it is not there."""
    expected = official.proposals("coffee")
    rows = [0, len(expected["boxes"]) // 2]
    boxes = [part for row in rows for part in ("--box", ",".join(map(str, expected["boxes"][row])))]
    code = "import sys; sys.modules['ultralytics'] = None; from lightsam_plugins.cli import main; main()"
    files = ["--weights", official.checkpoint, "--json", tmp_path / "out.json", "-o", tmp_path / "out.png"]
    command = [
        "segment",
        official.folder / "coffee.png",
        "--model",
        "fastsam-s",
        "--device",
        "cpu",
        *boxes,
        *files,
    ]

    subprocess.run([sys.executable, "-c", code, *map(str, command)], capture_output=True, check=True)

    report = json.loads((tmp_path / "out.json").read_text("utf-8"))
    found = np.stack([coco_mask.decode(mask["rle"]) for mask in report["masks"]]).astype(bool)
    # Each prompt is answered by the proposal that fits it best, which may be one like the one whose box it is.
    both = (found[:, None] & expected["masks"]).sum((2, 3))
    either = (found[:, None] | expected["masks"]).sum((2, 3))
    assert (both / either).max(1).min() > 0.99
    assert (tmp_path / "out.png").is_file()


@pytest.mark.parametrize("photo", PHOTOS)
def test_the_same_proposals(model: Segmenter, official: Official, photo: str) -> None:
    """As many proposals in the same order, with scores equal to 1e-4, boxes within half a pixel, IoU over 0.99."""
    expected = official.proposals(photo)
    embedding = model.embed(official.folder / f"{photo}.png")
    masks, boxes = model.everything(embedding), proposal_boxes(embedding)

    assert 20 < len(expected["boxes"]) <= 300
    assert len(masks) == len(boxes) == len(expected["boxes"])
    np.testing.assert_allclose(masks.scores, expected["scores"], atol=1e-4)
    np.testing.assert_allclose(boxes, expected["boxes"], atol=0.5)
    assert overlaps(masks, expected["masks"]).min() > 0.99


def proposal_boxes(embedding: Embedding) -> np.ndarray:
    """Boxes of the proposals in pixels of the photo; sides near the border are moved there, as the package has it."""
    found = embedding.features["proposals"][0].numpy()
    size = embedding.frame.box[2:]
    boxes = np.clip(embedding.frame.to_image(found[found[:, 4] > 0, :4]), 0, np.tile(size, 2))
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([np.where(low < 20, 0, low), np.where(high > size - 20, size, high)], axis=1)


def overlaps(masks: Masks, expected: np.ndarray) -> np.ndarray:
    """IoU of each mask with the one expected."""
    found = masks.dense()
    both, either = (found & expected).sum((1, 2)), (found | expected).sum((1, 2))
    return both / either


@pytest.fixture
def mobile_sam_v2(official: Official, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    """MobileSAMv2 with a small encoder and the detector of the package's file; the rest is random."""

    def build() -> MobileSamV2:
        detector = YoloSeg((32, 64, 128, 256, 512), (1, 2, 2, 1, 1), 128)
        return MobileSamV2(TinyViT((8, 16, 32, 64), (1, 1, 1, 1), (1, 2, 4)), detector).eval()

    torch.manual_seed(0)
    state = build().state_dict()
    torch.save(
        {name: state[name] for name in state if name.startswith("image_encoder.")}, tmp_path / "encoder.pt"
    )
    decoder = {
        official_name: {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
        for official_name, prefix in (("PromtEncoder", "prompt_encoder."), ("MaskDecoder", "mask_decoder."))
    }
    torch.save(decoder, tmp_path / "decoder.pt")
    monkeypatch.setattr("lightsam_plugins.models.mobile_sam_v2.build", build)
    files = {"encoder": tmp_path / "encoder.pt", "decoder": tmp_path / "decoder.pt"}
    return ls.load("mobilesamv2", weights=files | {"detector": official.checkpoint}, device="cpu")


def test_mobile_sam_v2_detects_the_same_boxes(mobile_sam_v2: Segmenter, official: Official) -> None:
    """The package's boxes within half a pixel, borders included; in swapped colours those of the swapped photo."""
    for photo in PHOTOS:
        image = load_image(official.folder / f"{photo}.png")
        for swapped in (False, True) if photo == PHOTOS[0] else (False,):
            expected = official.proposals(f"{photo}-bgr" if swapped else photo)
            found = mobile_sam_v2._runner.detect(image, bgr=swapped)

            assert len(found) == len(expected["boxes"]) > 20
            np.testing.assert_allclose(found[:, 4], expected["scores"], atol=1e-4)
            np.testing.assert_allclose(found[:, :4], expected["boxes"], atol=0.5)
    rgb, bgr = (official.proposals(name)["scores"] for name in (PHOTOS[0], f"{PHOTOS[0]}-bgr"))
    assert rgb[:10].tolist() != bgr[:10].tolist()
