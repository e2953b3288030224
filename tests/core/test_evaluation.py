"""`evaluate`: known answers give known numbers, it goes on after a stop, and bad rows are told and left out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from known_answers import SQUARES, KnownAnswers, annotation, square, write_dataset
from PIL import Image

from lightsam_plugins import load
from lightsam_plugins.cli.evaluate_run import Job
from lightsam_plugins.errors import Cancelled, InputError, MissingExtra, OptionError
from lightsam_plugins.evaluation import evaluate, read_annotations, read_report
from lightsam_plugins.evaluation.baselines import BASELINES
from lightsam_plugins.evaluation.extra import PACKAGES
from lightsam_plugins.evaluation.protocols import click_answers, pair
from lightsam_plugins.evaluation.published import all_published, published
from lightsam_plugins.registry import MODELS


def shifted(mask):
    """A mask moved by one pixel to the right."""
    return np.roll(mask, 1, 1)


SHIFTED = [
    20 * 19 / (20 * 21),
    40 * 39 / (40 * 41),
    10 * 9 / (10 * 11),
]  # IoU of SQUARES with themselves shifted


@pytest.fixture
def dataset(tmp_path):
    """Three images of three squares."""
    return read_annotations(*write_dataset(tmp_path))


def test_known_answers_give_known_means(dataset, tmp_path):
    """Answers that are shifted by one pixel have the IoU counted by hand, by size too; exact ones have 1."""
    report = evaluate(KnownAnswers(change=shifted), dataset, "box,1click", out=tmp_path / "out")
    exact = evaluate(KnownAnswers(), dataset, "box", out=tmp_path / "exact")

    for name in ("box", "1 click"):
        row = report.means[name]
        assert row["iou"] == pytest.approx(np.mean(SHIFTED))
        assert row["small"] == pytest.approx(np.mean([SHIFTED[0], SHIFTED[2]]))
        assert (row["medium"], row["large"], row["objects"]) == (pytest.approx(SHIFTED[1]), None, 9)
    assert exact.means["box"]["iou"] == exact.means["box"]["boundary"] == 1


def test_nothing_and_everything_wrong_is_zero(dataset, tmp_path):
    """Empty masks and masks elsewhere have an IoU of 0."""
    for name, change in (("empty", np.zeros_like), ("elsewhere", lambda mask: ~mask)):
        report = evaluate(KnownAnswers(change=change), dataset, "box", out=tmp_path / name)

        assert report.means["box"]["iou"] == 0


def test_average_precision_and_recall_of_known_answers(dataset, tmp_path):
    """With the true boxes AP is 1 for exact masks; everything mode that finds one of three has a recall of 1/3."""
    boxes = [{"image_id": i, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.9} for i in (1, 2, 3)]
    boxes += [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 0, 9], "score": 1}, {"image_id": 1}]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    model = KnownAnswers(everything=[(SQUARES[1], 0.7), (square(100, 80, 110, 90), 0.9)])

    report = evaluate(
        model, dataset, "boxes-from,everything", out=tmp_path / "out", boxes_from=tmp_path / "boxes.json"
    )

    assert report.precision["AP"] == pytest.approx(34 / 101)  # recall 1/3: 34 levels of 0, 0.01, ..., 0.33
    assert report.recall["AR@1000"] == pytest.approx(1 / 3)
    assert report.means["everything, best mask"]["iou"] == pytest.approx(1 / 3)
    assert [text.split(":")[0] for text in report.problems] == ["box 3", "box 4"]


def test_each_click_answers_the_error_before(dataset):
    """The second click is the deepest missing point, or the deepest surplus one with label 0; the mask goes along."""
    whole, half = square(50, 20, 90, 60), square(50, 20, 90, 30)
    model = KnownAnswers([whole], change=lambda mask: half)
    click_answers(model, None, [whole], 2)
    _, points, labels, mask_input = model.prompted[1]
    assert points[0][1] == (pytest.approx(70, abs=5.5), pytest.approx(45, abs=0.6))
    assert labels == [[1, 1, 1]] or labels[0][:2] == [1, 1]
    assert mask_input.shape == (1, 256, 256)

    surplus = KnownAnswers([whole], change=lambda mask: mask | square(0, 0, 50, 60))
    click_answers(surplus, None, [whole], 2)
    assert surplus.prompted[1][2][0][:2] == [1, 0]


def test_an_exact_answer_gets_no_worse_by_clicks(dataset):
    """Once a mask has no error the protocol stops for that object, whatever further clicks would do."""
    answers = iter([SQUARES[0], ~SQUARES[0]])
    rounds = click_answers(KnownAnswers([SQUARES[0]], lambda mask: next(answers)), None, [SQUARES[0]], 2)

    assert (rounds[1][0] == SQUARES[0]).all()


def test_the_pair_of_the_teacher_protocol_has_its_distance():
    """The second click is beside the object at the distance asked for, and there is none where the image ends."""
    (x, y), (x2, y2) = pair(SQUARES[0], 50)

    assert np.hypot(x - x2, y - y2) == pytest.approx(50)
    assert not SQUARES[0][int(y2), int(x2)]
    assert pair(SQUARES[0], 400) is None


def test_agreement_is_with_the_teacher_not_the_truth(tmp_path):
    """Two models that give the same wrong mask agree fully, wherever there is room for the clicks."""
    dataset = read_annotations(*write_dataset(tmp_path, masks=[square(0, 0, 8, 8)]))
    model, teacher = (KnownAnswers([square(0, 0, 8, 8)], change=shifted) for _ in range(2))

    report = evaluate(model, dataset, "teacher", out=tmp_path / "out", teacher=teacher)

    assert {name: row["iou"] for name, row in report.means.items()} == {"teacher 100 px": 1.0}


def test_a_stopped_run_goes_on_to_the_same_numbers(dataset, tmp_path):
    """After a stop only the rest is computed, and the report is that of a run that was never stopped."""
    whole = evaluate(
        KnownAnswers(change=shifted), dataset, "box,2click", out=tmp_path / "whole", batch_size=1
    )
    model = KnownAnswers(change=shifted)

    with pytest.raises(Cancelled, match="image 2 of 3"):
        evaluate(
            model, dataset, "box,2click", out=tmp_path / "out", batch_size=1, progress=lambda n, name: n < 2
        )
    model.prompted.clear()
    report = evaluate(model, dataset, "box,2click", out=tmp_path / "out", batch_size=1)

    assert len(model.prompted) == 3  # a box and two clicks, of the third image alone
    assert replace(report, milliseconds={}) == replace(whole, milliseconds={})


def test_results_of_other_settings_are_not_mixed(dataset, tmp_path):
    """A folder begun with other protocols is refused."""
    evaluate(KnownAnswers(), dataset, "box", out=tmp_path / "out")

    with pytest.raises(InputError, match="was begun with other settings, .* would be mixed"):
        evaluate(KnownAnswers(), dataset, "1click", out=tmp_path / "out")


def test_reports_survive_the_disk(dataset, tmp_path):
    """A written report reads back equal, and a folder without one is an error."""
    report = evaluate(KnownAnswers(), dataset, "box", out=tmp_path / "out")
    report.write(tmp_path / "out")

    assert read_report(tmp_path / "out") == report
    with pytest.raises(InputError, match="is no report of lightsam evaluate"):
        read_report(tmp_path)


def test_bad_rows_are_told_and_left_out(tmp_path):
    """Images that are missing or of another size, empty polygons and broken codes are named; the rest is measured."""
    bad = [
        annotation(90, 1, SQUARES[0]) | {"segmentation": []},
        annotation(91, 1, SQUARES[0]) | {"segmentation": {"size": [100, 120], "counts": [7]}},
        annotation(92, 1, SQUARES[0]) | {"bbox": [1, 1, 0, 5]},
        annotation(93, 77, SQUARES[0]),
        {"id": 94},
        annotation(95, 1, SQUARES[0], iscrowd=1),
    ]
    photos, path = write_dataset(tmp_path, extra=bad)
    (photos / "2.png").unlink()
    Image.fromarray(np.zeros((50, 60), np.uint8)).save(photos / "3.png")

    report = evaluate(KnownAnswers(), read_annotations(photos, path), "box", out=tmp_path / "out")

    assert report.means["box"]["objects"] == 3  # crowds are not prompted
    assert (report.images, report.whole) == (1, 3)
    text = "\n".join(report.problems)
    for part in (
        "annotation 9: not usable: its segmentation is empty",
        "annotation 11: not usable: its bbox [1, 1, 0, 5] is empty",
        "annotation 13: not usable: 'image_id' is missing",
        "annotations of image 77: there is no such image",
        "object 91 of 1.png: a broken segmentation",
        "image 2.png: cannot read the image",
        "image 3.png: the annotations are about an image of another size: expected (height, width) (100, 120)",
    ):
        assert part in text
    assert len(report.problems) == 7
    assert "annotation 9: not usable" in report.markdown()


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_label_maps(tmp_path, kind):
    """Each value of a 16-bit label map is an object, found beside its image by its name; others are told."""
    labels = np.zeros((100, 120), np.uint16)
    labels[SQUARES[0]], labels[SQUARES[1]] = 7, 300
    Image.fromarray(labels).save(tmp_path / f"a_label.{kind}")
    Image.fromarray(labels).save(tmp_path / f"lost_label.{kind}")
    Image.fromarray(np.zeros((100, 120, 3), np.uint8)).save(tmp_path / "a.png")

    dataset = read_annotations(tmp_path, tmp_path)
    report = evaluate(KnownAnswers(), dataset, "box", out=tmp_path / "out")

    assert [target.id for target in dataset.samples[0].targets] == [7, 300]
    assert (report.means["box"]["iou"], report.means["box"]["objects"]) == (1, 2)
    assert [problem.split(":")[0] for problem in dataset.problems] == [f"label map lost_label.{kind}"]


def test_lvis_files_are_found_by_their_url(tmp_path):
    """LVIS has no file_name: the end of coco_url is looked for, and its fields about categories are kept."""
    photos, path = write_dataset(tmp_path, images=1)
    data = json.loads(path.read_text())
    data["images"][0] |= {
        "coco_url": "http://x/val2017/1.png",
        "neg_category_ids": [4],
        "not_exhaustive_category_ids": [1],
    }
    del data["images"][0]["file_name"]
    path.write_text(json.dumps(data))

    (one,) = read_annotations(photos, path).samples

    assert one.path == photos / "1.png"
    assert (one.checked, one.incomplete) == (frozenset({1, 4}), frozenset({1}))


def test_what_a_model_cannot_do_is_left_out_and_said(dataset, tmp_path):
    """A model without background clicks is measured by the rest; if nothing is left, that is an error."""
    model = KnownAnswers()
    model.prompts = frozenset({"box", "point"})

    report = evaluate(model, dataset, "box,1click,3click", out=tmp_path / "out")

    assert list(report.means) == ["box", "1 click"]
    assert report.left_out == ["3click: the model takes no negative point prompts"]
    with pytest.raises(
        OptionError, match="no protocol is left: .* got everything: the model takes no everything"
    ):
        evaluate(model, dataset, "everything", out=tmp_path / "other")


@pytest.mark.parametrize(
    ("protocols", "message"),
    [
        ("bix", "protocol: expected box, 1click, .* got 'bix'"),
        ("0click", "got '0click'"),
        ("", "no protocol is left"),
        ("boxes-from", "boxes-from: expected a file of boxes. Pass boxes_from="),
        ("teacher", "teacher: expected another model"),
    ],
)
def test_bad_protocols_are_told(dataset, tmp_path, protocols, message):
    """An unknown protocol, or one that lacks what it needs, is refused before anything is computed."""
    with pytest.raises(OptionError, match=message):
        evaluate(KnownAnswers(), dataset, protocols, out=tmp_path / "out")


@pytest.mark.parametrize("content", ["[]", "{", '{"images": []}'])
def test_other_json_is_refused(tmp_path, content):
    """A file that is no COCO JSON says what was expected."""
    (tmp_path / "a.json").write_text(content)

    with pytest.raises(InputError, match="holds no instances of COCO: expected a JSON object with the lists"):
        read_annotations(tmp_path, tmp_path / "a.json")


@pytest.mark.parametrize("package", PACKAGES)
def test_without_the_extra_the_command_is_told(dataset, tmp_path, monkeypatch, package):
    """Each package of the extra that is missing gives MissingExtra with the pip command."""
    monkeypatch.setitem(__import__("sys").modules, package, None)

    with pytest.raises(MissingExtra, match=f'needs {package}, .*pip install "lightsam-plugins.evaluate."'):
        evaluate(KnownAnswers(), dataset, "box", out=tmp_path / "out")


def test_published_numbers_stand_beside_the_measured(dataset, tmp_path):
    """The page of a known model on a known dataset shows both; on other data nothing is claimed."""
    coco = replace(dataset, name="coco")
    report = evaluate(KnownAnswers(name="efficientvit-sam-xl1"), coco, "box", out=tmp_path / "out")

    assert "| box | mIoU | 79.927 | 100.0 | EfficientViT-SAM README" in report.markdown()
    assert "| boxes-from | AP | 47.8 | not measured |" in report.markdown()
    assert published("efficientvit-sam-xl1", "my-own") == []


def test_published_numbers_are_of_our_models():
    """Each entry is about a model of the registry and has a value in percent and a source; none is there twice."""
    entries = all_published()

    assert {entry["model"] for entry in entries} <= set(MODELS)
    assert all(0 < entry["value"] < 100 and entry["source"] for entry in entries)
    assert len({tuple(entry.values()) for entry in entries}) == len(entries) > 100
    coco_ap = {
        (e["value"])
        for e in entries
        if (e["model"], e["dataset"], e["metric"]) == ("mobilesam", "coco", "AP")
    }
    assert coco_ap == {38.7, 39.4, 41.0, 42.7, 44.3}


def test_baselines_find_a_bright_square_on_dark_ground():
    """The filled box is its box, and GrabCut and the random walker find a disc inside its box; clicks too."""
    y, x = np.mgrid[:100, :120]
    disc = (x - 60) ** 2 + (y - 50) ** 2 < 30**2
    image = np.repeat(np.where(disc, 200, 40)[..., None], 3, 2).astype(np.uint8)
    image += np.random.default_rng(0).integers(0, 9, image.shape, np.uint8)
    box = [30, 20, 91, 81]

    found = {name: one.segment(image, boxes=[box]).dense()[0] for name, one in BASELINES.items()}
    clicked = (
        BASELINES["random-walker"].segment(image, points=[[(60.5, 50.5)]], point_labels=[[1]]).dense()[0]
    )

    assert found["filled-box"].sum() == 61 * 61
    for mask in (found["grabcut"], found["random-walker"], clicked):
        assert (mask & disc).sum() / (mask | disc).sum() > 0.95


def test_options_of_everything_mode_are_used_and_told_apart(dataset, tmp_path):
    """Lower thresholds find more masks; the folder of one choice is not that of another; wrong ones are told first."""
    model = load("nano", device="cpu")
    one, options = replace(dataset, samples=dataset.samples[:1]), {"points_per_side": 4}
    low = options | {"pred_iou_thresh": 0, "stability_score_thresh": 0}
    evaluate(model, one, "everything", out=tmp_path / "usual", everything=options | {"pred_iou_thresh": 1})
    evaluate(model, one, "everything", out=tmp_path / "low", everything=low)
    counts = [
        len(json.loads((tmp_path / name / "journal.jsonl").read_text("utf-8").splitlines()[-1])["everything"])
        for name in ("usual", "low")
    ]
    assert counts[0] == 0 < counts[1]

    with pytest.raises(InputError, match="other settings|with other"):
        evaluate(model, one, "everything", out=tmp_path / "low", everything=options)
    with pytest.raises(OptionError, match="unknown option 'pred_iou' of everything mode.*pred_iou_thresh"):
        evaluate(model, one, "everything", out=tmp_path / "a", everything={"pred_iou": 0.3})
    with pytest.raises(
        OptionError, match="options of everything mode: points_per_side: expected the protocol"
    ):
        evaluate(model, one, "box", out=tmp_path / "a", everything=options)


def test_options_of_everything_mode_on_the_command_line():
    """Numbers and words of JSON; the protocol is added; what is neither is told."""
    job = Job(*[None] * 4, "box", *[None] * 2, "pred-iou-thresh=0.3,hierarchical=true", *[None] * 7)
    assert job.options == {"pred_iou_thresh": 0.3, "hierarchical": True}
    assert job.protocols == "box,everything"
    with pytest.raises(OptionError, match="--everything: expected NAME=VALUE,.*got 'hierarchical'"):
        assert replace(job, everything="hierarchical").options
