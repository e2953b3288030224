"""Comparing two reports, the pictures, and the two commands."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from command_line import flat, lightsam
from known_answers import KnownAnswers, write_dataset
from PIL import Image

from lightsam_plugins.errors import InputError, OptionError
from lightsam_plugins.evaluation import compare, evaluate, read_annotations, read_report
from lightsam_plugins.evaluation.bootstrap import comparison
from lightsam_plugins.evaluation.plots import prompt_time
from lightsam_plugins.evaluation.worst import worst_objects


@pytest.fixture
def dataset(tmp_path):
    """Six images of three squares."""
    return read_annotations(*write_dataset(tmp_path, images=6))


@pytest.fixture
def exact(dataset, tmp_path):
    """The report of a model without errors."""
    return evaluate(KnownAnswers(name="exact"), dataset, "box", out=tmp_path / "exact")


def with_values(report, values):
    """The report with other IoUs."""
    objects = report.objects | {"values": {"box": list(values)}}
    return replace(report, objects=objects)


def test_a_constant_gain_has_no_spread(exact):
    """Where every object gains 0.1 the interval is 0.1 to 0.1, and the verdict better; the other way round worse."""
    worse = with_values(exact, np.full(18, 0.9))

    (gain,), (loss,) = compare(worse, exact), compare(exact, worse)

    assert (gain.first, gain.second, gain.objects, gain.images) == (pytest.approx(0.9), 1, 18, 6)
    assert (gain.low, gain.high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert (gain.verdict, loss.verdict) == ("better", "worse")
    assert "| box | 90.0 | 100.0 | +10.0 | +10.0 to +10.0 | better | 18 | 6 |" in comparison(
        worse, exact, [gain]
    )


def test_the_interval_is_that_of_the_mean_over_images(exact):
    """Equal objects in each image: the interval is that of a plain bootstrap of six means; noise shows nothing."""
    noise = np.array([0.3, -0.3, 0.2, -0.2, 0.1, -0.1])
    first = with_values(exact, np.full(18, 0.5))
    second = with_values(exact, 0.5 + np.repeat(noise, 3))
    generator = np.random.default_rng(9)
    means = noise[generator.integers(0, 6, (20_000, 6))].mean(1)

    (found,) = compare(first, second)

    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, (2.5, 97.5))), abs=0.01)
    assert found.verdict == "no difference shown"
    assert compare(first, second) == [found]


def test_reports_that_have_nothing_to_do_with_each_other(exact):
    """Other annotations, no shared protocol and too few draws are refused."""
    other = replace(exact, settings=exact.settings | {"annotations": "else"})
    nothing = replace(exact, means={})

    with pytest.raises(InputError, match="the reports are of different annotations"):
        compare(exact, other)
    with pytest.raises(InputError, match="share no object of one protocol"):
        compare(exact, nothing)
    with pytest.raises(OptionError, match="rounds: expected a whole number >= 100, got 5"):
        compare(exact, exact, rounds=5)


def test_the_worst_come_first(exact):
    """The grid shows the objects of the lowest IoU, lowest first."""
    values = np.linspace(1, 0.1, 18)

    assert [round(value, 3) for _, _, value in worst_objects(with_values(exact, values), "box", 3)] == [
        pytest.approx(value, abs=1e-3) for value in values[:-4:-1]
    ]


def test_time_of_a_click_is_its_part_of_the_clicks(exact):
    """Encoding once and one of three rounds of clicks; protocols without a time have none."""
    report = replace(
        exact,
        milliseconds={"encode": 10.0, "clicks": 30.0},
        settings=exact.settings | {"protocols": {"clicks": [1, 3]}},
    )

    assert [prompt_time(report, name) for name in ("1 click", "3 click", "box")] == [20, 40, None]


def test_the_commands_end_to_end(tmp_path):
    """Two baselines are measured and compared; every file is there, numbers agree, and the second run is the same."""
    photos, path = write_dataset(tmp_path, images=2)
    data = ("--images", photos, "--annotations", path, "--protocol", "box")

    done = lightsam("evaluate", "-m", "filled-box", *data, "--out", tmp_path / "a")
    again = lightsam("evaluate", "-m", "filled-box", *data, "--out", tmp_path / "a")
    other = lightsam("evaluate", "-m", "random-walker", *data, "--out", tmp_path / "b")
    compared = lightsam("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")

    assert [done.exit_code, again.exit_code, other.exit_code, compared.exit_code] == [0] * 4, done.output
    assert "| box | 100.0 | 100.0 | 100.0 | 100.0 | – | 6 |" in done.stdout
    assert again.stdout == done.stdout
    assert "| box | 100.0 |" in compared.stdout
    assert read_report(tmp_path / "a").means["box"]["iou"] == 1
    for name in ("a/report.md", "c/comparison.md"):
        assert (tmp_path / name).read_text("utf-8").startswith("# ")
    for name in ("a/quality-latency.png", "a/quality-size.png", "a/worst-box.png", "c/quality-size.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_after_ctrl_c_the_command_goes_on_to_the_same_numbers(tmp_path):
    """SIGINT in the middle: exit code 130, what is finished is kept, and the report is that of an undisturbed run."""
    photos, path = write_dataset(tmp_path, images=6)
    data = ["--images", str(photos), "--annotations", str(path), "--device", "cpu", "--protocol", "box"]
    # Where the suite itself runs in the background of a shell, SIGINT is ignored, and children inherit that.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from lightsam_plugins.cli import main; main()"
    one_by_one = ["--batch-size", "1", "--out", str(tmp_path / "a")]
    command = [sys.executable, "-c", code, "evaluate", *data, *one_by_one]
    journal = tmp_path / "a" / "journal.jsonl"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < 3):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    kept = journal.read_bytes()

    assert process.returncode == 130, told
    assert "run the same command again to go on" in flat(told)
    assert "Traceback" not in told
    assert 3 <= kept.count(b"\n") < 7  # a line of settings, and one an image
    assert not (tmp_path / "a" / "report.json").exists()

    again = lightsam("evaluate", *data, "--out", tmp_path / "a")
    whole = lightsam("evaluate", *data, "--out", tmp_path / "b")

    assert [again.exit_code, whole.exit_code] == [0, 0], again.output
    assert journal.read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    first, second = (replace(read_report(tmp_path / name), milliseconds={}) for name in "ab")
    assert first == second


def test_nano_is_measured_by_the_command(tmp_path):
    """The model in the package is measured by boxes and clicks; missing images make exit code 3."""
    photos, path = write_dataset(tmp_path, images=2)
    (photos / "2.png").unlink()

    done = lightsam(
        "evaluate", "--images", photos, "--annotations", path, "--out", tmp_path / "out", "--device", "cpu"
    )

    assert done.exit_code == 3, done.output
    assert list(read_report(tmp_path / "out").means) == ["box", "1 click", "3 click"]
    assert "image 2.png: cannot read the image" in done.stdout


def test_errors_of_the_command(tmp_path):
    """A folder that is not there is an error with a next step, not a traceback."""
    done = lightsam(
        "evaluate", "--images", tmp_path / "no", "--annotations", tmp_path, "--out", tmp_path / "out"
    )

    assert done.exit_code == 1
    assert "no folder" in done.output
