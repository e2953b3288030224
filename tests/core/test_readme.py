"""What a newcomer copies from the README."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import lightsam_plugins as ls
from lightsam_plugins.cli.demo_cases import load_photo

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_the_first_picture_looks_right() -> None:
    """Each box of the quick start, on the photo it names, gives the coin inside: an ellipse that fills the box."""
    photo = re.search(r"assets/(\w+)\.jpg", README)
    boxes = re.search(r"boxes=\[(\[.+?\])\]", README)
    assert photo
    assert boxes
    corners = np.array(re.findall(r"\d+", boxes[1]), float).reshape(-1, 4)
    masks = ls.load("nano", device="cpu").segment(load_photo(photo[1]), boxes=corners)

    assert len(masks) == len(corners) == 2
    for mask, (x0, y0, x1, y1) in zip(masks.dense(), corners, strict=True):
        y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
        coin = np.hypot((2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0)) < 1
        assert (mask & coin).sum() / (mask | coin).sum() > 0.85


def test_the_command_line_shows_one_of_the_boxes() -> None:
    """`lightsam segment` is shown with the first box of the quick start and a click inside it."""
    boxes = re.search(r"boxes=\[\[(.+?)\]", README)
    shown = re.search(r"--box (\S+) --point (\d+),(\d+)", README)
    assert boxes
    assert shown
    x0, y0, x1, y1 = (int(edge) for edge in shown[1].split(","))

    assert boxes[1].replace(" ", "") == shown[1]
    assert x0 < int(shown[2]) < x1
    assert y0 < int(shown[3]) < y1
