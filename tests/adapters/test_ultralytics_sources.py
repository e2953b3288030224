"""Ultralytics' sources, windows and files around our predictor, and its arguments: each acts or is refused."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import ultralytics.engine.predictor as engine
from fake_network import wand_segmenter

import lightsam_plugins as ls

PHOTO = Path(ls.__file__).parent / "assets" / "coins.jpg"
BOXES = [[315, 155, 382, 219], [22, 34, 67, 75]]
AREAS = [67 * 64, 45 * 41]


@pytest.fixture(scope="module")
def sam(ultralytics_settings: pytest.MonkeyPatch) -> Any:
    """A network that fills its boxes, behind Ultralytics' engine."""
    from lightsam_ultralytics import LightSAM

    return LightSAM(wand_segmenter())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two copies of the photo, and lists of them that leave the folder out."""
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(PHOTO, tmp_path / name)
    (tmp_path / "list.txt").write_text("b.jpg\n\na.jpg\n")
    (tmp_path / "list.csv").write_text("source\nb.jpg\na.jpg\n")
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The folder, served on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def areas(result: Any) -> Any:
    """Pixels of each mask."""
    return pytest.approx(result.masks.data.sum((1, 2)).tolist(), rel=0.06)


@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_lists_in_files_are_read(sam: Any, folder: Path, name: str) -> None:
    """Of a text file or a table of paths each image is segmented by the shared prompts, in Ultralytics' order."""
    results = sam(folder / name, bboxes=BOXES, verbose=False)

    assert [Path(one.path).name for one in results] == ["a.jpg", "b.jpg"]
    assert [areas(one) == AREAS for one in results] == [True, True]


def test_urls_are_fetched(
    sam: Any, address: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address alone, and one in a list beside an array with prompts of its own, are segmented as the file is."""
    monkeypatch.chdir(tmp_path_factory.mktemp("downloads"))
    (one,) = sam(f"{address}/a.jpg", bboxes=BOXES, verbose=False)
    several = sam([f"{address}/b.jpg", cv2.imread(str(PHOTO))], bboxes=[BOXES[:1], BOXES[1:]], verbose=False)

    assert areas(one) == AREAS
    assert Path("a.jpg").read_bytes() == PHOTO.read_bytes()
    assert [areas(result) == [area] for result, area in zip(several, AREAS, strict=True)] == [True, True]


def test_crops_and_labels_are_written(sam: Any, folder: Path) -> None:
    """save_crop writes the tight box of each mask under the number of its prompt, save_txt its outline and rating."""
    settings = {"project": str(folder / "runs"), "name": "out", "verbose": False}
    sam(folder / "a.jpg", bboxes=BOXES, save_crop=True, save_txt=True, save_conf=True, **settings)

    out = folder / "runs" / "out"
    for number, (x0, y0, x1, y1) in enumerate(BOXES):
        (crop,) = (out / "crops" / str(number)).iterdir()
        height, width = cv2.imread(str(crop)).shape[:2]
        assert (height, width) == pytest.approx((1.02 * (y1 - y0) + 10, 1.02 * (x1 - x0) + 10), abs=4)
    lines = [line.split() for line in (out / "labels" / "a.txt").read_text().splitlines()]
    size = np.array(cv2.imread(str(PHOTO)).shape[1::-1])
    for number, (line, box) in enumerate(zip(lines, BOXES, strict=True)):
        outline = np.array(line[1:-1], float).reshape(-1, 2) * size
        assert int(line[0]) == number
        np.testing.assert_allclose([*outline.min(0), *outline.max(0)], box, atol=2)
        assert 0 < float(line[-1]) <= 1


def test_a_window_shows_the_masks(sam: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """show=True hands the drawn photo to the window; only the calls that need a screen are replaced."""
    shown: list[Any] = []
    monkeypatch.setattr(engine, "check_imshow", lambda **_: True)
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    monkeypatch.setattr(cv2, "waitKey", lambda _: -1)
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: shown.append((name, picture)))
    sam(folder, bboxes=BOXES, show=True, verbose=False)

    assert [Path(name).name for name, _ in shown] == ["a.jpg", "b.jpg"]
    changed = (shown[0][1] != cv2.imread(str(PHOTO))).any(2)
    x0, y0, x1, y1 = BOXES[0]
    assert changed[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3].mean() > 0.9


def test_classes_and_max_det_choose_rows(sam: Any) -> None:
    """`classes` are the numbers of the prompts, `max_det` the best rated ones; both keep the order."""
    scored = sam(PHOTO, points=[[348, 187], [44, 55], [10, 200]], verbose=False)[0]
    some = sam(PHOTO, points=[[348, 187], [44, 55], [10, 200]], classes=[2, 0], verbose=False)[0]
    best = sam(PHOTO, points=[[348, 187], [44, 55], [10, 200]], max_det=2, verbose=False)[0]

    assert some.boxes.cls.tolist() == [0, 2]
    assert len(sam(PHOTO, bboxes=BOXES, classes=1, verbose=False)[0]) == 1
    expected = sorted(np.argsort(-scored.boxes.conf.numpy(), kind="stable")[:2].tolist())
    assert best.boxes.cls.tolist() == expected


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            {"imgsz": 640},
            "'imgsz=640' has no effect on LightSAM: expected imgsz=256, or none.*to its own size",
        ),
        ({"iou": 0.5}, "'iou=0.5' has no effect on LightSAM: expected no iou. Nothing is suppressed"),
        ({"half": True}, "'half=True' has no effect on LightSAM.*where the model is loaded"),
        ({"quantize": 16}, "'quantize=16' has no effect on LightSAM.*where the model is loaded"),
        ({"augment": True}, "'augment=True' has no effect on LightSAM.*It is about networks of YOLO"),
        ({"agnostic_nms": True}, "'agnostic_nms=True' has no effect on LightSAM"),
        ({"epochs": 3}, "'epochs=3' has no effect on LightSAM"),
    ],
)
def test_arguments_without_effect_are_refused(sam: Any, argument: dict[str, Any], message: str) -> None:
    """An argument of Ultralytics that would be ignored is a ValueError that names it, and why."""
    with pytest.raises(ValueError, match=message):
        sam(PHOTO, bboxes=BOXES, verbose=False, **argument)


def test_arguments_that_say_what_is_done_anyway_are_taken(sam: Any) -> None:
    """Code written for Ultralytics' SAM goes on: the model's own size, whole masks, and what is switched off."""
    settings = {"imgsz": 256, "retina_masks": True, "half": False, "augment": False, "visualize": False}
    assert areas(sam(PHOTO, bboxes=BOXES, verbose=False, **settings)[0]) == AREAS
    assert areas(sam(PHOTO, bboxes=BOXES, verbose=False, imgsz=[256, 256])[0]) == AREAS
    with pytest.raises(ValueError, match="conf=7"):
        sam(PHOTO, bboxes=BOXES, conf=7.0)
