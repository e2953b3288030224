"""What napari and npe2 themselves say of the plugin; sample data; COCO; what an import costs; no private API."""

import ast
import json
import runpy
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManifest
from pycocotools import mask as coco

from lightsam_napari.coco import write_coco
from lightsam_napari.preferences import Preferences
from lightsam_napari.samples import cells_3d, coins, nuclei
from lightsam_plugins import list_models

FOLDER = Path(str(util.find_spec("lightsam_napari").origin)).parent
MANIFESTS = Path(__file__).parents[3] / "docs" / "make_manifests.py"


@pytest.fixture
def manifest() -> PluginManifest:
    """The manifest, as napari finds it."""
    return PluginManifest.from_distribution("lightsam-plugins")


def test_the_manifest_is_valid_and_every_command_is_there(manifest: PluginManifest) -> None:
    """npe2 accepts it, it is named after the distribution, and each command can be imported."""
    manifest.validate_imports()
    assert manifest.name == metadata.metadata("lightsam-plugins")["Name"]
    assert len(manifest.contributions.sample_data) == 3
    assert "napari/layers/segment" in manifest.contributions.menus


def test_the_preferences_page_has_the_defaults_of_the_code(manifest: PluginManifest) -> None:
    """Names and defaults of the page are those of `Preferences`, and its models are those of the registry."""
    properties = manifest.contributions.configurations["segmentation"].properties
    defaults = Preferences()

    assert {name: one.default for name, one in properties.items()} == {
        name: getattr(defaults, name) for name in Preferences.__slots__
    }
    assert list(properties["model"].enum) == list_models()
    renewed, text = runpy.run_path(str(MANIFESTS))["napari"], (FOLDER / "napari.yaml").read_text("utf-8")
    assert renewed(text) == text, "make docs renews it"
    assert "- gone\n" not in renewed("          enum:\n            - gone\n")


def test_nothing_heavy_is_imported_before_the_panel_is_used() -> None:
    """The manifest is read without any of our code, and the panel's module imports no torch."""
    code = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from npe2 import PluginManifest; PluginManifest.from_distribution('lightsam-plugins')\n"
        "print([m for m in sys.modules if m.startswith('lightsam')])\n"
        "import lightsam_napari.widget; print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[:2] == ["[]", "False"]


def test_no_private_name_of_napari_is_used() -> None:
    """The adapter reads private attributes of nothing but itself, and imports no private module of napari."""
    private = []
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and node.attr.startswith("_")
                and not node.attr.startswith("__")
            ):
                own = isinstance(node.value, ast.Name) and node.value.id in ("self", "task")
                private += [] if own else [f"{file.name}: {ast.unparse(node)}"]
            if isinstance(node, ast.ImportFrom) and node.module and "._" in node.module:
                private.append(f"{file.name}: {node.module}")
    assert private == []


@pytest.mark.parametrize("sample", [coins, nuclei, cells_3d])
def test_samples_are_layers(sample: object) -> None:
    """Each sample is a layer that napari can make, the same one every time."""
    from napari.layers import Layer

    first, second = sample()[0], sample()[0]
    layer = Layer.create(*first)
    assert layer.data.shape == second[0].shape
    assert (np.asarray(first[0]) == second[0]).all()
    assert np.ptp(first[0]) > 100


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of pycocotools
def test_coco_has_each_object_with_its_score(tmp_path: Path) -> None:
    """Masks, boxes and areas come back exactly; score and model are those of the layer's table."""
    labels = np.zeros((20, 30), np.int32)
    labels[2:5, 3:9], labels[10:12, 20:21], labels[15, :4] = 1, 7, 400_000
    table = {"index": [1, 7], "score": [0.9, 0.8], "model": ["nano", "nano"]}

    (path,) = write_coco(str(tmp_path / "a.json"), labels, {"name": "cells", "features": table})

    content = json.loads(Path(path).read_text("utf-8"))
    assert content["images"] == [{"id": 1, "file_name": "cells", "width": 30, "height": 20}]
    for one in content["annotations"]:
        mask = coco.decode(one["segmentation"]).astype(bool)
        assert (mask == (labels == one["label"])).all()
        assert one["area"] == mask.sum()
    assert content["annotations"][0]["bbox"] == [3, 2, 6, 3]
    assert [one.get("score") for one in content["annotations"]] == [0.9, 0.8, None]


def test_coco_of_a_stack_has_an_image_a_plane(tmp_path: Path) -> None:
    """Planes with objects are images of their own, named by their index; empty ones are left out. A name gets .json."""
    labels = np.zeros((4, 8, 8), np.uint8)
    labels[1, 2:4, 2:4], labels[3, 0, 0] = 5, 5

    assert write_coco(str(tmp_path / "a"), labels, {"name": "z"}) == [str(tmp_path / "a.json")]

    content = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert [image["file_name"] for image in content["images"]] == ["z[1]", "z[3]"]
    write_coco(str(tmp_path / "b.json"), labels, {"name": "z", "metadata": {"image": "cells.tif"}})
    content = json.loads((tmp_path / "b.json").read_text("utf-8"))
    assert [image["file_name"] for image in content["images"]] == ["cells.tif[1]", "cells.tif[3]"]
    assert [one["image_id"] for one in content["annotations"]] == [1, 2]
