"""The work behind ``lightsam everything``: what is left to do, doing it, and what is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from lightsam_plugins._version import __version__
from lightsam_plugins.cli.coco import write_coco
from lightsam_plugins.cli.options import load_model
from lightsam_plugins.cli.output import INTERRUPTED, SOME_FAILED, err, say
from lightsam_plugins.cli.photo_files import find_images
from lightsam_plugins.cli.progress import Bar
from lightsam_plugins.cli.records import mask_records, record_crops
from lightsam_plugins.errors import ImageError, InputError
from lightsam_plugins.everything_options import everything_options
from lightsam_plugins.journal import Journal, Record, stamp_of
from lightsam_plugins.registry import model_card
from lightsam_plugins.replacing import replacing
from lightsam_plugins.weights.identity import weights_identity

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.segmenter import Segmenter
    from lightsam_plugins.upsample import Crop


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for on the command line; see the help of the command."""

    source: Path
    output: Path
    overlays: Path | None
    recursive: bool
    restart: bool
    model: str
    device: str
    weights: Path | None
    engine: str
    options: dict[str, Any]

    @property
    def json_path(self) -> Path:
        """The COCO file: `output` itself, or annotations.json in it where it is a folder."""
        is_file = self.output.suffix.lower() == ".json" and not self.output.is_dir()
        return self.output if is_file else self.output / "annotations.json"

    @property
    def journal_path(self) -> Path:
        """Where finished images are kept, beside the COCO file."""
        return self.json_path.with_name(self.json_path.name + ".journal")


@dataclass(slots=True)
class _State:
    """How far the run has come."""

    images: dict[str, Path]
    journal: Journal
    failed: dict[str, str] = field(default_factory=dict)

    def finished(self) -> list[str]:
        """Names of the finished images, in order."""
        return [
            name
            for name, path in self.images.items()
            if path.is_file() and self.journal.has(name, stamp_of(path))
        ]


def run(job: Job) -> int:
    """Do what was asked for.

    Returns:
        The exit code: 0, 3 where images failed, 130 after Ctrl-C.

    Raises:
        LightSamError: It cannot begin or go on; what is finished is kept.
    """
    images = find_images(job.source, recursive=job.recursive, skip=_result_folders(job))
    settings = _settings(job)  # checks the model's name and the options before anything is written
    _check_folders(job)
    state = _State(images, _open_journal(job, settings, images))
    done = state.finished()
    todo = [name for name in images if name not in set(done)]
    if done:
        say(f"{len(done)} of {len(images)} already finished, going on with {len(todo)}")
    interrupted = False
    try:
        if todo:
            segmenter = load_model(job.model, job.device, job.weights, job.engine)
            _process(job, segmenter, state, todo)
        _draw_missing(job, state)
    except KeyboardInterrupt:
        interrupted = True
        state.journal = Journal(
            job.journal_path, settings
        )  # its last line may be on the disk and not yet counted
    _finish(job, state, settings)
    return _report(job, state, interrupted=interrupted)


def _settings(job: Job) -> Record:
    """What the masks depend on, with the defaults filled in."""
    card = model_card(job.model)
    options = asdict(everything_options(card, job.options))
    given = {name: value for name, value in options.items() if value is not None}
    return {"model": card.name, "weights": weights_identity(card, job.weights), **given}


def _result_folders(job: Job) -> list[Path]:
    return [folder for folder in (job.json_path.parent, job.overlays) if folder is not None]


def _check_folders(job: Job) -> None:
    source = job.source if job.source.is_dir() else job.source.parent
    if job.overlays is not None and job.overlays.resolve() == source.resolve():
        raise InputError(
            "the overlays would land among the photos", hint="Give --overlays a folder of its own."
        )
    if not job.restart and job.json_path.exists() and not job.journal_path.exists():
        raise InputError(
            f"{str(job.json_path)!r} is there already, and not from an earlier run",
            hint="Choose another -o, or use --restart to overwrite it.",
        )


def _open_journal(job: Job, settings: Record, images: dict[str, Path]) -> Journal:
    if job.restart:
        job.journal_path.unlink(missing_ok=True)
    journal = Journal(job.journal_path, settings)
    if len(journal) and not any(name in journal for name in images):
        raise InputError(
            f"{str(job.json_path)!r} holds the masks of other photos",
            hint="Choose another -o, or use --restart to overwrite it.",
        )
    return journal


def _process(job: Job, segmenter: Segmenter, state: _State, todo: list[str]) -> None:
    with Bar(len(todo)) as bar:
        for number, name in enumerate(todo):
            line = _one(job, segmenter, state, name, bar.begin(number, name))
            if line or not err.is_terminal:
                bar.console.print(Text(line or f"[{number + 1}/{len(todo)}] {name}"), soft_wrap=True)


def _one(
    job: Job, segmenter: Segmenter, state: _State, name: str, advance: Callable[[int, int], None]
) -> str:
    """Process one image; returns a message where it failed."""
    from lightsam_plugins.images import load_image

    try:
        stamp = stamp_of(state.images[name])
        pixels = load_image(state.images[name])
    except (ImageError, OSError, MemoryError) as error:
        state.failed[name] = str(error)
        return f"skipped {name}: {error}"
    masks = segmenter.everything(pixels, progress=advance, **job.options)
    height, width = masks.size
    records = mask_records(masks)
    if job.overlays is not None:
        _draw(job.overlays, name, pixels, masks.crops())
    state.journal.add({"file": name, "stamp": stamp, "width": width, "height": height, "masks": records})
    return ""


def _draw(folder: Path, name: str, pixels: UInt8Array, crops: list[Crop]) -> None:
    from lightsam_plugins.render import draw

    with replacing(folder / f"{name}.png") as part:
        draw(pixels, crops, title=f"{name}: {len(crops)} masks").save(part)


def _draw_missing(job: Job, state: _State) -> None:
    """Draw the images that an earlier run finished without overlays."""
    if job.overlays is None:
        return
    from lightsam_plugins.images import load_image

    for name in state.finished():
        if not (job.overlays / f"{name}.png").exists():
            crops = record_crops(state.journal.read(name)["masks"])
            _draw(job.overlays, name, load_image(state.images[name]), crops)


def _finish(job: Job, state: _State, settings: Record) -> None:
    card = model_card(job.model)
    finished = state.finished()
    info = {
        "description": f"every object {card.name} found, without prompts",
        "version": __version__,
        "model": card.name,
        "weights_licence": card.licence_weights if job.weights is None else "unknown: the user's own file",
        "settings": settings,
        "complete": len(finished) == len(state.images),
        "failed": state.failed,
    }
    write_coco(job.json_path, state.journal, finished, info)


def _report(job: Job, state: _State, *, interrupted: bool) -> int:
    finished = len(state.finished())
    say(f"{finished} of {len(state.images)} images in {job.json_path}")
    if job.overlays is not None:
        say(f"overlays in {job.overlays}")
    if interrupted:
        say("Interrupted. What was finished is kept; run the same command again to go on.")
        return INTERRUPTED
    if state.failed:
        say(f"{len(state.failed)} could not be read; the others are complete.")
        return SOME_FAILED
    return 0
