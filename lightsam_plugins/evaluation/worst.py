"""The worst answers of a protocol as a grid of pictures: the true mask on the left, the answer on the right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lightsam_plugins.evaluation.dataset import Dataset, Target
from lightsam_plugins.evaluation.protocols import box_answers, click_answers, prompt_box
from lightsam_plugins.evaluation.report import Report
from lightsam_plugins.evaluation.shapes import box_of, deepest
from lightsam_plugins.evaluation.subject import Subject
from lightsam_plugins.images import load_image
from lightsam_plugins.pixel_values import UInt8Array
from lightsam_plugins.render import draw, montage
from lightsam_plugins.replacing import replacing
from lightsam_plugins.types import BoolArray

COUNT, COLUMNS, WIDTH = 12, 3, 2400
_MARGIN = 0.6  # around an object, in parts of its longer side
_LEAST = 32  # pixels on each side of it


def worst_objects(report: Report, protocol: str, count: int = COUNT) -> list[tuple[str, int, float]]:
    """Image, id and IoU of the objects with the lowest IoU, lowest first; ties in the order of the report."""
    values = report.objects["values"][protocol]
    rows = zip(report.objects["image"], report.objects["id"], values, strict=True)
    return sorted((row for row in rows if row[2] is not None), key=lambda row: row[2])[:count]


def write_worst(subject: Subject, dataset: Dataset, report: Report, folder: str | Path) -> list[Path]:
    """Write ``worst-PROTOCOL.png`` for boxes and clicks; the answers are computed again.

    Args:
        subject: The model that the report is about.
        dataset: The images it is about.
        report: The report.
        folder: Where to.
    """
    written = []
    for protocol in report.means:
        if protocol == "box" or protocol.endswith("click"):
            tiles = [_tile(subject, dataset, protocol, *row) for row in worst_objects(report, protocol)]
            rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
            path = Path(folder) / f"worst-{protocol.replace(' ', '-')}.png"
            with replacing(path) as part:
                _padded(rows).save(part, format="PNG")
            written.append(path)
    return written


def _padded(rows: list[list[Image.Image]]) -> Image.Image:
    """A montage whose last row is filled up with white, so that its pictures are no larger than the others."""
    if len(rows) > 1:
        rows[-1] += [Image.new("RGB", rows[-1][0].size, "white")] * (COLUMNS - len(rows[-1]))
    return montage(rows, width=WIDTH)


def _tile(
    subject: Subject, dataset: Dataset, protocol: str, image: str, number: int, value: float
) -> Image.Image:
    sample = next(sample for sample in dataset.samples if sample.name == image)
    target = next(target for target in sample.targets if target.id == number)
    pixels = load_image(sample.path)
    mask = target.mask((pixels.shape[0], pixels.shape[1]))
    embedding = subject.embed([pixels])[0]
    answer = _answer(subject, embedding, protocol, target, mask)
    box = prompt_box(target.box, mask) if protocol == "box" else None
    window = _window(mask)
    pair = [
        _picture(pixels, shown, window, box, None if box else deepest(mask)[1], colour)
        for shown, colour in ((mask, 0), (answer, 1))
    ]
    title = f"{Path(image).stem[-22:]} #{number}: IoU {100 * value:.0f} %"
    sheet = montage([pair], width=960)
    return draw(np.asarray(_square(sheet)), title=title)


def _answer(subject: Subject, embedding: object, protocol: str, target: Target, mask: BoolArray) -> BoolArray:
    if protocol == "box":
        return next(box_answers(subject, embedding, [prompt_box(target.box, mask)]))
    found = re.match(r"\d+", protocol)
    return click_answers(subject, embedding, [mask], int(found[0]) if found else 1)[-1][0]


def _window(mask: BoolArray) -> tuple[int, int, int, int]:
    """A square around the true object, as far as the image goes."""
    x0, y0, x1, y1 = box_of(mask)
    side = max(x1 - x0, y1 - y0)
    half = round(side / 2 + max(_MARGIN * side, _LEAST))
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    height, width = mask.shape
    return max(0, x - half), max(0, y - half), min(width, x + half), min(height, y + half)


def _picture(
    image: UInt8Array,
    mask: BoolArray,
    window: tuple[int, int, int, int],
    box: Sequence[float] | None,
    click: tuple[float, float] | None,
    colour: int,
) -> Image.Image:
    x0, y0, x1, y1 = window
    shift = np.array([x0, y0])
    crop = (0, 0, mask[y0:y1, x0:x1])
    return draw(
        np.ascontiguousarray(image[y0:y1, x0:x1]),
        [crop] if crop[2].any() else [],
        boxes=None if box is None else [np.asarray(box) - np.tile(shift, 2)],
        points=None if click is None else [np.asarray(click) - shift],
        first_colour=colour,
    )


def _square(sheet: Image.Image) -> Image.Image:
    """Pairs of any form on a white sheet of one form, so that all tiles of a grid are equally large."""
    width, height = 960, 480
    sheet.thumbnail((width, height))
    canvas = Image.new("RGB", (width, height), "white")
    canvas.paste(sheet, ((width - sheet.width) // 2, (height - sheet.height) // 2))
    return canvas
