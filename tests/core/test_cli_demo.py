"""The demo of the command line."""

from __future__ import annotations

from command_line import lightsam, read

from lightsam_plugins.cli import demo_cases
from lightsam_plugins.cli.demo_cases import CASES
from lightsam_plugins.cli.progress import Bar
from lightsam_plugins.errors import UnsupportedPrompt
from lightsam_plugins.segmenter import Segmenter


def test_demo_writes_a_picture_for_every_case(tmp_path):
    """Each case gives a picture of its own and a row of the table; the overview shows them all."""
    done = lightsam("demo", "-o", tmp_path / "demo")

    assert done.exit_code == 0, done.output
    names = [case.name for case in CASES]
    pictures = [(tmp_path / "demo" / f"{name}.png").read_bytes() for name in names]
    assert len(set(pictures)) == len(names)
    assert min(read(tmp_path / "demo" / "overview.jpg").shape[:2]) > 900
    assert all(name in done.stdout for name in names)
    assert str((tmp_path / "demo").resolve()) in done.stderr


def test_demo_moves_its_bar_within_an_image(tmp_path, monkeypatch):
    """Everything mode has the grid that was asked for, and each chunk of its clicks moves the one bar."""
    asked, places = [], []
    everything, update = Segmenter.everything, Bar.update

    def seen(self, image, **options):
        asked.append(options["points_per_side"])
        return everything(self, image, points_per_batch=4, **options)

    def moved(self, task, **fields):
        places.append(fields["completed"])
        update(self, task, **fields)

    monkeypatch.setattr(Segmenter, "everything", seen)
    monkeypatch.setattr(Bar, "update", moved)
    monkeypatch.setattr(demo_cases, "CASES", [case for case in CASES if case.name in ("box", "everything")])

    done = lightsam("demo", "-o", tmp_path, "--points-per-side", 4)

    assert done.exit_code == 0
    assert asked == [4]
    assert places == [0, 1, 1.25, 1.5, 1.75, 2]


def test_demo_leaves_out_what_a_model_cannot_do(tmp_path, monkeypatch):
    """A model without everything mode still shows its other prompts; the missing case is named."""

    def refuse(*args, **options):
        raise UnsupportedPrompt("nano does not take everything mode")

    monkeypatch.setattr(Segmenter, "everything", refuse)
    monkeypatch.setattr(demo_cases, "CASES", [case for case in CASES if case.name in ("box", "everything")])

    done = lightsam("demo", "-o", tmp_path)

    assert done.exit_code == 0
    assert "everything left out: nano does not take everything mode" in done.stderr
    assert not (tmp_path / "everything.png").exists()
    assert (tmp_path / "box.png").exists()
