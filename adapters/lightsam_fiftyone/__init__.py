"""LightSAM models in FiftyOne: a zoo source, a plugin, and the package both call.

FiftyOne runs a copy of this file in its own folders, under another name and anew at every call; hence nothing is
imported before it is needed, and always from the installed package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from lightsam_fiftyone._model import LightSAMModel
    from lightsam_plugins.evaluation import Dataset

__all__ = ["install", "load_model", "read_dataset", "uninstall"]


def load_model(model_name: str = "nano", model_path: str | None = None, **options: Any) -> LightSAMModel:
    """Load a model for ``dataset.apply_model``.

    Args:
        model_name: As in `lightsam_plugins.load`; the zoo puts ``lightsam/`` before it.
        model_path: Where the zoo would have a file; the weights lie in the cache of `lightsam_plugins`.
        **options: device, dtype, weights, engine, accept_licence, trust as in `lightsam_plugins.load`;
            box_prompt_field, point_prompt_field, mask_prompt_field, prompt_field: fields to take prompts from where
            ``apply_model`` names none;
            points_mask_index: of the three masks of clicks, by size, the one to take (0 the smallest); else the best;
            bbox_mode: ``"prompt"`` keeps a prompt's box, ``"mask"`` draws one around the whole mask;
            keep_attributes: names of more attributes to carry over from prompts;
            auto_kwargs: options of everything mode; confidence_thresh;
            prompt_batch: prompts decoded at once, which bounds the memory.
    """
    from lightsam_fiftyone._config import LightSAMModelConfig
    from lightsam_fiftyone._model import LightSAMModel

    return LightSAMModel(LightSAMModelConfig({"variant": model_name.removeprefix("lightsam/"), **options}))


def read_dataset(samples: Any, field: str = "ground_truth") -> Dataset:
    """Annotated samples for ``lightsam_plugins.evaluation.evaluate``.

    Args:
        samples: A dataset or a view.
        field: Its field of detections with masks; those without are named in ``problems`` and left out. An attribute
            ``iscrowd``, as COCO's import makes it, marks what is not to be asked for.

    Raises:
        InputError: The field holds other labels.
    """
    from lightsam_fiftyone._evaluation import read_dataset

    return read_dataset(samples, field)


def install() -> list[Path]:
    """Put the models into FiftyOne's zoo and the operators into its App, without a network; returns both folders."""
    from lightsam_fiftyone import _commands

    return _commands.install()


def uninstall() -> list[Path]:
    """Undo `install`; returns the folders that were removed."""
    from lightsam_fiftyone import _commands

    return _commands.uninstall()


def download_model(model_name: str, model_path: str) -> None:
    """Called by the zoo, before it looks whether the package is there: fetch weights, or leave it to `load_model`."""
    from importlib.util import find_spec

    if find_spec("lightsam_plugins"):
        from lightsam_fiftyone import _commands

        _commands.download(model_name, model_path)


def resolve_input(model_name: str, ctx: Any) -> Any:
    """Called by the form "Apply zoo model": the fields of this model."""
    from lightsam_fiftyone import _operators

    return _operators.model_form(ctx)


def parse_parameters(model_name: str, ctx: Any, params: dict[str, Any]) -> None:
    """Called by the form: leave out what was left empty."""
    for name in [name for name, value in params.items() if value in (None, "")]:
        del params[name]


def register(plugin: Any) -> None:
    """Called by FiftyOne's App: the operators."""
    from lightsam_fiftyone import _operators

    _operators.register(plugin)
