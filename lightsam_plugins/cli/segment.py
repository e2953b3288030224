"""``lightsam segment``: masks of one photo from boxes, clicks or texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box as boxes
from rich.table import Table

from lightsam_plugins.cli.options import (
    Device,
    Engine,
    Model,
    Weights,
    load_model,
    parse_box,
    parse_point,
    refuse_extra,
)
from lightsam_plugins.cli.output import out, print_json, say, telling_warnings
from lightsam_plugins.registry import model_card
from lightsam_plugins.replacing import replacing

if TYPE_CHECKING:
    from PIL import Image

    from lightsam_plugins.masks import Masks
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.segmenter import Segmenter
    from lightsam_plugins.types import Embedding

_EPILOG = """Examples:

  lightsam segment cat.jpg --point 220,150

  lightsam segment cat.jpg --point 220,150 --point 400,40,0 -o cat.png --json cat.json

  lightsam segment coins.jpg --box 22,34,67,75 --box 82,37,120,75

  lightsam segment cat.jpg --text "a cat" -o cat.png

  lightsam segment cat.jpg --point 170,115 --multimask"""
Prompts = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    # Left-over words are looked at here, to tell coordinates that lack their commas.
    app.command(epilog=_EPILOG, context_settings={"allow_extra_args": True})(segment)


def segment(
    ctx: typer.Context,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo: JPEG, PNG, TIFF, WebP and more.")],
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="Box around an object; repeat it for more objects.",
            rich_help_panel="Prompts",
        ),
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y[,LABEL]",
            help="Click on the object (label 1, the default) or beside it (label 0). "
            "All clicks are about one object.",
            rich_help_panel="Prompts",
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORDS",
            help='What to find, such as "a dog"; repeat it for more objects. Needs lightsam-plugins\\[text].',
            rich_help_panel="Prompts",
        ),
    ] = None,
    multimask: Annotated[
        bool,
        typer.Option(
            "--multimask", help="Three candidates for every object, best first.", rich_help_panel="Prompts"
        ),
    ] = False,
    model: Model = "nano",
    device: Device = "auto",
    weights: Weights = None,
    engine: Engine = "torch",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The picture; IMAGE.lightsam.png in this folder if neither -o nor --json is given.",
            rich_help_panel="Output",
        ),
    ] = None,
    json_path: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Boxes, scores, areas, RLE and polygons as JSON; - prints them.",
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:
    """Segment objects of a photo from boxes, clicks or texts.

    Several boxes give one mask each. All clicks are about one object; with one box they refine it.
    Each text gives the mask that fits it best among all of everything mode.
    """
    refuse_extra(ctx.args)
    model_card(model)  # a wrong name is told before torch is imported
    prompts = _prompts(box or [], point or [], text or [], multimask)
    if output is None and json_path is None:
        output = Path(f"{image.stem}.lightsam.png")
    for path in (output, json_path):
        _check_target(path, image, picture=path is output)
    _run(image, prompts, multimask, (model, device, weights, engine), output, json_path)


def _run(
    image: Path,
    prompts: Prompts,
    multimask: bool,
    which: tuple[str, str, Path | None, str],
    output: Path | None,
    json_path: Path | None,
) -> None:
    from lightsam_plugins.images import load_image
    from lightsam_plugins.timing import timed

    pixels = load_image(image)
    segmenter = load_model(*which)
    embedding, encode_ms = timed(lambda: segmenter.embed(pixels))
    with telling_warnings():
        masks, decode_ms = timed(lambda: _answer(segmenter, embedding, pixels, multimask, prompts))
    times = {"encode": round(encode_ms, 1), "decode": round(decode_ms, 1)}
    if output is not None:
        with replacing(output) as part:
            _picture(pixels, masks, prompts).save(part)
    if json_path is not None:
        _write_json(_report(image, segmenter, which[2], masks, prompts, times), json_path)
    if json_path is None or str(json_path) != "-":
        out.print(_table(masks))
    say(f"{segmenter.name} on {segmenter.device}: encode {encode_ms:.0f} ms, decode {decode_ms:.0f} ms")
    for path in (output, json_path):
        if path is not None and str(path) != "-":
            say(f"wrote {path}")


def _answer(
    segmenter: Segmenter, embedding: Embedding, pixels: UInt8Array, multimask: bool, prompts: Prompts
) -> Masks:
    if "text" not in prompts:
        return segmenter.segment(embedding, multimask=multimask, **prompts)
    from lightsam_plugins.text import choose, read_texts
    from lightsam_plugins.text_clip import clip_scorer

    texts = read_texts(prompts["text"])
    scorer = clip_scorer(segmenter.device)
    # As segment(pixels, text=...), but for the image that is encoded already.
    return choose(pixels, segmenter.everything(embedding), texts, scorer=scorer)


def _prompts(boxes: list[str], points: list[str], texts: list[str], multimask: bool) -> Prompts:
    """The prompts as `Segmenter.segment` takes them."""
    if texts and (boxes or points or multimask):
        raise typer.BadParameter(
            "a text is a prompt of its own; leave --box, --point and --multimask out", param_hint="--text"
        )
    if texts:
        return {"text": texts}
    corners = [parse_box(text) for text in boxes]
    clicks = [parse_point(text) for text in points]
    if not corners and not clicks:
        raise typer.BadParameter(
            "no prompt; give --box x0,y0,x1,y1 or --point x,y or --text, or use: lightsam everything IMAGE",
            param_hint="--box / --point",
        )
    if not corners and not any(label for _, label in clicks):
        raise typer.BadParameter(
            "only clicks beside the object; give one on it as well: --point x,y", param_hint="--point"
        )
    if len(corners) > 1 and clicks:
        raise typer.BadParameter(
            "with several boxes it is not clear which object the clicks are about; "
            "give one box, or no clicks",
            param_hint="--point",
        )
    prompts: Prompts = {"boxes": corners} if corners else {}
    if clicks:
        prompts |= {"points": [xy for xy, _ in clicks], "point_labels": [label for _, label in clicks]}
    for (x, y), label in clicks if corners else ():
        x0, y0, x1, y1 = corners[0]
        if label and not (x0 <= x <= x1 and y0 <= y <= y1):
            say(
                f"warning: the click {x:g},{y:g} on the object lies outside its box; the mask may leave one out"
            )
    return prompts


def _check_target(path: Path | None, image: Path, *, picture: bool) -> None:
    from PIL import Image

    if path is None:
        return
    if path.resolve() == image.resolve():
        raise typer.BadParameter(
            f"{path} is the photo itself; it would be overwritten", param_hint="-o / --json"
        )
    if picture and Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise typer.BadParameter(
            f"{str(path)!r} is no picture file; expected a name such as out.png or out.jpg", param_hint="-o"
        )


def _picture(pixels: UInt8Array, masks: Masks, prompts: Prompts) -> Image.Image:
    """Masks, prompts and scores on the photo; the candidates of a single object side by side."""
    from lightsam_plugins.render import draw

    if masks.candidates > 1 and len(masks) == masks.candidates:
        return candidates(pixels, masks, prompts)
    best = masks.best()
    captions = [f"{score:.2f}" for score in best.scores]
    if "text" in prompts:
        return draw(
            pixels,
            best.crops(),
            captions=[" ".join(pair) for pair in zip(prompts["text"], captions, strict=True)],
        )
    return draw(pixels, best.crops(), captions=captions, **prompts)


def candidates(pixels: UInt8Array, masks: Masks, prompts: Prompts) -> Image.Image:
    """The masks of one object next to each other, best first."""
    from lightsam_plugins.render import draw, montage

    titles = [f"candidate {i + 1}: {score:.2f}" for i, score in enumerate(masks.scores)]
    return montage(
        [
            [
                draw(pixels, masks[i].crops(), title=title, first_colour=i, **prompts)
                for i, title in enumerate(titles)
            ]
        ]
    )


def _report(
    image: Path,
    segmenter: Segmenter,
    weights: Path | None,
    masks: Masks,
    prompts: Prompts,
    times: dict[str, float],
) -> dict[str, Any]:
    from lightsam_plugins._version import __version__
    from lightsam_plugins.cli.records import mask_records

    spec = segmenter.spec
    height, width = masks.size
    return {
        "image": {"file": str(image), "width": width, "height": height},
        "model": {
            "name": spec.name,
            "weights": ", ".join(file.filename for file in spec.files) if weights is None else str(weights),
            "licence_weights": spec.licence_weights if weights is None else "unknown: the user's own file",
            "licence_code": spec.licence_code,
            "device": str(segmenter.device),
        },
        "prompts": prompts,
        "masks": mask_records(masks, polygons=True),
        "milliseconds": times,
        "lightsam_plugins": __version__,
    }


def _write_json(report: dict[str, Any], path: Path) -> None:
    if str(path) == "-":
        print_json(report)
        return
    with replacing(path) as part:
        part.write_text(json.dumps(report) + "\n", encoding="utf-8")


def _table(masks: Masks) -> Table:
    headings = ["object", "candidate"][: 1 + (masks.candidates > 1)]
    table = Table(*headings, box=boxes.SIMPLE_HEAD)
    for heading in ("score", "stability", "area px", "box x0 y0 x1 y1"):
        table.add_column(heading, justify="right")
    rows = zip(masks.scores, masks.stability, masks.areas, masks.boxes, strict=True)
    for i, (score, stability, area, corners) in enumerate(rows):
        names = [str(i // masks.candidates), str(i % masks.candidates)][: len(headings)]
        box = " ".join(f"{edge:.0f}" for edge in corners)
        table.add_row(*names, f"{score:.2f}", f"{stability:.2f}", f"{area:,}", box)
    return table
