"""Guards of the layout: what is packaged, what imports what, what an import costs, how long files are."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

import pytest

from lightsam_plugins.registry import MODELS

ROOT = Path(__file__).parents[1]
ADAPTERS = sorted(file.parent.name for file in ROOT.glob("adapters/*/__init__.py"))
EXTRAS = {
    "text_clip.py": "text",
    "cli/bench_plot.py": "evaluate",
    "engines/openvino_engine.py": "openvino",
    "engines/onnx_files.py": "onnxruntime",
    "evaluation/shapes.py": "evaluate",
    "evaluation/baselines.py": "evaluate",
    "evaluation/plots.py": "evaluate",
}  # modules of the core that import what an extra brings, when they are called
HOSTS = {"fiftyone", "magicgui", "napari", "npe2", "qtpy", "supervision", "ultralytics"}


def installed(package: str) -> Path:
    """The folder a package is imported from: site-packages, where the wheel is under test."""
    spec = util.find_spec(package)
    assert spec is not None, f"{package} is not installed"
    assert spec.origin is not None, f"{package} has no __init__.py"
    return Path(spec.origin).parent


def imports(source: str) -> Iterator[str]:
    """Top-level names of all modules a source imports, anywhere in it, by statement or by a constant name."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield module.partition(".")[0]


def normal(distribution: str) -> str:
    """The name of a distribution in the one spelling that can be compared."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def core_imports() -> dict[str, set[str]]:
    """For each module of the installed core, the top-level names it imports."""
    package = installed("lightsam_plugins")
    files = {str(file.relative_to(package)): file for file in package.rglob("*.py")}
    assert {"__init__.py", "registry.py", "segmenter.py"} <= files.keys(), f"not the core: {sorted(files)}"
    return {name: set(imports(file.read_text("utf-8"))) for name, file in files.items()}


@pytest.mark.parametrize(
    "source",
    [
        "import napari.layers",
        "def f():\n    from napari import Viewer",
        "import importlib\nimportlib.import_module('napari')",
        "if TYPE_CHECKING:\n    from napari.layers import Labels",
    ],
)
def test_no_form_of_import_escapes_the_scan(source: str) -> None:
    """The scan of the tests below sees imports at the top, inside functions, by name and for types only."""
    assert "napari" in set(imports(source))


def test_adapters_folder_is_no_package() -> None:
    """`adapters` has no `__init__.py`, so it never hides an installed distribution of that name."""
    assert ADAPTERS
    assert not (ROOT / "adapters" / "__init__.py").exists()


def test_every_adapter_is_packaged() -> None:
    """Each folder of `adapters` is a package of the wheel, and the wheel names no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(packages) == sorted(["lightsam_plugins", *(f"adapters/{name}" for name in ADAPTERS)])


@pytest.mark.parametrize("package", ["lightsam_plugins", *ADAPTERS])
def test_installed_packages_are_typed(package: str) -> None:
    """The core and every adapter are installed under their own names, and say that they are typed."""
    assert (installed(package) / "py.typed").is_file()


def test_core_imports_no_host_and_no_adapter() -> None:
    """Dependencies point one way: from the adapters to the core, also inside functions."""
    wrong = {name: found & (HOSTS | set(ADAPTERS)) for name, found in core_imports().items()}

    assert {name: found for name, found in wrong.items() if found} == {}


def names(requirements: list[str]) -> set[str]:
    """The distributions of some requirements."""
    return {normal(re.split(r"[^\w.-]", line)[0]) for line in requirements}


def test_core_imports_only_what_it_requires() -> None:
    """Whatever the core imports is among its own requirements; a module for an extra may import that of it as well."""
    required = names([line for line in metadata.requires("lightsam-plugins") or [] if "extra ==" not in line])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    distributions = metadata.packages_distributions()
    found = core_imports()
    undeclared = {
        (module, name)
        for module, imported in found.items()
        for name in imported - sys.stdlib_module_names - {"lightsam_plugins"}
        if (required | names(extras[EXTRAS[module]] if module in EXTRAS else [])).isdisjoint(
            map(normal, distributions.get(name, []))
        )
    }

    assert {"torch", "numpy", "PIL"} <= set.union(*found.values())
    assert EXTRAS.keys() <= found.keys()
    assert undeclared == set()


def test_segmenting_imports_no_extra() -> None:
    """A model loads and segments without the packages of an extra."""
    code = (
        "import sys; sys.modules |= dict.fromkeys(['transformers', 'tokenizers', 'openvino', 'onnx', 'onnxruntime'])\n"
        "import numpy, lightsam_plugins as ls\n"
        "photo = numpy.full((32, 32, 3), 128, numpy.uint8)\n"
        "print(len(ls.load('nano', device='cpu').segment(photo, points=[[9, 9]])))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "1"


def test_import_loads_neither_torch_nor_a_host() -> None:
    """`import lightsam_plugins` leaves the heavy packages alone until something is loaded."""
    heavy = sorted({"torch", "scipy", "huggingface_hub", "rich", "typer", "cv2"} | HOSTS | set(ADAPTERS))
    code = f"import sys, lightsam_plugins; print([name for name in {heavy} if name in sys.modules])"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_import_costs_under_150_ms() -> None:
    """`import lightsam_plugins` takes < 0.15 s over an empty interpreter (median of interleaved runs)."""

    def seconds(module: str) -> float:
        # Processor time: on a busy machine, the clock on the wall measures the other programs.
        code = f"import {module}, time; print(time.process_time())"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

    extra = [seconds("lightsam_plugins") - seconds("sys") for _ in range(7)]
    assert statistics.median(extra) < 0.15


def test_files_are_short() -> None:
    """No Python file has over 400 lines, and the median file of the core has under 120."""
    folders = [installed("lightsam_plugins"), *(ROOT / name for name in ("adapters", "tests", "training"))]
    lines = {
        file: len(file.read_text("utf-8").splitlines()) for folder in folders for file in folder.rglob("*.py")
    }
    core = [count for file, count in lines.items() if file.is_relative_to(folders[0])]

    assert {str(file): count for file, count in lines.items() if count > 400} == {}
    assert statistics.median(core) < 120


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.weights.bundled])
def test_bundled_weights_are_in_the_package(name: str) -> None:
    """Weights that ship inside the wheel are there, of the size the registry gives, and at most 6 MB."""
    weights = MODELS[name].weights

    assert (installed("lightsam_plugins") / "assets" / weights.filename).stat().st_size == weights.size
    assert weights.size <= 6_000_000
