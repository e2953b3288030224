"""docs/models.md says what the registry and the golden tests say."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
from PIL import Image

from lightsam_plugins.registry import list_models, model_card

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "models.md").read_text("utf-8")


def test_the_tables_are_those_of_the_registry() -> None:
    """The committed page is what `make docs` writes."""
    assert runpy.run_path(str(ROOT / "docs" / "make_models.py"))["filled"](PAGE) == PAGE


def test_a_stale_table_is_noticed() -> None:
    """A number that changed by hand comes out as it is in the card, and prose stays as it is."""
    wrong = PAGE.replace("38,807,540", "38,807,541").replace("# The models", "# Models")

    assert runpy.run_path(str(ROOT / "docs" / "make_models.py"))["filled"](wrong) == PAGE.replace(
        "# The models", "# Models"
    )


@pytest.mark.parametrize("name", list_models())
def test_every_model_is_on_the_page_with_its_licences(name: str) -> None:
    """Its row has parameters, image side and both licences; its files have their bytes and the start of their hash."""
    card = model_card(name)
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| [`{name}`"))

    for value in (
        f"{card.params / 1e6:.1f} M",
        str(card.encoder_side),
        card.licence_code,
        card.licence_weights,
    ):
        assert f" {value} |" in row
    assert (" *]" in row or " * †]" in row) == card.experimental
    for file in card.files:
        assert (file.sha256 or file.git_blob or "")[:16] in PAGE
        assert not file.size or f"{file.size:,}" in PAGE


def test_the_guide_names_models_that_exist() -> None:
    """Each model of the guide is one of the registry."""
    guide = PAGE.split("## Which one to take")[1].split("## Every kind")[0]
    named = set(re.findall(r"`([a-z0-9-]+-?[a-z0-9]+)`", guide)) - {"text"}

    assert len(named) > 8
    assert {name for name in named if name not in list_models() and not name.startswith("-")} == set()


def test_measured_errors_are_of_every_golden_file() -> None:
    """Each golden file has its row of errors, none of which is above what the golden tests allow."""
    golden = ROOT / "tests" / "golden"
    errors = json.loads((golden / "errors.json").read_text("utf-8"))

    assert {name.replace("-", "_") for name in errors} == {file.stem for file in golden.glob("*.npz")}
    assert all(0 < error <= 2e-5 for found in errors.values() for error in found.values())
    assert all(f"| `{name}` |" in PAGE for name in errors)


def test_the_pictures_are_there_and_small() -> None:
    """Each kind of prompt has its picture, of less than 100 KB."""
    pictures = re.findall(r"\]\((images/[\w-]+\.jpg)\)", PAGE)

    assert len(pictures) == 5
    for name in pictures:
        path = ROOT / "docs" / name
        assert path.stat().st_size < 100_000
        with Image.open(path) as picture:
            assert picture.width == 640
