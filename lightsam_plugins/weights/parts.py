"""Models whose weights are several files: which files a user means, and their tensors under one network's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lightsam_plugins.errors import WeightsError

if TYPE_CHECKING:
    import torch

    from lightsam_plugins.model_spec import ModelSpec

WHOLE = ""  # in place of a part: the file that has all of them


def own_files(spec: ModelSpec, weights: str | Path | Mapping[str, str | Path]) -> dict[str, Path]:
    """The files a user gave for the parts of a model.

    Args:
        spec: The model.
        weights: A file; of a model of several files also their folder, or part -> file for some of them.

    Returns:
        Part -> file; `WHOLE` for the only file, or for one that has the tensors of all parts.

    Raises:
        WeightsError: A part the model does not have, or a folder without some of its files.
    """
    if isinstance(weights, Mapping):
        return _named(spec, weights)
    folder, parts = Path(weights), _parts(spec)
    if not spec.more_weights or not folder.is_dir():
        return {WHOLE: folder}
    missing = [f"{name} ({part})" for part, name in parts.items() if not (folder / name).is_file()]
    if missing:
        raise WeightsError(
            f"the folder {str(folder)!r} lacks weights of {spec.name!r}",
            expected=_listed(spec),
            got=f"no {', no '.join(missing)}",
            hint=f"Files of other names: {_example(spec)}; a part left out is downloaded.",
        )
    return {part: folder / name for part, name in parts.items()}


def read_parts(
    spec: ModelSpec, network: torch.nn.Module, files: Mapping[str, Path]
) -> dict[str, torch.Tensor]:
    """The tensors of all files under the names of `network`; nothing in the files is run.

    Args:
        spec: The model.
        network: Where the model has several files, its `parts` say what becomes of their names.
        files: Part -> file, or `WHOLE`.

    Raises:
        WeightsError: A file cannot be read, or one file was given that is a part only.
    """
    from lightsam_plugins.weights.reading import read_tensors

    if WHOLE not in files:
        places: Mapping[str, Mapping[str, str]] = network.parts  # type: ignore[assignment]
        return {
            name: tensor
            for part, path in files.items()
            for name, tensor in _placed(read_tensors(path), places[part]).items()
        }
    tensors = read_tensors(files[WHOLE])
    if spec.more_weights and not network.state_dict().keys() <= tensors.keys():
        raise WeightsError(
            f"the weights {str(files[WHOLE])!r} are not all that {spec.name!r} needs",
            expected=_listed(spec),
            hint=f"Pass their folder, or {_example(spec)}; a part left out is downloaded.",
        )
    return tensors


def _parts(spec: ModelSpec) -> dict[str, str]:
    """Part -> name of its official file."""
    return {file.part: Path(file.filename).name for file in spec.files}


def _named(spec: ModelSpec, weights: Mapping[str, str | Path]) -> dict[str, Path]:
    if not spec.more_weights:
        raise WeightsError(
            f"the weights of {spec.name!r} are one file",
            expected="a path",
            got=f"a mapping of {sorted(weights)}",
        )
    parts = list(_parts(spec))
    unknown = sorted(set(map(str, weights)) - set(parts))
    if unknown:
        raise WeightsError(
            f"{spec.name!r} has no part {unknown[0]!r}",
            expected=f"some of {parts}",
            got=str(sorted(map(str, weights))),
            hint=f"For example {_example(spec)}; a part left out is downloaded.",
        )
    return {part: Path(path) for part, path in weights.items()}


def _placed(tensors: Mapping[str, torch.Tensor], places: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Names of a file -> names of the network; a name that fits nothing stays, to be found unexpected."""
    placed = {}
    for name, tensor in tensors.items():
        old = next((old for old in places if old in name), None)
        new = name if old is None else places[old] + name[name.index(old) + len(old) :]
        placed[new] = tensor
    return placed


def _listed(spec: ModelSpec) -> str:
    return ", ".join(f"{name} ({part})" for part, name in _parts(spec).items())


def _example(spec: ModelSpec) -> str:
    return f"weights={{{', '.join(f'{part!r}: PATH' for part in _parts(spec))}}}"
