"""From a model's entry in the registry to a verified file on disk."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from lightsam_plugins.errors import ChecksumError, DownloadError, WeightsError
from lightsam_plugins.weights import cache
from lightsam_plugins.weights.failures import Failed
from lightsam_plugins.weights.sources import Source, sources
from lightsam_plugins.weights.verify import difference, identity, known, remember

if TYPE_CHECKING:
    from lightsam_plugins.registry import ModelSpec, WeightFile
    from lightsam_plugins.weights.urls import Report

logger = logging.getLogger(__name__)


def fetch(
    spec: ModelSpec,
    file: WeightFile | None = None,
    *,
    cache_dir: Path | None = None,
    offline: bool | None = None,
    progress: bool = True,
    trust: bool = False,
    by_hand: str | None = None,
    report: Report | None = None,
) -> Path:
    """A verified file of weights of a model, downloaded where it is not on disk yet.

    Sources are tried in turn: the Hugging Face Hub, then the plain URL. A file whose size or hash is not the
    published one is removed, wherever it came from.

    Args:
        spec: The model.
        file: One of `spec.files`; `spec.weights` where left out.
        cache_dir: Folder for this call; else LIGHTSAM_CACHE, else the usual caches.
        offline: Use no network; None asks LIGHTSAM_OFFLINE and HF_HUB_OFFLINE.
        progress: Show progress bars where stderr is a terminal.
        trust: Where the card calls the hash weak, take a file of another hash by its size. A file that was taken is
            known from then on, without asking again. Sound hashes are compared always.
        by_hand: What to do without a network, for the messages; None where `load` takes the file as ``weights``.
        report: Called with (bytes done, bytes in all) while a file comes in; returning False stops, and the next
            try goes on from there.

    Raises:
        DownloadError: It is not on disk and cannot be downloaded or stored; every source with its reason.
        ChecksumError: A file was found or offered, but not the published one.
        WeightsError: It should be inside the package, and is not.
        Cancelled: `report` returned False.
    """
    spec = replace(spec, weights=file or spec.weights)
    if spec.weights.bundled:
        return _bundled(spec)
    places, failures = sources(spec.weights, cache_dir, trust=trust), list[tuple[str, Failed]]()
    markers = (cache_dir or cache.cache_dir()) / "verified"
    for source in places:
        path = source.cached()
        if path is None:
            continue
        try:
            return _checked(path, spec.weights, source, markers, trust)
        except Failed as failure:
            logger.warning("%s was %s, not the published one", path, failure.reason)
            failures.append((f"the cache ({path})", failure))
    variable = cache.offline_variable() if offline is None else None
    if offline or variable:
        raise _failed(spec, failures, by_hand) if failures else _offline(spec, variable, by_hand)
    for source in places:
        try:
            return _checked(
                source.download(progress=progress, report=report), spec.weights, source, markers, trust
            )
        except Failed as failure:
            failures.append((source.label, failure))
    raise _failed(spec, failures, by_hand)


def is_downloaded(spec: ModelSpec, cache_dir: Path | None = None) -> Path | None:
    """The checkpoint on disk, by name and size only (`fetch` verifies); None where there is none.

    Of a model with several files the first, or None unless all of them are there.
    """
    found = [_on_disk(file, cache_dir) for file in spec.files]
    return found[0] if all(found) else None


def _on_disk(weights: WeightFile, cache_dir: Path | None) -> Path | None:
    if weights.bundled:
        path = _asset(weights)
        return path if path.is_file() else None
    found = [source.cached() for source in sources(weights, cache_dir)]
    right = (p for p in found if p is not None and weights.size in (0, p.stat().st_size))
    return next(right, None)


def _checked(path: Path, weights: WeightFile, source: Source, markers: Path, trust: bool) -> Path:
    """`path`, where it is the published file; else it is removed.

    Raises:
        Failed: It is not, or cannot be read.
    """
    if known(path, weights, markers):
        return path
    try:
        wrong = difference(path, weights, trust=trust)
    except OSError as error:
        raise Failed(f"{path} cannot be read ({error.strerror})", f"Remove {path}.") from error
    if wrong is None:
        remember(path, weights, markers)
        return path
    gone = source.remove(path)
    hint = "It was removed from the cache." if gone else f"It could not be removed: delete {path} yourself."
    raise Failed(wrong, hint, wrong=True)


def _asset(weights: WeightFile) -> Path:
    return Path(str(resources.files("lightsam_plugins") / "assets" / weights.filename))


def _bundled(spec: ModelSpec) -> Path:
    path = _asset(spec.weights)
    again = "Install the package again: pip install --force-reinstall lightsam-plugins."
    if not path.is_file():
        what = f"the weights of {spec.name!r} are not in the package"
        raise WeightsError(what, expected=str(path), hint=again)
    wrong = difference(path, spec.weights)
    if wrong:
        what = f"the weights {str(path)!r} of {spec.name!r} are damaged"
        raise ChecksumError(what, expected=identity(spec.weights), got=wrong, hint=again)
    return path


def _offline(spec: ModelSpec, variable: str | None, by_hand: str | None) -> WeightsError:
    switch = f"{variable} is set" if variable else "offline=True"
    usual = f"Run `lightsam download {spec.name}` with the network on, or pass weights=PATH (--weights PATH)."
    return DownloadError(
        f"the weights {spec.weights.filename!r} of {spec.name!r} are not on this machine, and {switch}",
        hint=by_hand or usual,
    )


def _weakness(spec: ModelSpec, reasons: str) -> str:
    """What to know, and to do, about a hash that proves little and did not match."""
    weights = spec.weights
    if not weights.weak or not re.search("with (sha256|git blob id)", reasons):
        return ""
    proof = f"its size, {weights.size} bytes" if weights.size else "nothing, as no size is published"
    return (
        f" The expected hash is weak: {weights.weak}. If you trust the source, `lightsam download --trust {spec.name}`"
        f" or load({spec.name!r}, trust=True) takes its file, verified by {proof}; it is read as data, never run."
    )


def _failed(spec: ModelSpec, failures: list[tuple[str, Failed]], by_hand: str | None) -> WeightsError:
    reasons = "; ".join(f"{label}: {failure.reason}" for label, failure in failures)
    hints = " ".join(dict.fromkeys(failure.hint for _, failure in failures))
    what = f"cannot get the weights {spec.weights.filename!r} of {spec.name!r}"
    if any(failure.wrong for _, failure in failures):
        hints += _weakness(spec, reasons)
        return ChecksumError(what, expected=identity(spec.weights), got=reasons, hint=hints)
    usual = f"Or download the file elsewhere and pass weights=PATH to load({spec.name!r}), or --weights PATH."
    return DownloadError(
        what, got=reasons or "no source to get them from", hint=f"{hints} {by_hand or usual}".strip()
    )
