from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from typer.testing import CliRunner

from lightsam_plugins.cli import everything_run
from lightsam_plugins.cli.app import build_app
from lightsam_plugins.cli.demo_cases import load_photo

# pycocotools 2.0.11 decodes with a call that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# A sparse grid and lax filters: quick, and whatever the weights some masks are kept.
QUICK = ["--points-per-side", "4", "--pred-iou-thresh", "0", "--stability-score-thresh", "0"]


def everything(*args):
    """Run `lightsam everything` in this process."""
    return CliRunner().invoke(build_app(), ["everything", *QUICK, *map(str, args)])


@pytest.fixture
def photos(tmp_path):
    """A folder of three photos."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("cell", "coffee", "coins"):
        Image.fromarray(load_photo(name)).save(folder / f"{name}.png")
    return folder


def forbid_models(monkeypatch):
    """From now on loading a model fails: what passes computes nothing."""
    monkeypatch.setattr(everything_run, "load_model", lambda *args: pytest.fail("a model was loaded"))


def test_a_picture_is_no_output(photos, tmp_path):
    """`-o out.png` is refused with the way to pictures; no folder of that name is made."""
    refused = everything(photos, "-o", tmp_path / "out.png")

    assert refused.exit_code == 2
    assert "is a picture; expected a name such as masks.json" in " ".join(
        refused.output.replace("│", " ").split()
    )
    assert not (tmp_path / "out.png").exists()


def test_output_is_coco(photos, tmp_path):
    """pycocotools reads the file; every RLE decodes to the reported area and box at the size of its image."""
    done = everything(photos, "-o", tmp_path / "masks.json")

    assert done.exit_code == 0, done.output
    coco = COCO(tmp_path / "masks.json")
    assert [image["file_name"] for image in coco.imgs.values()] == ["cell.png", "coffee.png", "coins.png"]
    assert len(coco.anns) >= 3
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        inside = coco_mask.decode(annotation["segmentation"])
        assert inside.shape == (image["height"], image["width"])
        assert inside.sum() == annotation["area"] > 0
        np.testing.assert_array_equal(coco_mask.toBbox(annotation["segmentation"]), annotation["bbox"])
        assert annotation["category_id"] == coco.getCatIds(catNms=["object"])[0]
        assert 0 <= annotation["score"] <= 1


def test_one_photo_and_a_folder_for_the_output(photos, tmp_path):
    """A single photo works as well, and -o DIR means annotations.json in it."""
    done = everything(photos / "coins.png", "-o", tmp_path / "results")

    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "results" / "annotations.json").read_text())
    assert [image["file_name"] for image in told["images"]] == ["coins.png"]
    assert told["info"]["complete"]
    assert told["info"]["settings"]["points_per_side"] == 4


def test_broken_image_is_named_and_skipped(photos, tmp_path):
    """A file that is no image does not stop the others; it is named, listed, and the exit code is 3."""
    (photos / "broken.jpg").write_bytes((photos / "cell.png").read_bytes()[:5000])
    (photos / "empty.png").touch()

    done = everything(photos, "-o", tmp_path / "masks.json")

    assert done.exit_code == 3
    assert "skipped broken.jpg: " in done.stderr
    told = json.loads((tmp_path / "masks.json").read_text())
    assert len(told["images"]) == 3
    assert sorted(told["info"]["failed"]) == ["broken.jpg", "empty.png"]
    assert not told["info"]["complete"]


def test_second_run_computes_nothing_again(photos, tmp_path, monkeypatch):
    """What is finished comes from the journal: no model is loaded, the file is the same byte for byte."""
    everything(photos, "-o", tmp_path / "masks.json")
    first = (tmp_path / "masks.json").read_bytes()
    (tmp_path / "masks.json").unlink()
    forbid_models(monkeypatch)

    done = everything(photos, "-o", tmp_path / "masks.json")

    assert done.exit_code == 0, done.output
    assert "3 of 3 already finished" in done.stderr
    assert (tmp_path / "masks.json").read_bytes() == first


def test_added_and_changed_photos_are_computed(photos, tmp_path):
    """Of four photos only the new one and the one that changed are computed by the next run."""
    everything(photos, "-o", tmp_path / "masks.json")
    Image.fromarray(load_photo("chelsea")).save(photos / "a.png")
    Image.fromarray(load_photo("coins")[:200]).save(photos / "coins.png")

    done = everything(photos, "-o", tmp_path / "masks.json")

    assert "2 of 4 already finished, going on with 2" in done.stderr
    images = json.loads((tmp_path / "masks.json").read_text())["images"]
    assert [(image["file_name"], image["height"]) for image in images] == [
        ("a.png", 300),
        ("cell.png", 660),
        ("coffee.png", 400),
        ("coins.png", 200),
    ]


def test_other_settings_are_refused_and_restart_starts_over(photos, tmp_path):
    """Settings may not change half-way; the message names them, and --restart computes all again."""
    target = tmp_path / "masks.json"
    everything(photos, "-o", target)

    refused = everything(photos, "-o", target, "--box-nms-thresh", "0.5")
    again = everything(photos, "-o", target, "--box-nms-thresh", "0.5", "--restart")

    assert refused.exit_code == 1
    assert "box_nms_thresh=0.7" in refused.stderr
    assert again.exit_code == 0
    assert "already finished" not in again.stderr
    assert json.loads(target.read_text())["info"]["settings"]["box_nms_thresh"] == 0.5


def test_foreign_file_is_not_overwritten(photos, tmp_path):
    """A file that no earlier run wrote, perhaps somebody's annotations, is left alone."""
    (tmp_path / "masks.json").write_text("mine")

    done = everything(photos, "-o", tmp_path / "masks.json")

    assert done.exit_code == 1
    assert "is there already, and not from an earlier run" in " ".join(done.stderr.replace("│", " ").split())
    assert (tmp_path / "masks.json").read_text() == "mine"


def test_masks_of_other_photos_are_not_overwritten(photos, tmp_path):
    """The same -o for another folder is a slip: it is refused, and the first result stays."""
    everything(photos / "coins.png", "-o", tmp_path / "masks.json")
    first = (tmp_path / "masks.json").read_bytes()

    done = everything(photos / "cell.png", "-o", tmp_path / "masks.json")

    assert done.exit_code == 1
    assert "holds the masks of other photos" in " ".join(done.stderr.replace("│", " ").split())
    assert (tmp_path / "masks.json").read_bytes() == first


@pytest.mark.parametrize("name", ["[red]b.png", "ä ö.png", os.fsdecode(b"caf\xe9.png")])
def test_photos_may_have_any_name(photos, tmp_path, name):
    """Brackets are no markup, and a name that is not UTF-8 survives the way into the file and back."""
    (photos / "coins.png").rename(tmp_path / name)

    done = everything(tmp_path / name, "-o", tmp_path / "masks.json", "--overlays", tmp_path / "drawn")

    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "masks.json").read_text())["images"][0]["file_name"] == name
    assert (tmp_path / "drawn" / f"{name}.png").is_file()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--points-per-side", "0", "points_per_side"), ("--pred-iou-thresh", "2", "pred_iou_thresh")],
)
def test_option_out_of_range_is_refused_before_anything_is_written(photos, tmp_path, option, value, message):
    """A value that cannot be is named, and no file appears."""
    done = CliRunner().invoke(
        build_app(), ["everything", str(photos), "-o", str(tmp_path / "new" / "m.json"), option, value]
    )

    assert done.exit_code == 1
    assert message in done.stderr
    assert not (tmp_path / "new").exists()


def test_overlays_are_drawn_also_for_finished_photos(photos, tmp_path, monkeypatch):
    """Overlays can be asked for later: they are drawn from the journal, and differ from the photo."""
    everything(photos, "-o", tmp_path / "masks.json")
    forbid_models(monkeypatch)

    done = everything(photos, "-o", tmp_path / "masks.json", "--overlays", tmp_path / "drawn")

    assert done.exit_code == 0, done.output
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in drawn] == ["cell.png.png", "coffee.png.png", "coins.png.png"]
    with Image.open(drawn[1]) as picture:
        assert picture.width == 960


def test_overlays_may_not_land_among_the_photos(photos, tmp_path):
    """The folder of the photos is refused for the overlays: the next run would take them for photos."""
    done = everything(photos, "-o", tmp_path / "masks.json", "--overlays", photos)

    assert done.exit_code == 1
    assert "would land among the photos" in done.stderr
    assert len(list(photos.iterdir())) == 3


def test_interrupted_run_keeps_what_is_finished_and_goes_on(photos, tmp_path):
    """Ctrl-C after the first photo: exit code 130, it is kept, and the file in the end is the same."""
    target, whole = tmp_path / "masks.json", tmp_path / "whole.json"
    # Where the suite itself runs in the background of a shell, SIGINT is ignored, and children inherit that.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from lightsam_plugins.cli import main; main()"
    command = [sys.executable, "-c", code, "everything", str(photos), *QUICK, "--points-per-side", "8"]
    journal = tmp_path / "masks.json.journal"
    with subprocess.Popen([*command, "-o", str(target)], stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < 2):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()

    kept = json.loads(target.read_text())
    count = len(kept["images"])
    assert process.returncode == 130, told
    assert f"{count} of 3 images in" in told
    assert "run the same command again to go on" in told
    assert "Traceback" not in told
    assert 1 <= count < 3
    assert not kept["info"]["complete"]

    again = everything(photos, "--points-per-side", "8", "-o", target)
    everything(photos, "--points-per-side", "8", "-o", whole)

    assert f"{count} of 3 already finished, going on with {3 - count}" in again.stderr
    assert target.read_bytes() == whole.read_bytes()
