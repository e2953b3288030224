"""``lightsam doctor``: what is installed, what this machine offers, and whether `nano` answers."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from lightsam_plugins.cli.output import ERROR, out, print_json
from lightsam_plugins.engines import CONVERTED, PACKAGES

HOSTS = ("fiftyone", "napari", "supervision", "ultralytics")
_LIBRARIES = ("torch", "numpy", "pillow", "huggingface_hub", "safetensors", "pycocotools")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog="Examples:\n\n  lightsam doctor\n\n  lightsam doctor --json > doctor.json")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, to attach to a report.")] = False,
) -> None:
    """Check versions, devices, cache, hosts, and that nano works."""
    report: dict[str, Any] = {
        "versions": _versions(),
        "devices": _devices(),
        "cache": _cache(),
        "engines": {name: _engine(name) for name in CONVERTED},
        "hosts": {name: _installed(name) for name in HOSTS},
        "nano": _nano(),
    }
    if as_json:
        print_json(report)
    else:
        out.print(_table(report))
    if not report["nano"]["works"]:
        raise typer.Exit(ERROR)


def _versions() -> dict[str, str | None]:
    from lightsam_plugins._version import __version__

    libraries = {name: _installed(name) for name in _LIBRARIES}
    system = f"{platform.system()} {platform.machine()}"
    return {
        "lightsam-plugins": __version__,
        "python": platform.python_version(),
        "system": system,
    } | libraries


def _installed(name: str) -> str | None:
    """Version of a distribution, found without importing it; None where it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "without metadata" if find_spec(name) else None


def _engine(name: str) -> str | None:
    """Version of what an engine needs; None where a part is missing."""
    versions = [_installed(package) for package in PACKAGES[name]]
    return versions[0] if all(versions) else None


def _devices() -> dict[str, str]:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library of torch that cannot be loaded
        return {"torch": f"cannot be imported: {error}"}
    from lightsam_plugins.devices import available_devices

    def describe(name: str) -> str:
        if name.startswith("cuda"):
            properties = torch.cuda.get_device_properties(name)
            return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        return f"{torch.get_num_threads()} threads" if name == "cpu" else "Apple GPU"

    return {name: describe(name) for name in available_devices()}


def _cache() -> dict[str, Any]:
    from lightsam_plugins.weights import cache

    def free(folder: Path) -> int:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        return shutil.disk_usage(there).free

    folders = {"Hugging Face Hub": cache.hub_dir(), "other downloads": cache.cache_dir()}
    return {
        "folders": {name: {"path": str(path), "free_bytes": free(path)} for name, path in folders.items()},
        "offline": cache.offline_variable(),
    }


def _nano() -> dict[str, Any]:
    """Load nano and ask it for the cell of the demo photo, whose place is known."""
    from lightsam_plugins.errors import LightSamError

    try:
        from lightsam_plugins.cli.demo_cases import load_photo
        from lightsam_plugins.cli.options import load_model
        from lightsam_plugins.timing import timed

        model = load_model("nano", "cpu")
        photo = load_photo("cell")
        masks, milliseconds = timed(lambda: model.segment(photo, boxes=[CELL]))
    except (LightSamError, ImportError, OSError) as error:
        return {"works": False, "answer": str(error)}
    disc = 3.1416 / 4 * (CELL[2] - CELL[0]) * (CELL[3] - CELL[1])
    works = bool(0.7 < masks.areas[0] / disc < 1.3)
    answer = (
        f"{masks.areas[0]} of about {disc:.0f} pixels, score {masks.scores[0]:.2f}, {milliseconds:.0f} ms"
    )
    return {"works": works, "answer": answer}


CELL = (364, 310, 493, 439)  # the round cell of the demo photo, xyxy in pixels


def _table(report: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 1))
    table.add_column(style="bold")
    table.add_column()
    table.add_column(overflow="fold")
    good, missing = Text("✓", style="green"), Text("–", style="dim")
    for name, value in report["versions"].items():
        table.add_row(name, good if value else Text("✗", style="red"), value or "not installed")
    for name, value in report["devices"].items():
        table.add_row(f"device {name}", missing if name == "torch" else good, value)
    for name, folder in report["cache"]["folders"].items():
        table.add_row(
            f"cache, {name}", good, Text(f"{folder['path']} ({folder['free_bytes'] / 1e9:.1f} GB free)")
        )
    offline = report["cache"]["offline"]
    table.add_row("offline mode", good, f"on: {offline} is set, nothing is downloaded" if offline else "off")
    for kind in ("engine", "host"):
        for name, value in report[f"{kind}s"].items():
            hint = Text(f'not installed: pip install "lightsam-plugins[{name}]"', style="dim")
            table.add_row(f"{kind} {name}", good if value else missing, value or hint)
    mark = good if report["nano"]["works"] else Text("✗", style="red")
    table.add_row("nano", mark, Text(report["nano"]["answer"]))
    return table
