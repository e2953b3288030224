"""A real FiftyOne with its own MongoDB, started once; everything it writes lies in a temporary folder."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lightsam_plugins as ls

sys.path.insert(0, str(Path(__file__).parent))

# FiftyOne reads these when it is imported, here and in the processes that tests start.
_HOME = tempfile.TemporaryDirectory(prefix="lightsam-fiftyone-")
os.environ |= {
    "FIFTYONE_DATABASE_DIR": f"{_HOME.name}/db",
    "FIFTYONE_DATABASE_VALIDATION": "false",
    "FIFTYONE_MODEL_ZOO_DIR": f"{_HOME.name}/zoo",
    "FIFTYONE_PLUGINS_DIR": f"{_HOME.name}/plugins",
    "FIFTYONE_DATASET_ZOO_DIR": f"{_HOME.name}/datasets",
    "FIFTYONE_CONFIG_PATH": f"{_HOME.name}/config.json",
    "FIFTYONE_APP_CONFIG_PATH": f"{_HOME.name}/app.json",
    "FIFTYONE_DO_NOT_TRACK": "true",
    "FIFTYONE_SHOW_PROGRESS_BARS": "false",
}

with warnings.catch_warnings():  # some of what FiftyOne is built on warns while it is imported
    warnings.simplefilter("ignore")
    import fiftyone as fo

ASSETS = Path(ls.__file__).parent / "assets"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """FiftyOne and what it is built on warn of each other; only what our packages warn of is an error here."""
    for item in items:
        if Path(item.fspath).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.filterwarnings(r"error:::lightsam_(plugins|fiftyone).*"))


@pytest.fixture
def dataset() -> Iterator[Any]:
    """An empty dataset, which is deleted afterwards."""
    made = fo.Dataset()
    yield made
    made.delete()


@pytest.fixture(scope="session")
def nano() -> Any:
    """The model as FiftyOne has it."""
    import lightsam_fiftyone

    return lightsam_fiftyone.load_model("nano", device="cpu")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small files by name: ``coins``, ``cell``, ``coffee`` and one that is ``broken``."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    files = {}
    for name in ("coins", "cell", "coffee"):
        files[name] = folder / f"{name}.png"
        Image.open(ASSETS / f"{name}.jpg").convert("RGB").save(files[name])
    files["broken"] = folder / "broken.png"
    files["broken"].write_bytes(files["coins"].read_bytes()[:200])
    return files
