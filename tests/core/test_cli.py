from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import flat, lightsam, read
from PIL import Image
from pycocotools import mask as coco_mask

from lightsam_plugins.cli.demo_cases import load_photo
from lightsam_plugins.cli.doctor import CELL
from lightsam_plugins.errors import UnknownModel
from lightsam_plugins.registry import list_models, model_card

COMMANDS = [
    "demo",
    "segment",
    "everything",
    "evaluate",
    "compare",
    "models",
    "download",
    "export",
    "bench",
    "doctor",
]
CELL_BOX = ",".join(map(str, CELL))

# pycocotools 2.0.11 decodes with a call that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def cell(tmp_path):
    """The photo of a cell, 550 x 660, as a file."""
    path = tmp_path / "cell.png"
    Image.fromarray(load_photo("cell")).save(path)
    return path


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["models"], ["everything", "--help"]])
def test_quick_commands_do_not_import_torch(args):
    """Help and tables come at once: neither torch nor scipy is imported for them."""
    code = (
        "import sys\nfrom lightsam_plugins.cli import main\n"
        "try:\n    main()\nfinally:\n    print({'torch', 'scipy'} & set(sys.modules), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)

    assert done.stderr.strip().endswith("set()")
    assert len(done.stdout) > 10


def test_help_lists_every_command_in_one_line():
    """At 80 columns each command has one line of summary, and wrong-use and exit codes are explained."""
    done = lightsam("--help")

    lines = [line.strip("│ ").split(None, 1) for line in done.stdout.splitlines() if line.startswith("│ ")]
    names = [words[0] for words in lines if words and not words[0].startswith("-")]
    assert [name for name in names if name in COMMANDS] == COMMANDS
    own = [line for line in lines if line and line[0] in {*COMMANDS, "fiftyone"}]  # an adapter's comes last
    assert lines[-len(own) :] == own
    assert "130 interrupted" in flat(done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples(command):
    """Every command shows examples that begin with its own name."""
    done = lightsam(command, "--help")

    assert done.exit_code == 0
    assert f"lightsam {command}" in done.stdout.split("Examples:")[1]


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_help_shows_flags_without_a_type(command):
    """A flag, --help included, does not look as if a value had to follow it."""
    text = lightsam(*command, "--help").stdout

    assert "Show this message" in text
    assert "<bool>" not in text


def test_error_is_a_panel_without_traceback():
    """An error of the package is told in words, with the next step, and ends with exit code 1."""
    done = lightsam("download", "mobilsam")

    assert done.exit_code == 1
    assert "unknown model 'mobilsam'" in done.stderr
    assert "next Did you mean 'mobilesam'?" in flat(done.stderr)
    assert "Traceback" not in done.output
    assert done.stdout == ""


@pytest.mark.parametrize("args", [["--debug", "download", "x"], ["download", "x", "--debug"]])
def test_debug_shows_the_traceback(args):
    """With --debug, before or after the command, the exception itself comes out."""
    done = lightsam(*args)

    assert isinstance(done.exception, UnknownModel)


def test_debug_after_two_dashes_is_an_argument():
    """Behind -- nothing is an option, so that a model or file may have any name."""
    done = lightsam("download", "--", "--debug")

    assert "unknown model '--debug'" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "no prompt; give --box"),
        (["--box", "1,2,3"], "'1,2,3' is not a box; expected x0,y0,x1,y1"),
        (["--box", "a,b,c,d"], "'a,b,c,d' is not a box"),
        (["--point", "7"], "'7' is not a point; expected x,y"),
        (["--point", "1,2,3"], "'1,2,3' is not a point"),
        (["--point", "1,2,0,1"], "'1,2,0,1' is not a point"),
        (["--box", "1,2,3,4", "--box", "1,2,3,4", "--point", "1,2"], "with several boxes it is not clear"),
        (["--point", "1,2", "-o", "out.xyz"], "'out.xyz' is no picture file"),
        (["--point", "1,2", "-o", "cell.png"], "cell.png is the photo itself"),
        (["--point", "1,2", "--json", "cell.png"], "cell.png is the photo itself"),
        (["--nonsense"], "No such option"),
        (
            ["--box", "1", "2", "3", "4"],
            "unexpected: 2 3 4; coordinates are joined by commas, without spaces",
        ),
        (["--point", "1,", "2.5"], "unexpected: 2.5; coordinates are joined by commas"),
        (["dog.png", "--point", "1,2"], "unexpected: dog.png"),
        (["--point", "1,2,0"], "only clicks beside the object; give one on it as well"),
    ],
)
def test_wrong_use_of_segment_is_told_and_ends_with_2(cell, monkeypatch, args, message):
    """What cannot be meant is refused before anything is loaded, and the photo is never overwritten."""
    monkeypatch.chdir(cell.parent)
    before = cell.read_bytes()

    done = lightsam("segment", "cell.png", *args)

    assert done.exit_code == 2
    assert message in flat(done.stderr)
    assert cell.read_bytes() == before


def test_segment_paints_and_reports_the_same_mask(cell, tmp_path):
    """The picture differs from the photo inside the mask; RLE, area, box and polygons of the report agree."""
    picture, report = tmp_path / "new" / "out.png", tmp_path / "out.json"

    done = lightsam("segment", cell, "--box", CELL_BOX, "-o", picture, "--json", report)

    assert done.exit_code == 0, done.output
    told = json.loads(report.read_text())
    (mask,) = told["masks"]
    inside = coco_mask.decode(mask["rle"]).astype(bool)
    assert inside.sum() == mask["area"] > 5000
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    assert mask["box"] == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    x, y = np.array(max(mask["polygons"], key=len)).T
    assert 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) == pytest.approx(
        mask["area"], rel=0.1
    )
    painted = Image.fromarray(read(picture)).resize(inside.shape[::-1])
    difference = np.abs(np.asarray(painted).astype(int) - load_photo("cell")).sum(axis=-1)
    assert (difference[inside] > 20).mean() > 0.95
    assert (told["model"]["name"], told["model"]["licence_weights"]) == ("nano", "Apache-2.0")
    assert told["image"] == {"file": str(cell), "width": 550, "height": 660}
    assert f"wrote {picture}" in done.stderr


@pytest.mark.parametrize(
    ("args", "count"),
    [
        (["--box", CELL_BOX, "--box", "10,10,200,200", "--box", "9,9,80,99"], 3),
        (["--point", "428,375", "--point", "400,350", "--point", "100,100,0"], 1),
        (["--box", CELL_BOX, "--point", "428,375"], 1),
        (["--point", "428,375", "--multimask"], 3),
        (["--box", CELL_BOX, "--box", "10,10,200,200", "--multimask"], 6),
    ],
)
def test_prompts_mean_what_the_help_says(cell, args, count):
    """One mask a box; all clicks together one mask; three candidates each with --multimask, best first."""
    done = lightsam("segment", cell, *args, "--json", "-")

    masks = json.loads(done.stdout)["masks"]
    assert len(masks) == count
    if "--multimask" in args:
        assert [mask["candidate"] for mask in masks] == [0, 1, 2] * (count // 3)
        assert masks[0]["score"] >= masks[1]["score"] >= masks[2]["score"]
    assert not (cell.parent / "cell.lightsam.png").exists()


def test_segment_without_output_writes_beside_you(cell, tmp_path, monkeypatch):
    """With neither -o nor --json the picture lands in the current folder, under a name of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    done = lightsam("segment", cell, "--point", "428,375", "--multimask")

    assert done.exit_code == 0
    assert [path.name for path in Path().iterdir()] == ["cell.lightsam.png"]
    assert read("cell.lightsam.png").shape[1] > 3 * 700


def test_output_that_cannot_be_written_is_an_error(cell, tmp_path):
    """A path below a file cannot be made: the panel says so, and no half file is left."""
    done = lightsam("segment", cell, "--point", "428,375", "-o", cell / "out.png")

    assert done.exit_code == 1
    assert "cannot write" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cell.png"]


def test_a_missing_photo_leaves_no_folder(tmp_path, monkeypatch):
    """Where the photo cannot be read nothing is created, not even the folder of the results."""
    monkeypatch.chdir(tmp_path)

    assert lightsam("segment", "gone.jpg", "--point", "1,2", "-o", "new/a.png").exit_code == 1
    assert lightsam("everything", "gone.jpg", "-o", "new/a.json", "--overlays", "new/b").exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("default:all coordinates lie in:UserWarning")
def test_segment_tells_that_coordinates_are_pixels(cell, tmp_path):
    """A click in parts of the photo is answered, and one line says what the coordinates are."""
    done = lightsam("segment", cell, "--point", "0.5,0.4", "-o", tmp_path / "out.png")

    assert done.exit_code == 0
    assert "warning: all coordinates lie in 0..1" in done.stderr
    assert "UserWarning" not in done.output


def test_segment_tells_of_a_click_outside_of_its_box(cell, tmp_path):
    """A click on the object that its box leaves out is answered with a warning; one beside the object is not."""
    box = ("--box", "10,10,60,60")

    far = lightsam("segment", cell, *box, "--point", "90,20", "-o", tmp_path / "out.png")
    fine = lightsam("segment", cell, *box, "--point", "20,20", "--point", "90,20,0", "-o", tmp_path / "b.png")

    assert (far.exit_code, fine.exit_code) == (0, 0)
    assert "warning: the click 90,20 on the object lies outside its box" in " ".join(far.stderr.split())
    assert "warning" not in fine.stderr


def test_models_as_json_holds_every_card():
    """`models --json` has licence, source and prompts of every model, and where it is on disk."""
    cards = {card["name"]: card for card in json.loads(lightsam("models", "--json").stdout)}

    assert sorted(cards) == list_models()
    assert cards["mobilesam"]["weights"]["sha256"].startswith("6dbb90523a35330f")
    assert Path(cards["nano"]["downloaded"]).is_file()
    assert "negative_point" in cards["nano"]["prompts"]


def test_nothing_is_cut_off_in_a_narrow_terminal(monkeypatch):
    """The list of models and every option fit into 80 columns: what is cut off can be neither read nor typed."""
    monkeypatch.setenv("COLUMNS", "80")

    for command in (["models"], ["everything", "--help"], ["segment", "--help"], ["download", "--help"]):
        shown = lightsam(*command).output
        assert len(shown.splitlines()) > 15
        assert "…" not in shown, shown


def test_models_shows_all_that_is_known_of_one():
    """`models NAME` prints what the card holds: licences, source, bytes, hash, prompts, and published numbers."""
    done = lightsam("models", "efficientsam-ti", "edgesam")

    text = "".join(done.stdout.split())
    for card in (model_card("efficientsam-ti"), model_card("edgesam")):
        file = card.weights
        known = [
            card.paper,
            card.repository,
            card.licence_code,
            file.sha256,
            f"{file.size:,}",
            file.url,
            card.notes,
        ]
        known += [f"{figure.value:g} ({figure.source})" for figure in card.published]
        assert all("".join(one.split()) in text for one in known)
    assert "merve/EfficientSAM(main)" in text
    assert f"gitblob{model_card('efficientsam-ti').weights.git_blob}" in text
    assert "atmost6points" in text
    assert f"tobeacceptedbyname:{model_card('edgesam').licence_terms}" in text
    assert lightsam("models", "nanno").exit_code == 1


def test_models_as_json_can_be_of_one():
    """`models NAME --json` is the card of that model alone."""
    assert [card["name"] for card in json.loads(lightsam("models", "nano", "--json").stdout)] == ["nano"]


def test_models_shows_whole_names_on_a_usual_terminal(monkeypatch):
    """At 80 columns every model has one line that begins with its whole name, so that it can be typed."""
    monkeypatch.setenv("COLUMNS", "80")

    first = [line.split()[0] for line in lightsam("models").stdout.splitlines() if line.strip()]

    assert [name for name in first if name in list_models()] == list_models()


def test_models_marks_what_is_experimental():
    """The table marks the models that were not compared with the official ones, says so below, and no others."""
    lines = lightsam("models").stdout.splitlines()
    marked = [line.split()[0] for line in lines if "*" in "".join(line.split()[1:2])]

    assert marked == [name for name in list_models() if model_card(name).experimental] != []
    assert any("* experimental" in line for line in lines)


def test_download_of_the_bundled_model_names_its_file():
    """Nothing has to be fetched for nano: its verified file is named."""
    done = lightsam("download", "nano")

    assert done.exit_code == 0
    assert "nano.safetensors" in done.stderr


def test_doctor_finds_everything_in_order():
    """On a working installation nano answers within bounds, and exit code and JSON say so."""
    done = lightsam("doctor", "--json")

    report = json.loads(done.stdout)
    assert done.exit_code == 0, report["nano"]
    assert report["nano"]["works"]
    assert report["versions"]["torch"]
    assert "cpu" in report["devices"]
    assert set(report["engines"]) == {"openvino", "onnxruntime"}
    assert all(report["engines"].values())
    assert set(report["hosts"]) == {"fiftyone", "napari", "supervision", "ultralytics"}


def test_doctor_tells_when_nano_does_not_work(monkeypatch, tmp_path):
    """With the weights of nano gone, doctor names the missing file and ends with exit code 1."""
    monkeypatch.setattr(
        "lightsam_plugins.weights.fetching._asset", lambda weights: tmp_path / weights.filename
    )

    done = lightsam("doctor")

    assert done.exit_code == 1
    assert "are not in the package" in flat(done.stdout)
