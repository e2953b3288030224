"""The work behind ``lightsam evaluate`` and ``lightsam compare``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from lightsam_plugins.cli.options import load_model
from lightsam_plugins.cli.output import INTERRUPTED, SOME_FAILED, err, say
from lightsam_plugins.cli.progress import Bar
from lightsam_plugins.errors import OptionError
from lightsam_plugins.evaluation.extra import require_extra
from lightsam_plugins.registry import model_card
from lightsam_plugins.replacing import replacing
from lightsam_plugins.weights.identity import weights_identity

if TYPE_CHECKING:
    from lightsam_plugins.evaluation import Report
    from lightsam_plugins.evaluation.dataset import Dataset
    from lightsam_plugins.evaluation.subject import Subject


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for on the command line; see the help of the command."""

    images: Path
    annotations: Path
    out: Path
    model: str
    protocol: str
    boxes_from: Path | None
    teacher: str | None
    everything: str | None
    limit: int | None
    dataset: str | None
    batch_size: int
    restart: bool
    device: str
    weights: Path | None
    engine: str

    @property
    def protocols(self) -> str:
        """The protocols, with those that a file or a teacher stands for."""
        names = self.protocol.split(",")
        names += ["boxes-from"] * (self.boxes_from is not None and "boxes-from" not in names)
        names += ["teacher"] * (self.teacher is not None and "teacher" not in names)
        names += ["everything"] * (self.everything is not None and "everything" not in names)
        return ",".join(names)

    @property
    def options(self) -> dict[str, Any]:
        """Those of everything mode.

        Raises:
            OptionError: A part that is not a name and a number, true or false.
        """
        options: dict[str, Any] = {}
        for part in filter(None, (self.everything or "").split(",")):
            name, _, value = part.partition("=")
            try:
                options[name.strip().replace("-", "_")] = json.loads(value)
            except json.JSONDecodeError:
                raise OptionError(
                    "--everything", expected="NAME=VALUE,... with numbers, true and false", got=repr(part)
                ) from None
        return options


def run(job: Job) -> int:
    """Measure and write the report.

    Returns:
        The exit code: 0, 3 where something could not be used, 130 after Ctrl-C.

    Raises:
        LightSamError: It cannot begin or go on; what is finished is kept.
    """
    require_extra()
    from lightsam_plugins.evaluation.api import JOURNAL, read_annotations
    from lightsam_plugins.evaluation.plots import write_plots
    from lightsam_plugins.evaluation.worst import write_worst

    dataset = read_annotations(job.images, job.annotations)
    if job.dataset is not None:
        dataset = replace(dataset, name=job.dataset)
    subject, identity = _subject(job)
    if job.restart:
        (job.out / JOURNAL).unlink(missing_ok=True)
    try:
        report = _measured(job, subject, identity, dataset)
    except KeyboardInterrupt:
        say("Interrupted. What was finished is kept; run the same command again to go on.")
        return INTERRUPTED
    report.write(job.out)
    write_plots([report], job.out)
    write_worst(subject, dataset, report, job.out)
    typer.echo(report.markdown(), nl=False)
    say(f"report.md, report.json and pictures in {job.out}")
    return SOME_FAILED if report.problems else 0


def _measured(job: Job, subject: Subject, identity: str, dataset: Dataset) -> Report:
    from lightsam_plugins.evaluation import evaluate

    total = len(dataset.samples[: job.limit])
    with Bar(total) as bar:

        def advance(number: int, name: str) -> None:
            bar.begin(number, name)
            if not err.is_terminal:
                bar.console.print(Text(f"[{number + 1}/{total}] {name}"), soft_wrap=True)

        return evaluate(
            subject,
            dataset,
            job.protocols,
            out=job.out,
            boxes_from=job.boxes_from,
            teacher=load_model(job.teacher, job.device) if job.teacher is not None else None,
            everything=job.options,
            weights=identity,
            limit=job.limit,
            batch_size=job.batch_size,
            progress=advance,
        )


def _subject(job: Job) -> tuple[Subject, str]:
    """What is measured, and what tells its weights apart from others."""
    from lightsam_plugins.evaluation.baselines import BASELINES

    if job.model in BASELINES:
        return BASELINES[job.model], ""
    card = model_card(job.model)
    return load_model(job.model, job.device, job.weights, job.engine), weights_identity(card, job.weights)


def run_compare(first: Path, second: Path, out: Path | None) -> None:
    """Print the comparison of two reports, and write it where a folder is given.

    Raises:
        LightSamError: A report is missing, or they cannot be compared.
    """
    from lightsam_plugins.evaluation import compare, read_report
    from lightsam_plugins.evaluation.bootstrap import comparison

    reports = read_report(first), read_report(second)
    text = comparison(*reports, compare(*reports))
    typer.echo(text, nl=False)
    if out is not None:
        require_extra()
        from lightsam_plugins.evaluation.plots import write_plots

        with replacing(out / "comparison.md") as part:
            part.write_text(text, "utf-8")
        write_plots(reports, out)
        say(f"comparison.md and plots in {out}")
