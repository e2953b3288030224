"""Installing into FiftyOne, from Python and as ``lightsam fiftyone``."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import typer

from lightsam_plugins import LightSamError, MissingExtra, model_card

_HELP = "Put the models into [bold]FiftyOne[/bold]'s zoo, and take them out."
app = typer.Typer(help=_HELP, no_args_is_help=True)
_HERE, _NAME = Path(__file__).parent, "lightsam"


@app.command("install")
def install() -> list[Path]:
    """Add the models to FiftyOne's zoo and the operators to its App; needs no network."""
    zoo, plugin = folders = _folders()
    for folder, description in ((zoo, "manifest.json"), (plugin, "fiftyone.yml")):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("__init__.py", description):
            shutil.copyfile(_HERE / name, folder / name)
        typer.echo(f"installed {folder}", err=True)
    return folders


@app.command("uninstall")
def uninstall() -> list[Path]:
    """Remove both again; downloaded weights stay."""
    found = [folder for folder in _folders() if folder.is_dir()]
    if not found:
        typer.echo("nothing to remove", err=True)
    for folder in found:
        shutil.rmtree(folder)
        typer.echo(f"removed {folder}", err=True)
    return found


def download(model_name: str, model_path: str) -> None:
    """Fetch the weights of a zoo model and leave a note at `model_path`, by which the zoo knows.

    Where that fails there is no note: the user may have the file, or has to accept a licence, and `load` will tell.
    """
    from lightsam_plugins.licences import require_licence
    from lightsam_plugins.weights import fetch

    card = model_card(model_name.removeprefix(f"{_NAME}/"))
    try:
        require_licence(card, None)
        files = [str(fetch(card, file)) for file in card.files]
    except LightSamError as error:
        logging.getLogger(__name__).info("%s is not fetched yet: %s", model_name, error)
    else:
        Path(model_path).write_text("\n".join(files) + "\n", "utf-8")


def _folders() -> list[Path]:
    try:
        import fiftyone as fo
    except ImportError as error:
        hint = 'pip install "lightsam-plugins[fiftyone]"'
        raise MissingExtra("FiftyOne is not installed", got=str(error), hint=hint) from error
    return [Path(fo.config.model_zoo_dir) / _NAME, Path(fo.config.plugins_dir) / _NAME]
