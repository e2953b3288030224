"""Weights under a licence that restricts their use are not fetched before it is accepted by its name."""

import pytest
from typer.testing import CliRunner

import lightsam_plugins as ls
from lightsam_plugins.cli.app import build_app
from lightsam_plugins.licences import VARIABLE, require_licence
from lightsam_plugins.registry import MODELS, model_card

RESTRICTED = ["edgesam", "edgesam-3x"]


class Fetched(Exception):
    """Raised in place of a download."""


@pytest.fixture(autouse=True)
def fetched(monkeypatch):
    """Names of the models whose download was begun; `load` gets no further than that."""
    names = []

    def fetch(spec, file, **options):
        names.append(spec.name)
        raise Fetched(spec.name)

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("lightsam_plugins.loading.fetch", fetch)
    monkeypatch.setattr("lightsam_plugins.weights.fetch", fetch)
    return names


def test_the_restricted_models():
    """These models ask for their licence, and no other does."""
    assert [name for name in sorted(MODELS) if MODELS[name].licence_terms] == RESTRICTED
    assert all(MODELS[name].licence_terms.startswith("https://") for name in RESTRICTED)


@pytest.mark.parametrize("accepted", [None, "MIT", "s-lab", ""])
@pytest.mark.parametrize("name", RESTRICTED)
def test_without_the_right_name_nothing_is_fetched(name, accepted, fetched):
    """The error says which licence, where it is, and how to accept it."""
    message = (
        rf"'{name}' are under the licence S-Lab-1\.0.*expected accept_licence='S-Lab-1\.0', got {accepted!r}.*"
        rf"https://github\.com/chongzhou96/EdgeSAM.*accept_licence='S-Lab-1\.0'.*"
        rf"lightsam download --accept-licence S-Lab-1\.0 {name}.*LIGHTSAM_ACCEPT_LICENCES=S-Lab-1\.0"
    )

    with pytest.raises(ls.LicenceNotAccepted, match=message):
        ls.load(name, device="cpu", accept_licence=accepted)

    assert fetched == []


def test_weights_of_ones_own_need_it_too(tmp_path):
    """The licence is asked for before a file is looked at."""
    with pytest.raises(ls.LicenceNotAccepted):
        ls.load("edgesam", device="cpu", weights=tmp_path / "missing.pth")


def test_accepted_by_name(fetched):
    """With its name given the model is fetched."""
    with pytest.raises(Fetched):
        ls.load("edgesam", device="cpu", accept_licence="S-Lab-1.0")

    assert fetched == ["edgesam"]


def test_accepted_in_the_environment(fetched, monkeypatch):
    """For hosts that only name a model, the environment holds the licences that are accepted."""
    monkeypatch.setenv(VARIABLE, "Other-2.0, S-Lab-1.0")

    with pytest.raises(Fetched):
        ls.load("edgesam-3x", device="cpu")

    assert fetched == ["edgesam-3x"]


def test_other_models_ask_for_nothing():
    """A licence that need not be accepted may be named or not."""
    for accepted in (None, "S-Lab-1.0"):
        require_licence(model_card("mobilesam"), accepted)


def test_the_command_line_stops_before_the_first_byte(fetched):
    """`download` of several models fetches none where one of them is refused."""
    done = CliRunner().invoke(build_app(), ["download", "mobilesam", "edgesam"])

    assert done.exit_code == 1
    assert "S-Lab-1.0" in done.output
    assert fetched == []


def test_the_command_line_takes_the_name(fetched):
    """`download --accept-licence` goes on to fetch."""
    done = CliRunner().invoke(build_app(), ["download", "--accept-licence", "S-Lab-1.0", "edgesam"])

    assert isinstance(done.exception, Fetched)
    assert fetched == ["edgesam"]
