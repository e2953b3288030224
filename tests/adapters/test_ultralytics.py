"""The predictor: Ultralytics' engine around our models, judged by its results and what reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import supervision as sv
import torch
from PIL import Image

import lightsam_plugins as ls

ASSETS = Path(ls.__file__).parent / "assets"
PHOTO = ASSETS / "coins.jpg"
COINS = [[315, 155, 382, 219], [22, 34, 67, 75]]
CLICKS = [[348, 187], [44, 55]]


@pytest.fixture(scope="module")
def sam(ultralytics_settings: pytest.MonkeyPatch) -> Any:
    """`nano` behind Ultralytics' engine."""
    from lightsam_ultralytics import LightSAM

    return LightSAM(ls.load("nano", device="cpu"))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """The coins, (H, W, 3) BGR."""
    return np.ascontiguousarray(np.asarray(Image.open(PHOTO).convert("RGB"))[..., ::-1])


@pytest.fixture
def encoded(sam: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Number of images of each call of the encoder, from an empty cache on."""
    counts: list[int] = []
    runner, encode = sam.model._runner, sam.model._runner.encode

    def counting(images: list[Any], *rest: Any) -> Any:
        counts.append(len(images))
        return encode(images, *rest)

    monkeypatch.setattr(runner, "encode", counting)
    sam._cache._kept.clear()
    return counts


def dense(results: Any) -> np.ndarray:
    """The masks of one result, (N, H, W) bool."""
    return results.masks.data.cpu().numpy().astype(bool)


def test_boxes_give_one_row_each_in_their_order(sam: Any, photo: np.ndarray) -> None:
    """Masks, tight boxes, predicted IoU and the index of the prompt are what the core says of the same photo."""
    (result,) = sam(photo, bboxes=COINS, verbose=False)
    expected = sam.model.segment(photo[..., ::-1], boxes=COINS)

    np.testing.assert_array_equal(dense(result), expected.dense())
    np.testing.assert_array_equal(result.boxes.xyxy.numpy(), expected.boxes)
    np.testing.assert_array_equal(result.boxes.conf.numpy(), expected.scores)
    assert result.boxes.cls.tolist() == [0, 1]
    assert result.orig_shape == photo.shape[:2]
    assert set(result.speed) == {"preprocess", "inference", "postprocess"}


def test_points_are_read_as_ultralytics_has_them(sam: Any, photo: np.ndarray) -> None:
    """Flat points are one object each, nested ones belong together, and a label turns a click into a background one."""
    rgb = photo[..., ::-1]
    (flat,) = sam(photo, points=CLICKS, labels=[1, 1], verbose=False)
    (one,) = sam(photo, points=CLICKS[0], verbose=False)
    (nested,) = sam(photo, points=[CLICKS], labels=[[1, 0]], verbose=False)

    each = sam.model.segment(rgb, points=[[click] for click in CLICKS]).dense()
    np.testing.assert_array_equal(dense(flat), each)
    np.testing.assert_array_equal(dense(one), each[:1])
    np.testing.assert_array_equal(
        dense(nested), sam.model.segment(rgb, points=CLICKS, point_labels=[1, 0]).dense()
    )


def test_masks_and_tensors_are_prompts_too(sam: Any, photo: np.ndarray) -> None:
    """A result's masks and boxes, tensors, prompt the same objects again; together they are one prompt an object."""
    (first,) = sam(photo, bboxes=COINS, verbose=False)
    (again,) = sam(photo, bboxes=first.boxes.xyxy, masks=first.masks.data, verbose=False)

    overlap = (dense(first) & dense(again)).sum((1, 2)) / (dense(first) | dense(again)).sum((1, 2))
    assert (overlap > 0.9).all()


def test_without_prompts_everything_is_found(sam: Any, photo: np.ndarray) -> None:
    """No prompt gives what everything mode of the core gives with the same options."""
    (result,) = sam(photo, everything={"points_per_side": 5}, verbose=False)
    expected = sam.model.everything(photo[..., ::-1], points_per_side=5)

    assert len(result) == len(expected) > 1
    np.testing.assert_array_equal(dense(result), expected.dense())
    with pytest.raises(ls.OptionError, match="points_per_side: expected a whole number 1..1024, got 0"):
        sam(photo, everything={"points_per_side": 0}, verbose=False)


def test_nothing_is_dropped_unless_conf_is_given(sam: Any, photo: np.ndarray) -> None:
    """A prompt in the background keeps its row; conf= leaves out what is rated lower, and rows say what they were."""
    boxes = [COINS[0], [1, 1, 4, 4], COINS[1]]
    (every,) = sam(photo, bboxes=boxes, verbose=False)
    scores = every.boxes.conf
    assert len(every) == 3
    (some,) = sam(photo, bboxes=boxes, conf=float(scores[1]), verbose=False)
    assert scores[1] < scores[[0, 2]].min()
    assert some.boxes.cls.tolist() == [0, 2]
    np.testing.assert_array_equal(dense(some), dense(every)[[0, 2]])


def test_lists_of_images_have_their_own_prompts(sam: Any, photo: np.ndarray, encoded: list[int]) -> None:
    """Images of several sizes and kinds are encoded at once; each has its own prompts, or none, in its place."""
    half = photo[:200, :300]
    results = sam(
        [photo, Image.open(ASSETS / "coffee.jpg"), half, str(PHOTO)],
        bboxes=[COINS, [[150, 40, 480, 330]], None, COINS[1]],
        verbose=False,
    )

    assert encoded == [3]  # the file has the pixels of the array
    assert [0 if one.masks is None else len(one) for one in results] == [2, 1, 0, 1]
    assert [one.orig_shape for one in results] == [photo.shape[:2], (400, 600), (200, 300), photo.shape[:2]]
    np.testing.assert_array_equal(dense(results[3])[0], dense(results[0])[1])
    np.testing.assert_array_equal(dense(results[0]), sam.model.segment(photo[..., ::-1], boxes=COINS).dense())


def test_a_tensor_is_a_batch(sam: Any, photo: np.ndarray) -> None:
    """(B, 3, H, W) RGB in 0..1: results as of the same pixels in an array."""
    part = np.ascontiguousarray(photo[32:256, 0:384])
    tensor = torch.from_numpy(part[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    box = [[315, 123, 382, 187]]
    results = sam(tensor.repeat(2, 1, 1, 1), bboxes=[box, box], verbose=False)

    np.testing.assert_array_equal(dense(results[1]), dense(sam(part, bboxes=box, verbose=False)[0]))
    np.testing.assert_array_equal(results[0].orig_img, part)


def test_the_same_image_is_encoded_once(sam: Any, photo: np.ndarray, encoded: list[int]) -> None:
    """Three prompts of one photo, as array and as file, encode it once; a changed pixel is another photo."""
    sam(photo, bboxes=COINS, verbose=False)
    sam(photo.copy(), points=CLICKS, verbose=False)
    sam(PHOTO, bboxes=COINS[1], verbose=False)
    assert encoded == [1]
    changed = photo.copy()
    changed[0, 0] += 1
    sam(changed, bboxes=COINS, verbose=False)
    assert encoded == [1, 1]


def test_results_are_those_of_ultralytics(sam: Any, photo: np.ndarray, tmp_path: Path) -> None:
    """Its plot, labels, summary and polygons work, and supervision reads masks and order from it."""
    (result,) = sam(photo, bboxes=COINS, verbose=False)
    detections = sv.Detections.from_ultralytics(result)

    np.testing.assert_array_equal(detections.mask, dense(result))
    assert detections.class_id.tolist() == [0, 1]
    changed = (result.plot(boxes=False) != photo).any(2)
    assert changed[dense(result).any(0)].mean() > 0.9
    assert not changed[300:].any()
    result.save_txt(tmp_path / "labels.txt")
    lines = (tmp_path / "labels.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    rows = result.summary()
    assert [row["name"] for row in rows] == ["0", "1"]
    assert len(rows[0]["segments"]["x"]) > 10
    assert len(result.masks.xy) == 2
    assert len(result[1:]) == 1


def test_folders_files_and_globs_are_read_and_saved(sam: Any, photo: np.ndarray, tmp_path: Path) -> None:
    """A folder is read in Ultralytics' order, shared prompts go to each image, and its saving writes all of them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.png", "c.png"):
        cv2.imwrite(str(folder / name), photo)
    settings = {"project": str(tmp_path / "runs"), "name": "out", "verbose": False}
    results = sam(folder, bboxes=COINS, save=True, save_txt=True, batch=2, **settings)

    assert [Path(one.path).name for one in results] == ["a.png", "b.png", "c.png"]
    assert sorted(file.name for file in (tmp_path / "runs" / "out").glob("*.*")) == [
        "a.jpg",
        "b.jpg",
        "c.jpg",
    ]
    assert sorted(file.name for file in (tmp_path / "runs" / "out" / "labels").iterdir()) == [
        "a.txt",
        "b.txt",
        "c.txt",
    ]
    stream = sam(str(folder / "*.png"), True, bboxes=COINS, verbose=False)
    assert next(stream).path.endswith("a.png")
    assert len(list(stream)) == 2


def test_callbacks_are_called_by_the_engine(
    ultralytics_settings: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    """A function at an event of the engine is called with a predictor that holds the results of the batch."""
    from lightsam_ultralytics import LightSAM

    sam, seen = LightSAM("nano", device="cpu"), []
    sam.add_callback("on_predict_batch_end", lambda predictor: seen.append(len(predictor.results[0])))
    sam([photo, photo], bboxes=[COINS, COINS], verbose=False)
    sam(photo, bboxes=COINS[0], device="cpu", verbose=False)

    assert seen == [2, 1]


def test_bad_prompts_and_arguments_are_told(sam: Any, photo: np.ndarray, tmp_path: Path) -> None:
    """Prompts name their image and row, lists of the wrong length are told, and the rest is Ultralytics' own."""
    with pytest.raises(
        ls.PromptError, match=r"image0.jpg: box 1 is empty or inverted.*got \[9.0, 9.0, 5.0, 12.0\]"
    ):
        sam(photo, bboxes=[COINS[0], [9, 9, 5, 12]], verbose=False)
    with pytest.raises(ls.PromptError, match="image1.jpg: points of object 0 hold NaN"):
        sam([photo, photo], points=[CLICKS, [[np.nan, 3]]], verbose=False)
    with pytest.raises(
        ls.PromptError, match="bboxes of 2 images: expected a list of 2, one entry an image, got 3"
    ):
        sam([photo, photo], bboxes=[*COINS, COINS[0]], verbose=False)
    with pytest.raises(ls.PromptError, match="masks do not fit the image"):
        sam(photo, masks=np.ones((1, 4, 4)), verbose=False)
    with pytest.raises(SyntaxError, match="'threshold' is not a valid YOLO argument"):
        sam(photo, bboxes=COINS, threshold=3)
    with pytest.raises(FileNotFoundError, match="nothing.jpg does not exist"):
        sam(tmp_path / "nothing.jpg", bboxes=COINS)
    with pytest.raises(ls.PromptError, match="boxes in an object: .*got Boxes. Pass its .xyxy."):
        sam(photo, bboxes=sam(photo, bboxes=COINS, verbose=False)[0].boxes, verbose=False)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("boxes", "Did you mean 'bboxes'"),
        ("bbox", "Did you mean 'bboxes'"),
        ("point_labels", "Did you mean 'labels'"),
        ("text", r"Texts are prompts of the core: lightsam_plugins.load\(name\).segment\(image, text=text\)"),
        ("box", "Boxes to be segmented are bboxes="),
    ],
)
def test_names_of_prompts_elsewhere_are_told(sam: Any, photo: np.ndarray, name: str, hint: str) -> None:
    """What prompts are called in the core, in other hosts and in slips leads to the name that they have here."""
    with pytest.raises(ls.OptionError, match=hint):
        sam(photo, **{name: [[1, 2, 3, 4]]}, verbose=False)


def test_what_would_have_no_effect_is_refused(sam: Any, photo: np.ndarray) -> None:
    """Options of everything mode that are none or stand beside prompts, options beside a loaded model, and methods."""
    with pytest.raises(ls.OptionError, match="options of everything mode: expected a dict, .* got True"):
        sam(photo, everything=True)
    with pytest.raises(ls.OptionError, match="points_per_side beside bboxes"):
        sam(photo, bboxes=COINS, everything={"points_per_side": 8})
    with pytest.raises(
        ls.OptionError, match="options of loading beside a model that is loaded already: device"
    ):
        type(sam)(sam.model, device="cpu")
    with pytest.raises(
        AttributeError, match=r"LightSAM has no 'track'. Tracked boxes get masks by sam.refine"
    ):
        sam.track(photo)
    with pytest.raises(ls.OptionError, match=r"stream: expected True or False, got \[\["):
        sam(photo, COINS)
    with pytest.raises(ls.OptionError, match=r"Write everything=\{'points_per_side': 4\}"):
        sam(photo, points_per_side=4)
    with pytest.raises(ls.PromptError, match="bboxes of several images for one source: .*got 60 arrays"):
        sam("clip.mp4", bboxes=[COINS] * 60)
    with pytest.raises(ls.PromptError, match="bboxes of 2 images: an entry may be meant for an image"):
        sam([photo, photo], bboxes=COINS[:2])
    with pytest.raises(ls.ImageError, match="not the shape of an image: .*For channels first pass"):
        sam(photo.transpose(2, 0, 1), bboxes=COINS)
    with pytest.raises(ls.InputError, match="not results of Ultralytics: .*got ndarray"):
        next(sam.refine(iter([photo])))
    with pytest.raises(AttributeError, match="LightSAM has no 'fuse'. Call it: sam"):
        sam.fuse()
