"""`lightsam bench`."""

import json

from PIL import Image
from typer.testing import CliRunner

from lightsam_plugins.cli.app import build_app
from lightsam_plugins.cli.bench_plot import plot


def bench(*words: str):
    """The command's result."""
    return CliRunner().invoke(build_app(), ["bench", *words])


def test_bench_times_every_kind_of_work():
    """JSON on stdout has a positive time of each kind, 100 boxes take longer than one, and the peak is plausible."""
    done = bench("nano", "--device", "cpu", "--rounds", "1", "--no-everything", "--json")

    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert (row["model"], row["device"], row["everything"]) == ("nano", "cpu", None)
    assert 0 < row["box"] < row["boxes"]
    assert row["encode"] > 0
    assert 10e6 < row["peak_bytes"] < 100e9


def test_bench_draws_what_it_measured(tmp_path):
    """--plot writes a PNG with a bar for each model and kind of work; what was not measured has none."""
    rows = [
        {"model": "nano", "device": "cpu", "encode": 20.0, "everything": None},
        {"model": "mobilesam", "device": "cpu", "encode": 900.0, "everything": 30000.0},
    ]

    plot(rows, {"encode": "encode", "everything": "everything"}, tmp_path / "new" / "bench.png")

    with Image.open(tmp_path / "new" / "bench.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 100


def test_bench_prints_a_table():
    """Without --json a line for each model, with the headings of the kinds of work."""
    done = bench("--device", "cpu", "--rounds", "1", "--no-everything")

    assert done.exit_code == 0, done.output
    assert all(word in done.stdout for word in ("nano (cpu)", "100 boxes", "images/s", "peak memory"))


def test_bench_refuses_an_unknown_model():
    """A name that is no model ends with the error's exit code and the models there are."""
    done = bench("nanno")

    assert done.exit_code == 1
    assert "nanno" in done.stderr
