"""``lightsam demo``: every kind of prompt, on photos that ship with the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from lightsam_plugins.cli.options import Device, Engine, Model, Weights, load_model
from lightsam_plugins.cli.output import out, say
from lightsam_plugins.cli.progress import Bar
from lightsam_plugins.errors import UnsupportedPrompt
from lightsam_plugins.replacing import replacing

if TYPE_CHECKING:
    from PIL import Image

    from lightsam_plugins.cli.demo_cases import Case
    from lightsam_plugins.masks import Masks
    from lightsam_plugins.segmenter import Segmenter

_EPILOG = """Examples:

  lightsam demo

  lightsam demo -o /tmp/pictures --open

  lightsam demo --model mobilesam"""


@dataclass(frozen=True, slots=True)
class _Result:
    case: Case
    masks: Masks
    encode_ms: float
    decode_ms: float
    picture: Image.Image


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=_EPILOG)(demo)


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the pictures.")
    ] = Path("lightsam-demo"),
    show: Annotated[bool, typer.Option("--open", help="Open the folder when done.")] = False,
    points_per_side: Annotated[
        int,
        typer.Option(
            metavar="N", help="Clicks along each side in everything mode; 16 find the coins, quickly."
        ),
    ] = 16,
    model: Model = "nano",
    device: Device = "auto",
    weights: Weights = None,
    engine: Engine = "torch",
) -> None:
    """Try every kind of prompt on photos that come with it."""
    from lightsam_plugins.cli.demo_cases import CASES, load_photo

    segmenter = load_model(model, device, weights, engine)
    for _ in range(3):  # the first calls set up the device, and are not timed
        segmenter.segment(load_photo("cell"), points=[[0, 0]])
    results = []
    with Bar(len(CASES)) as bar:
        for number, case in enumerate(CASES):
            advance = bar.begin(number, f"{case.photo}: {case.name}")
            try:
                result = _run(segmenter, case, points_per_side, advance)
            except UnsupportedPrompt as error:
                say(f"{case.name} left out: {error}")
                continue
            with replacing(output / f"{case.name}.png") as part:
                result.picture.save(part)
            results.append(result)
    with replacing(output / "overview.jpg") as part:
        _overview(results).save(part, quality=88)
    out.print(_table(results, f"{segmenter.name} on {segmenter.device}"))
    say(f"{len(results)} pictures and overview.jpg in {output.resolve()}")
    if show:
        typer.launch(str(output.resolve()))


def _run(
    segmenter: Segmenter, case: Case, points_per_side: int, advance: Callable[[int, int], None]
) -> _Result:
    from lightsam_plugins.cli.demo_cases import load_photo
    from lightsam_plugins.cli.segment import candidates
    from lightsam_plugins.render import draw, with_title
    from lightsam_plugins.timing import timed

    photo = load_photo(case.photo)
    embedding, encode_ms = timed(lambda: segmenter.embed(photo))
    prompts = case.prompts
    if prompts:
        masks, decode_ms = timed(lambda: segmenter.segment(embedding, multimask=case.multimask, **prompts))
    else:
        masks, decode_ms = timed(
            lambda: segmenter.everything(embedding, points_per_side=points_per_side, progress=advance)
        )
    if case.multimask:
        picture = with_title(candidates(photo, masks, prompts), case.title)
    else:
        scores = [f"{score:.2f}" for score in masks.scores]
        title = case.title.format(count=len(masks))
        picture = draw(photo, masks.crops(), captions=scores, title=title, **prompts)
    return _Result(case, masks, encode_ms, decode_ms, picture)


def _overview(results: list[_Result]) -> Image.Image:
    """All pictures on one sheet, in the rows the cases name."""
    from lightsam_plugins.render import montage

    rows: dict[int, list[Image.Image]] = {}
    for result in results:
        rows.setdefault(result.case.row, []).append(result.picture)
    return montage(list(rows.values()), width=1800)


def _table(results: list[_Result], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("case", "photo", "prompts"):
        table.add_column(heading)
    for heading in ("masks", "score", "encode ms", "decode ms"):
        table.add_column(heading, justify="right")
    for result in results:
        low, high = (f"{value:.2f}" for value in _span(result.masks))
        table.add_row(
            result.case.name,
            result.case.photo,
            str(result.case),
            str(len(result.masks)),
            low if low == high else f"{low}-{high}",
            f"{result.encode_ms:.0f}",
            f"{result.decode_ms:.0f}",
        )
    return table


def _span(masks: Masks) -> tuple[float, float]:
    """Lowest and highest score; NaN where there is no mask."""
    scores = masks.scores
    return (float(scores.min()), float(scores.max())) if len(scores) else (float("nan"), float("nan"))
