"""``lightsam everything``: all masks of one photo or of a folder, as COCO JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lightsam_plugins.cli.options import Device, Engine, Model, Weights

_EPILOG = """Examples:

  lightsam everything photo.jpg -o photo.json --overlays pictures

  lightsam everything photos -o masks.json

  lightsam everything photos -r -o masks.json --points-per-side 16

Stopped half-way, the same command goes on where it was: every finished image is in masks.json.journal, \
beside the output. Images added since are computed, finished ones are not.

Exit codes: 0 all images done, 3 some could not be read, 130 interrupted, 2 wrong use, 1 another error."""
_GRID, _QUALITY, _CROPS = "Grid of clicks", "Which masks are kept", "Small objects"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=_EPILOG)(everything)


def _option(panel: str, text: str) -> Any:
    return typer.Option(metavar="N", help=text, show_default=False, rich_help_panel=panel)


def everything(
    image: Annotated[Path, typer.Argument(metavar="IMAGE|DIR", help="A photo, or a folder of photos.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="The COCO JSON; for a folder, annotations.json in it.",
            rich_help_panel="Output",
        ),
    ],
    overlays: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also draw the masks of every photo into this folder.",
            rich_help_panel="Output",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Take the folders below DIR too.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what is finished and start over.")
    ] = False,
    model: Model = "nano",
    device: Device = "auto",
    weights: Weights = None,
    engine: Engine = "torch",
    points_per_side: Annotated[int | None, _option(_GRID, "Clicks along each side of the photo.")] = None,
    points_per_batch: Annotated[
        int | None, _option(_GRID, "Clicks decoded at once: speed against memory.")
    ] = None,
    hierarchical: Annotated[
        bool, _option(_GRID, "Leave out clicks that promise little: faster, misses some small parts.")
    ] = False,
    pred_iou_thresh: Annotated[
        float | None, _option(_QUALITY, "Lowest score the model gives itself, 0 to 1.")
    ] = None,
    stability_score_thresh: Annotated[float | None, _option(_QUALITY, "Lowest stability, 0 to 1.")] = None,
    stability_score_offset: Annotated[
        float | None, _option(_QUALITY, "Shift of the threshold that stability is measured with.")
    ] = None,
    box_nms_thresh: Annotated[
        float | None, _option(_QUALITY, "Overlap of two boxes above which the worse mask goes, 0 to 1.")
    ] = None,
    detector_bgr: Annotated[
        bool,
        typer.Option(
            "--detector-bgr",  # without a --no-detector-bgr beside it, so that no name is cut off at 80 columns
            help="MobileSAMv2: swap red and blue for its detector, as the official code does.",
            rich_help_panel=_QUALITY,
        ),
    ] = False,
    min_mask_region_area: Annotated[
        float | None, _option(_QUALITY, "Islands and holes below this many pixels are removed.")
    ] = None,
    crop_n_layers: Annotated[
        int | None, _option(_CROPS, "Also look at 2x2 (1), 4x4 (2) crops of the photo: slower.")
    ] = None,
    crop_nms_thresh: Annotated[float | None, _option(_CROPS, "As --box-nms-thresh, between crops.")] = None,
    crop_overlap_ratio: Annotated[
        float | None, _option(_CROPS, "How far crops overlap, as a part of the shorter side.")
    ] = None,
    crop_n_points_downscale_factor: Annotated[
        int | None, _option(_CROPS, "Each crop layer has this many times fewer clicks a side.")
    ] = None,
) -> None:
    """Find every object in a photo or a folder; write COCO JSON.

    Options of the last three groups are those of SAM's generator; left out, the model's default holds.
    """
    from lightsam_plugins.cli.everything_run import Job, run
    from lightsam_plugins.cli.photo_files import SUFFIXES

    if output.suffix.lower() in SUFFIXES and not output.is_dir():
        raise typer.BadParameter(
            f"{str(output)!r} is a picture; expected a name such as masks.json, or a folder. "
            "--overlays DIR draws the masks",
            param_hint="-o",
        )
    options = {
        "points_per_side": points_per_side,
        "points_per_batch": points_per_batch,
        "hierarchical": hierarchical or None,
        "pred_iou_thresh": pred_iou_thresh,
        "stability_score_thresh": stability_score_thresh,
        "stability_score_offset": stability_score_offset,
        "box_nms_thresh": box_nms_thresh,
        "min_mask_region_area": min_mask_region_area,
        "detector_bgr": detector_bgr or None,
        "crop_n_layers": crop_n_layers,
        "crop_nms_thresh": crop_nms_thresh,
        "crop_overlap_ratio": crop_overlap_ratio,
        "crop_n_points_downscale_factor": crop_n_points_downscale_factor,
    }
    job = Job(image, output, overlays, recursive, restart, model, device, weights, engine, options)
    if code := run(job):
        raise typer.Exit(code)
