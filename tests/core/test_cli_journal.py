from __future__ import annotations

import json
import resource

import pytest

from lightsam_plugins.cli.coco import write_coco
from lightsam_plugins.cli.photo_files import find_images
from lightsam_plugins.errors import InputError
from lightsam_plugins.journal import Journal

SETTINGS = {"model": "nano", "points_per_side": 32}
RLE = {"size": [4, 6], "counts": "04403"}
MASK = {"box": [1, 0, 3, 4], "area": 8, "score": 0.9, "stability": 0.95, "rle": RLE}


def record(name, stamp=(10, 20)):
    """What is kept of an image with one mask."""
    return {"file": name, "stamp": list(stamp), "width": 6, "height": 4, "masks": [MASK]}


@pytest.fixture
def path(tmp_path):
    """Where the journal goes; its folder is not there yet."""
    return tmp_path / "out" / "masks.json.journal"


def test_finished_images_are_found_again(path):
    """What was added is there when the journal is opened again, value for value."""
    Journal(path, SETTINGS).add(record("ä.jpg"))

    again = Journal(path, SETTINGS)
    assert again.has("ä.jpg", [10, 20])
    assert again.read("ä.jpg") == record("ä.jpg")


def test_changed_image_is_not_finished(path):
    """An image whose size or time changed must be computed again, and the newer record counts."""
    journal = Journal(path, SETTINGS)
    journal.add(record("a.jpg"))
    assert not journal.has("a.jpg", [10, 21])

    journal.add(record("a.jpg", (10, 21)) | {"masks": []})

    assert Journal(path, SETTINGS).read("a.jpg")["masks"] == []


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_torn_last_line_is_cut_off(path, cut):
    """A line that was being written when the power went is dropped; those before and after it are whole."""
    journal = Journal(path, SETTINGS)
    journal.add(record("a.jpg"))
    journal.add(record("b.jpg"))
    path.write_bytes(path.read_bytes()[:-cut])

    again = Journal(path, SETTINGS)
    again.add(record("c.jpg"))

    assert [name for name in ("a.jpg", "b.jpg", "c.jpg") if again.has(name, [10, 20])] == ["a.jpg", "c.jpg"]
    assert Journal(path, SETTINGS).read("c.jpg") == record("c.jpg")


def test_other_settings_are_refused_by_name(path):
    """Masks of two settings are never mixed: the message names what differs, and nothing is lost."""
    Journal(path, SETTINGS).add(record("a.jpg"))

    with pytest.raises(InputError, match=r"points_per_side=32, got points_per_side=16.*--restart"):
        Journal(path, SETTINGS | {"points_per_side": 16})
    assert Journal(path, SETTINGS).has("a.jpg", [10, 20])


def test_settings_bind_nobody_before_the_first_image(path):
    """A run that stopped before its first image leaves the settings open."""
    Journal(path, SETTINGS)

    Journal(path, SETTINGS | {"points_per_side": 16}).add(record("a.jpg"))

    assert Journal(path, SETTINGS | {"points_per_side": 16}).has("a.jpg", [10, 20])


def test_another_file_is_not_overwritten(path):
    """A file that is no journal is refused and left as it is."""
    path.parent.mkdir()
    path.write_text("my notes\n")

    with pytest.raises(InputError, match="is not a journal of lightsam everything"):
        Journal(path, SETTINGS)
    assert path.read_text() == "my notes\n"


def test_full_disk_loses_nothing_that_was_finished(path):
    """When a line does not fit on the disk the error says so, and the next run has all lines before it."""
    journal = Journal(path, SETTINGS)
    journal.add(record("a.jpg"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, hard))
    try:
        with pytest.raises(InputError, match=r"cannot write .*space left"):
            journal.add(record("b.jpg"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    again = Journal(path, SETTINGS)
    assert again.has("a.jpg", [10, 20])
    assert not again.has("b.jpg", [10, 20])


def test_coco_file_has_every_mask_once(path, tmp_path):
    """Ids count from 1, boxes become x, y, width, height, and only the images asked for are in it."""
    journal = Journal(path, SETTINGS)
    for name in ("b.jpg", "a.jpg", "gone.jpg"):
        journal.add(record(name))

    write_coco(tmp_path / "coco.json", journal, ["a.jpg", "b.jpg"], {"model": "nano"})

    coco = json.loads((tmp_path / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["a.jpg", "b.jpg"]
    assert [(a["id"], a["image_id"]) for a in coco["annotations"]] == [(1, 1), (2, 2)]
    assert coco["annotations"][0]["bbox"] == [1, 0, 2, 4]
    assert coco["annotations"][0]["segmentation"] == RLE
    assert list(tmp_path.glob(".part*")) == []


def test_photos_are_found_by_type_and_folder(tmp_path):
    """Photos of a folder are taken in order; hidden ones, other files and folders with results are not."""
    for name in (
        "b.JPG",
        "a.png",
        ".hidden.png",
        "notes.txt",
        "sub/c.tif",
        "results/d.png",
        "folder.png/e.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert list(find_images(tmp_path, recursive=False)) == ["a.png", "b.JPG"]
    below = find_images(tmp_path, recursive=True, skip=[tmp_path / "results", tmp_path, tmp_path.parent])
    assert list(below) == ["a.png", "b.JPG", "sub/c.tif"]


def test_missing_or_empty_folder_is_told(tmp_path):
    """A path that is not there and a folder without photos are two clear errors."""
    with pytest.raises(InputError, match=r"no file or folder '.*gone'"):
        find_images(tmp_path / "gone", recursive=False)
    with pytest.raises(InputError, match=r"no photo in .*files ending in .*\.jpg.*--recursive"):
        find_images(tmp_path, recursive=False)
