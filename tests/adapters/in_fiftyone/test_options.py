"""The options of the model and of `apply_model`, the data loaders, everything mode, embeddings and video frames."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from fiftyone import ViewField as F
from helpers import COINS, boxes, clicks, full, iou, relative, sample
from PIL import Image

import lightsam_fiftyone
import lightsam_plugins as ls

Photos = dict[str, Path]


def test_fields_named_at_load_time(dataset: Any, photos: Photos) -> None:
    """They are the prompts, as the App's form needs it, unless the call names others."""
    dataset.add_sample(
        sample(photos["coins"], one=boxes(COINS[0]), two=boxes(*COINS), dots=clicks([[348, 187]]))
    )
    model = lightsam_fiftyone.load_model("nano", device="cpu", box_prompt_field="two")

    dataset.apply_model(model, "masks")
    dataset.apply_model(model, "other", point_prompt_field="dots")

    found = dataset.first()
    assert [len(found.masks.detections), len(found.other.detections)] == [2, 1]
    assert found.other.detections[0].bounding_box != found.masks.detections[0].bounding_box


def test_filters_by_confidence_and_class(dataset: Any, nano: Any, photos: Photos) -> None:
    """`confidence_thresh` and `classes` leave out masks, and so does a threshold given at load time."""
    prompts = boxes(COINS[0], [100, 100, 380, 300])
    prompts.detections[1].label = "table"
    dataset.add_sample(sample(photos["coins"], prompts=prompts))
    dataset.apply_model(nano, "all", box_prompt_field="prompts")
    scores = dataset.values("all.detections.confidence")[0]
    between = float(np.mean(scores))
    model = lightsam_fiftyone.load_model("nano", device="cpu", confidence_thresh=between)

    dataset.apply_model(nano, "sure", box_prompt_field="prompts", confidence_thresh=between)
    dataset.apply_model(model, "surer", box_prompt_field="prompts")
    dataset.apply_model(nano, "tables", box_prompt_field="prompts", classes=["table"])

    assert scores[0] != scores[1]
    better = ["coin", "table"][int(np.argmax(scores))]
    found = [dataset.values(f"{name}.detections.label")[0] for name in ("all", "sure", "surer", "tables")]
    assert found == [["coin", "table"], [better], [better], ["table"]]


def test_masks_of_clicks_by_size(dataset: Any, photos: Photos) -> None:
    """`points_mask_index` 0, 1 and 2 are the candidates of the core from the smallest to the largest."""
    dataset.add_sample(
        sample(photos["coffee"], prompts=fo.Keypoints(keypoints=[fo.Keypoint(points=[(0.5, 0.45)])]))
    )
    areas = []
    for index in (0, 1, 2):
        model = lightsam_fiftyone.load_model("nano", device="cpu", points_mask_index=index)
        dataset.apply_model(model, f"masks{index}", point_prompt_field="prompts")
        areas.append(int(full(dataset.first()[f"masks{index}"].detections[0], (600, 400)).sum()))

    core = model.segmenter.segment(str(photos["coffee"]), points=[[300, 180]], multimask=True)
    assert areas == sorted(core.areas.tolist())
    assert areas[0] < areas[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"box_promt_field": "x"},
            r"unknown option 'box_promt_field': expected one of \(.*Did you mean 'box_prompt_field'",
        ),
        (
            {"auto_kwargs": {"points_per_sid": 4}},
            "unknown option 'points_per_sid'.*Did you mean 'points_per_side'",
        ),
        ({"points_mask_index": 3}, r"points_mask_index: expected in \(None, 0, 1, 2\), got 3"),
        ({"bbox_mode": "tight"}, r"bbox_mode: expected in \('prompt', 'mask'\), got 'tight'"),
        ({"prompt_batch": 0}, r"prompt_batch: expected in range\(1, 65536\), got 0"),
    ],
)
def test_wrong_options_are_told(options: dict[str, Any], message: str) -> None:
    """An unknown option and a value outside its range are refused at load time, with what is accepted."""
    with pytest.raises(ls.OptionError, match=message):
        lightsam_fiftyone.load_model("nano", device="cpu", **options)


def test_wrong_arguments_of_apply_model_are_told(dataset: Any, nano: Any, photos: Photos) -> None:
    """A misspelt prompt field, and `prompt_field` beside another, stop it at once."""
    dataset.add_sample(sample(photos["coins"], prompts=boxes(*COINS)))

    with pytest.raises(
        ls.OptionError, match="unknown argument 'boxes' of apply_model: expected one of .*box_prompt_"
    ):
        dataset.apply_model(nano, "masks", boxes="prompts")
    with pytest.raises(ls.OptionError, match="'box_prompt_fields'.*Did you mean 'box_prompt_field'"):
        dataset.apply_model(nano, "masks", box_prompt_fields="prompts")
    with pytest.raises(ls.OptionError, match="'bbox_mode' of apply_model.*an option of load_model"):
        dataset.apply_model(nano, "masks", box_prompt_field="prompts", bbox_mode="mask")
    with pytest.raises(ls.OptionError, match="prompt_field: expected no other prompt field"):
        dataset.apply_model(nano, "masks", prompt_field="prompts", box_prompt_field="prompts")
    with pytest.raises(ValueError, match="does not expose logits"):
        dataset.apply_model(nano, "masks", store_logits=True)
    assert not dataset.has_sample_field("masks")


def test_many_prompts_are_decoded_in_parts(dataset: Any, nano: Any, photos: Photos) -> None:
    """The masks are the same whatever `prompt_batch` says."""
    dataset.add_sample(sample(photos["coins"], prompts=boxes(*COINS, *(COINS + 3), COINS[0] - 2)))
    few = lightsam_fiftyone.load_model("nano", device="cpu", prompt_batch=2)

    dataset.apply_model(nano, "whole", box_prompt_field="prompts")
    dataset.apply_model(few, "parts", box_prompt_field="prompts")

    whole, parts = dataset.first().whole.detections, dataset.first().parts.detections
    assert min(iou(full(one), full(two)) for one, two in zip(whole, parts, strict=True)) > 0.99


def test_nothing_heavy_travels_to_workers(dataset: Any, nano: Any, photos: Photos) -> None:
    """Loader and collation are a few hundred bytes, and two workers give the labels that none give."""
    loader = nano.build_get_item({"box_prompt_field": "prompts"})
    assert len(pickle.dumps((loader, nano.collate_fn))) < 1000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        item = pool.apply(loader, ({"filepath": str(photos["coins"]), "box_prompt_field": boxes(COINS[0])},))
    assert item.image.shape == (303, 384, 3)
    dataset.add_samples(
        [sample(photos[name], prompts=boxes(*COINS)) for name in ("coins", "broken", "coins")]
    )

    for workers in (0, 2):
        dataset.apply_model(
            nano, f"w{workers}", box_prompt_field="prompts", num_workers=workers, batch_size=2
        )

    alone, with_two = dataset.values("w0"), dataset.values("w2")
    assert [one is None for one in alone] == [one is None for one in with_two] == [False, True, False]
    for one, two in zip(alone[0].detections, with_two[0].detections, strict=True):
        np.testing.assert_array_equal(full(one), full(two))


def test_a_batch_is_encoded_in_one_call(
    dataset: Any, nano: Any, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four samples in batches of four are one call of the encoder; the one without prompts is not encoded."""
    network, sizes = nano.segmenter._runner.module, []
    encode: Callable[[Any], Any] = network.encode
    monkeypatch.setattr(network, "encode", lambda images: (sizes.append(len(images)), encode(images))[1])
    prompts = (boxes(*COINS), boxes(), boxes(COINS[1]), boxes(COINS[0]))
    dataset.add_samples([sample(photos["coins"], prompts=some) for some in prompts])
    seen: list[int] = []

    dataset.apply_model(
        nano,
        "masks",
        box_prompt_field="prompts",
        batch_size=4,
        progress=lambda bar: seen.append(bar.iteration),
    )

    assert sizes == [3]
    assert seen[-1] == 4


def test_everything_mode_has_confidence(dataset: Any, photos: Photos, tmp_path: Path) -> None:
    """Without prompts all masks of the core come, with confidence for the App's slider and `auto_kwargs` heeded."""
    dataset.add_sample(sample(photos["coins"]))
    model = lightsam_fiftyone.load_model("nano", device="cpu", auto_kwargs={"points_per_side": 6})

    dataset.apply_model(model, "masks", output_dir=str(tmp_path / "masks"))
    dataset.apply_model(model, "sure", confidence_thresh=0.93)

    core = model.segmenter.everything(str(photos["coins"]), points_per_side=6)
    found = dataset.first().masks.detections
    assert len(found) == len(core) > 5
    for detection, dense in zip(found, core.dense(), strict=True):
        np.testing.assert_array_equal(full(detection), dense)
    np.testing.assert_allclose(dataset.values("masks.detections.confidence")[0], np.minimum(core.scores, 1))
    slider = dataset.filter_labels("masks", F("confidence") > 0.93)
    kept = int((core.scores > 0.93).sum())
    assert 0 < kept < len(core)
    assert len(slider.first().masks.detections) == len(dataset.first().sure.detections) == kept
    assert len(list((tmp_path / "masks").glob("*.png"))) == len(core)


def test_crops_of_everything_mode(photos: Photos) -> None:
    """Crop layers, which need the pixels, are possible by `auto_kwargs`."""
    options = {"points_per_side": 4, "crop_n_layers": 1}
    model = lightsam_fiftyone.load_model("nano", device="cpu", auto_kwargs=options)

    found = model.predict(np.asarray(Image.open(photos["coins"])))

    assert len(found.detections) == len(model.segmenter.everything(str(photos["coins"]), **options)) > 0


def test_embeddings_find_the_like(dataset: Any, nano: Any, photos: Photos, tmp_path: Path) -> None:
    """`compute_embeddings` gives vectors of the encoder; of three images the cut one is likest to its original."""
    Image.open(photos["coins"]).crop((20, 10, 380, 300)).save(tmp_path / "cut.png")
    files = [photos["coins"], photos["cell"], photos["coffee"], tmp_path / "cut.png"]
    dataset.add_samples([sample(file) for file in files])

    vectors = dataset.compute_embeddings(nano, batch_size=3)
    index = fob.compute_similarity(
        dataset, model=nano, brain_key="alike", embeddings=vectors, backend="sklearn"
    )

    expected = np.stack([nano.segmenter.embed(str(file)).vector() for file in files])
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-4)
    nearest = dataset.sort_by_similarity(dataset.first().id, k=2, brain_key="alike")
    assert nearest.values("filepath") == [str(files[0]), str(files[3])]
    assert index.total_index_size == 4
    dataset.add_sample(sample(photos["broken"]))
    listed = dataset.compute_embeddings(nano)
    assert [vector is None for vector in listed] == [False] * 4 + [True]


@pytest.fixture
def video(photos: Photos, tmp_path: Path) -> Path:
    """Three frames of the coins, as a video."""
    film = tmp_path / "coins.mp4"
    still = [
        "-loop",
        "1",
        "-i",
        str(photos["coins"]),
        "-frames:v",
        "3",
        "-vf",
        "crop=384:302:0:0",
        "-crf",
        "10",
    ]
    subprocess.run(["ffmpeg", "-loglevel", "error", *still, "-pix_fmt", "yuv420p", str(film)], check=True)
    return film


@pytest.mark.parametrize("batch_size", [None, 2])
def test_frames_of_a_video(dataset: Any, photos: Photos, video: Path, batch_size: int | None) -> None:
    """Boxes of frames are prompts, named by the call or at load time; a frame without any has an empty label."""
    size = (384, 302)
    film = fo.Sample(filepath=str(video))
    for number in (1, 3):
        detections = [fo.Detection(label="coin", bounding_box=relative(box, size)) for box in COINS]
        film.frames[number] = fo.Frame(boxes=fo.Detections(detections=detections))
    film.frames[2] = fo.Frame()
    dataset.add_sample(film)
    model = lightsam_fiftyone.load_model("nano", device="cpu", box_prompt_field="frames.boxes")

    dataset.apply_model(
        model, "frames.named", box_prompt_field="frames.boxes", batch_size=batch_size, skip_failures=False
    )
    dataset.apply_model(model, "frames.loaded", batch_size=batch_size, skip_failures=False)

    still = model.segmenter.segment(np.asarray(Image.open(photos["coins"]))[:302], boxes=COINS).dense()
    for field in ("named", "loaded"):
        frames = [frame[field].detections for frame in dataset.first().frames.values()]
        assert [len(found) for found in frames] == [2, 0, 2]
        for found in (frames[0], frames[2]):
            assert min(iou(full(one, size), dense) for one, dense in zip(found, still, strict=True)) > 0.9
