"""The public names, pinned: hosts and users rely on them."""

import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import lightsam_plugins as ls
from lightsam_plugins import errors

LIST = Path(__file__).with_name("public_api.txt")
POLICY = f"A name goes only with a new major version and an entry in CHANGELOG.md; new ones: {LIST.name}."


def public_names() -> list[str]:
    """Every name of the package, and the public members of its classes (errors have their own tree)."""
    names = list(ls.__all__)
    for name in ls.__all__:
        value = getattr(ls, name)
        if inspect.isclass(value) and not issubclass(value, Exception):
            members = {*vars(value), *getattr(value, "__annotations__", {})}
            names += [f"{name}.{member}" for member in members if not member.startswith("_")]
    return sorted(names)


def test_the_public_names_are_those_in_the_list() -> None:
    """Nothing public disappears or appears unnoticed."""
    assert public_names() == LIST.read_text("utf-8").split(), POLICY


@pytest.mark.parametrize("name", ls.__all__)
def test_every_name_is_there_and_remembered(name: str) -> None:
    """Each name of `__all__` resolves, is what its module has, and is listed by `dir`."""
    value = getattr(ls, name)

    assert value is getattr(ls, name)
    assert vars(ls)[name] is value
    assert name in dir(ls)


def test_all_errors_are_public() -> None:
    """Every class of the error tree can be caught by its name in the package."""
    tree = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }

    assert tree <= set(ls.__all__)


def test_names_are_sorted_and_star_import_works() -> None:
    """`from lightsam_plugins import *` gives exactly the public names."""
    code = "from lightsam_plugins import *; print(sorted(name for name in dir() if name != '__builtins__'))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name for name in ls.__all__ if repr(name) in result.stdout}

    assert found == set(ls.__all__)
    assert list(ls.__all__) == sorted(ls.__all__)


def test_unknown_names_are_attribute_errors() -> None:
    """What is not public does not exist."""
    with pytest.raises(AttributeError, match="module 'lightsam_plugins' has no attribute 'sagment'"):
        ls.sagment  # noqa: B018


def test_listing_models_loads_neither_torch_nor_numpy() -> None:
    """The names and cards of the models and the errors cost no heavy import."""
    code = (
        "import sys, lightsam_plugins as ls; ls.model_card(ls.list_models()[0]); ls.LightSamError; ls.__version__;"
        "print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_the_version_is_that_of_the_distribution() -> None:
    """`__version__` is the version pip knows."""
    assert ls.__version__ == metadata.version("lightsam-plugins")
