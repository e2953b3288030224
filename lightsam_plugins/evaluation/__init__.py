"""Measuring segmenters: the papers' protocols on annotated images. Needs the extra ``evaluate``.

::

    import lightsam_plugins as ls
    from lightsam_plugins.evaluation import compare, evaluate, read_annotations

    dataset = read_annotations("val2017", "instances_val2017.json")
    report = evaluate(ls.load("nano"), dataset, "box,1click,3click", out="report")
    report.write("report")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightsam_plugins.evaluation.api import evaluate, read_annotations
    from lightsam_plugins.evaluation.bootstrap import compare
    from lightsam_plugins.evaluation.dataset import Dataset, Sample, Target
    from lightsam_plugins.evaluation.report import Report, read_report

_HOMES = {
    "Dataset": "dataset",
    "Report": "report",
    "Sample": "dataset",
    "Target": "dataset",
    "compare": "bootstrap",
    "evaluate": "api",
    "read_annotations": "api",
    "read_report": "report",
}

__all__ = [
    "Dataset",
    "Report",
    "Sample",
    "Target",
    "compare",
    "evaluate",
    "read_annotations",
    "read_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
