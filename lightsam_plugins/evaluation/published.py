"""What papers and READMEs say of the models: ``published.json``, printed beside what was measured."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def all_published() -> tuple[dict[str, Any], ...]:
    """Every entry: model, dataset (coco, lvis or "teacher NAME"), protocol, metric, value in percent, source."""
    text = resources.files("lightsam_plugins.evaluation").joinpath("published.json").read_text("utf-8")
    return tuple(json.loads(text))


def published(model: str, dataset: str, teacher: str | None = None) -> list[dict[str, Any]]:
    """The entries of one model on one dataset, and on agreement with a teacher; none on data no paper is about."""
    about = {dataset, f"teacher {teacher}"}
    return [
        {key: entry[key] for key in ("protocol", "metric", "value", "source")}
        for entry in all_published()
        if entry["model"] == model and entry["dataset"] in about
    ]
