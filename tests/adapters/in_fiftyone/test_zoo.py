"""The models in FiftyOne's zoo: from an archive, by `lightsam fiftyone install`, and without any of it."""

from __future__ import annotations

import functools
import http.server
import json
import os
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.zoo as foz
import fiftyone.zoo.models as fozm
import pytest
from helpers import COINS, boxes, clicks, sample

import lightsam_fiftyone
import lightsam_plugins as ls
from lightsam_plugins.cli.app import build_app

ADAPTER = Path(lightsam_fiftyone.__file__).parent
MANIFESTS = Path(__file__).parents[3] / "docs" / "make_manifests.py"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for FiftyOne's models."""
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    monkeypatch.setattr(fo.config, "plugins_dir", str(tmp_path / "plugins"))
    yield tmp_path
    fozm._MODELS.clear()


def test_the_manifest_is_that_of_the_registry() -> None:
    """`manifest.json` has an entry for each model card, with sizes and licences."""
    text = (ADAPTER / "manifest.json").read_text("utf-8")
    written = json.loads(text)

    assert text == runpy.run_path(str(MANIFESTS))["zoo"](), "make docs renews it"
    assert [model["base_name"] for model in written["models"]] == [
        f"lightsam/{name}" for name in ls.list_models()
    ]
    assert all(
        {"segmentation", "embeddings"} <= set(model["tags"]) and model["license"]
        for model in written["models"]
    )


def test_install_load_label_and_uninstall(installed: Path, dataset: Any, photos: dict[str, Path]) -> None:
    """After `install` the zoo lists and loads the models, with one class whatever the load; `uninstall` undoes it."""
    folders = lightsam_fiftyone.install()
    dataset.add_sample(sample(photos["coins"], prompts=boxes(*COINS)))

    names = foz.list_zoo_models(tags="segmentation")
    model = foz.load_zoo_model("lightsam/nano", device="cpu", box_prompt_field="prompts")
    other = foz.load_zoo_model("lightsam/nano", device="cpu", bbox_mode="mask")
    dataset.apply_model(model, "masks")

    assert {f"lightsam/{name}" for name in ls.list_models()} <= set(names)
    assert type(model) is type(other) is type(lightsam_fiftyone.load_model("nano", device="cpu"))
    assert len(dataset.first().masks.detections) == 2
    assert "lightsam/nano" in foz.list_downloaded_zoo_models()
    assert "lightsam/mobilesam" not in foz.list_downloaded_zoo_models()
    assert lightsam_fiftyone.uninstall() == folders
    assert not any(name.startswith("lightsam/") for name in foz.list_zoo_models())
    assert lightsam_fiftyone.uninstall() == []


def test_the_commands(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`lightsam fiftyone install` and `uninstall` do the same, and `lightsam --help` imports no host for them."""
    app = build_app()
    app(["fiftyone", "install"], standalone_mode=False)
    assert (installed / "zoo" / "lightsam" / "manifest.json").is_file()
    assert (installed / "plugins" / "lightsam" / "fiftyone.yml").is_file()
    app(["fiftyone", "uninstall"], standalone_mode=False)
    assert not (installed / "zoo" / "lightsam").exists()
    assert capsys.readouterr().err.count("installed ") == 2

    code = (
        "import sys; from lightsam_plugins.cli.app import build_app; build_app();"
        "print([name for name in ('fiftyone', 'torch') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_missing_host_is_told_by_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without FiftyOne `install` says how to get it."""
    monkeypatch.setitem(sys.modules, "fiftyone", None)

    with pytest.raises(
        ls.MissingExtra, match=r"FiftyOne is not installed.*pip install \"lightsam-plugins\[fiftyone\]"
    ):
        lightsam_fiftyone.install()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[str]:
    """The URL of an archive of a repository that has the adapter in a folder, on this machine."""
    shutil.copytree(
        ADAPTER, tmp_path / "repo" / "adapters" / "lightsam_fiftyone", ignore=shutil.ignore_patterns("__py*")
    )
    shutil.make_archive(str(tmp_path / "served" / "main"), "zip", tmp_path / "repo")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/main.zip"
    server.shutdown()
    server.server_close()


def test_a_source_by_its_url(installed: Path, source: str, photos: dict[str, Path]) -> None:
    """An archive of the repository is a zoo source: registered, listed, loaded, used and deleted."""
    foz.register_zoo_model_source(source)

    assert foz.list_zoo_model_sources() == [source]
    assert f"lightsam/{ls.list_models()[0]}" in foz.list_zoo_models(source=source)
    model = foz.load_zoo_model("lightsam/nano", device="cpu")
    assert model.embed(str(photos["coins"])).shape == (208,)
    foz.delete_zoo_model_source(source)
    assert foz.list_zoo_model_sources() == []


def test_a_package_that_is_missing_is_told_by_the_zoo(installed: Path) -> None:
    """Where only the source is there and not the package, FiftyOne names the requirement, not an ImportError."""
    lightsam_fiftyone.install()
    code = (
        "import sys, importlib.util as u, importlib.metadata as m\n"
        "names = ('lightsam_plugins', 'lightsam_fiftyone')\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in names: raise ModuleNotFoundError(name, name=name)\n"
        "import fiftyone as fo, fiftyone.zoo as foz\n"
        "sys.meta_path.insert(0, Hide()); real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name in names else real(name, package)\n"
        "found = m.Distribution.from_name\n"
        "def absent(name):\n"
        "    if name.replace('_', '-') == 'lightsam-plugins': raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.Distribution.from_name = absent\n"
        "try: foz.load_zoo_model('lightsam/nano')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    environment = os.environ | {"FIFTYONE_MODEL_ZOO_DIR": str(installed / "zoo")}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert "lightsam-plugins" in result.stdout, result.stderr
    assert not (installed / "zoo" / "lightsam" / "nano.txt").exists()


def test_the_form_apply_zoo_model(installed: Path, dataset: Any, photos: dict[str, Path]) -> None:
    """The form offers the fields that hold boxes or clicks; what is left empty does not reach the model."""
    lightsam_fiftyone.install()
    dataset.add_sample(sample(photos["coins"], around=boxes(*COINS), dots=clicks([[1, 2]])))
    zoo_model = foz.get_zoo_model("lightsam/nano")
    ctx = foo.ExecutionContext(request_params={"dataset_name": dataset.name, "params": {}})

    form = zoo_model.resolve_input(ctx).to_json()["type"]["properties"]
    params = {"box_prompt_field": "around", "point_prompt_field": None, "bbox_mode": ""}
    zoo_model.parse_parameters(ctx, params)

    assert form["box_prompt_field"]["type"]["values"] == ["around"]
    assert form["point_prompt_field"]["type"]["values"] == ["dots"]
    assert params == {"box_prompt_field": "around"}
