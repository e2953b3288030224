"""COCO JSON from a journal, written piece by piece: memory does not grow with the number of images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from lightsam_plugins.journal import Journal
from lightsam_plugins.replacing import replacing

CATEGORY = {"id": 1, "name": "object", "supercategory": ""}


def write_coco(path: Path, journal: Journal, files: Sequence[str], info: dict[str, Any]) -> None:
    """Write the finished images as one COCO file.

    Args:
        path: Where to; an older file is replaced at the end, in one step.
        journal: Where the masks are.
        files: The images to write, in this order; ids count from 1.
        info: Value of the key ``info``.

    Raises:
        InputError: The file cannot be written.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8") as out:
        out.write(f'{{"info": {_json(info)},\n"licenses": [],\n"categories": [{_json(CATEGORY)}],\n')
        _write_list(out, "images", _images(journal, files))
        out.write(",\n")
        _write_list(out, "annotations", _annotations(journal, files))
        out.write("}\n")


def _images(journal: Journal, files: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, file in enumerate(files, 1):
        record = journal.read(file)
        yield {"id": number, "file_name": file, "width": record["width"], "height": record["height"]}


def _annotations(journal: Journal, files: Sequence[str]) -> Iterator[dict[str, Any]]:
    count = 0
    for number, file in enumerate(files, 1):
        for mask in journal.read(file)["masks"]:
            count += 1
            x0, y0, x1, y1 = mask["box"]
            yield {
                "id": count,
                "image_id": number,
                "category_id": CATEGORY["id"],
                "segmentation": mask["rle"],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": mask["area"],
                "iscrowd": 0,
                "score": mask["score"],
                "stability": mask["stability"],
            }


def _write_list(out: TextIO, name: str, items: Iterable[dict[str, Any]]) -> None:
    out.write(f'"{name}": [')
    out.writelines(("," if number else "") + "\n" + _json(item) for number, item in enumerate(items))
    out.write("]")


def _json(value: Any) -> str:
    return json.dumps(value)  # in ASCII: a name on disk need not be valid UTF-8
