"""A hash that proves little: refused where it differs, unless the user says that the source is trusted."""

import pathlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hub_server import CONTENT, REPO, HubServer, leftovers, model, serving
from typer.testing import CliRunner

import lightsam_plugins as ls
from lightsam_plugins.cli.app import build_app
from lightsam_plugins.errors import ChecksumError
from lightsam_plugins.registry import MODELS
from lightsam_plugins.weights import fetch

OTHER = CONTENT[::-1]  # of the right size
WEAK = "it comes from one list"


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The loopback server."""
    with serving(tmp_path, monkeypatch) as running:
        yield running


def weak(server: HubServer, source: str, content: bytes, **changes: object) -> ls.ModelSpec:
    """A model with a weak hash whose file is served, from the Hub or from a plain URL."""
    if source == "hub":
        server.add_hub(REPO, "fake.pt", content)
        return model(repo=REPO, weak=WEAK, **changes)
    return model(url=server.add_url("/files/fake.pt", content)[1], weak=WEAK, **changes)


@pytest.mark.parametrize("source", ["hub", "url"])
def test_another_hash_is_refused_with_what_is_known(
    server: HubServer, tmp_path: pathlib.Path, source: str
) -> None:
    """Without consent the file is refused and removed; the error says why the hash is weak, and what helps."""
    with pytest.raises(
        ChecksumError,
        match=r"expected 300000 bytes with sha256 .*got .*a file with sha256 .*The expected hash is weak: it comes "
        r"from one list\..*`lightsam download --trust fake` or load\('fake', trust=True\).*"
        r"verified by its size, 300000",
    ):
        fetch(weak(server, source, OTHER), progress=False)

    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("source", ["hub", "url"])
def test_trusted_once_it_is_known(server: HubServer, source: str) -> None:
    """With consent the size will do, and the file is found again without asking."""
    spec = weak(server, source, OTHER)

    path = fetch(spec, progress=False, trust=True)
    asked = len(server.requests)

    assert path.read_bytes() == OTHER
    assert fetch(spec, progress=False) == path
    assert len(server.requests) == asked


@pytest.mark.parametrize("source", ["hub", "url"])
def test_a_trusted_file_that_changes_is_no_longer_known(server: HubServer, source: str) -> None:
    """Consent is for the file that came, not for whatever takes its place."""
    spec = weak(server, source, OTHER)
    path = fetch(spec, progress=False, trust=True)
    path.write_bytes(b"x" * len(OTHER))

    with pytest.raises(ChecksumError, match="The expected hash is weak"):
        fetch(spec, progress=False)


@pytest.mark.parametrize("source", ["hub", "url"])
def test_trust_does_not_excuse_another_size(server: HubServer, tmp_path: pathlib.Path, source: str) -> None:
    """A file of another size is refused with consent too, and the error does not advise consent."""
    with pytest.raises(ChecksumError, match="a file of 1000 bytes") as caught:
        fetch(weak(server, source, OTHER[:1000]), progress=False, trust=True)

    assert "trust" not in str(caught.value)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("source", ["hub", "url"])
def test_sound_hashes_are_compared_always(server: HubServer, source: str) -> None:
    """Consent means nothing where the hash is sound."""
    spec = weak(server, source, OTHER)
    with pytest.raises(ChecksumError) as caught:
        fetch(replace(spec, weights=replace(spec.weights, weak=None)), progress=False, trust=True)

    assert "trust" not in str(caught.value)


def test_the_weak_hash_still_counts(server: HubServer) -> None:
    """A file that has the weak hash needs no consent."""
    assert fetch(weak(server, "hub", CONTENT), progress=False).read_bytes() == CONTENT


def test_without_a_size_consent_is_to_anything(server: HubServer) -> None:
    """Where no size is published either, the error says that nothing is verified."""
    spec = weak(server, "hub", OTHER, size=0)
    with pytest.raises(ChecksumError, match="verified by nothing, as no size is published"):
        fetch(spec, progress=False)

    assert fetch(spec, progress=False, trust=True).read_bytes() == OTHER


def test_the_weak_models() -> None:
    """These files have weak hashes, and no other."""
    found = {file.filename for spec in MODELS.values() for file in spec.files if file.weak}

    assert found == {
        "l2.pt",
        "tinysam.pth",
        "weight/ObjectAwareModel.pt",
    }


def test_the_command_line(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`download` says what is weak and refuses; with --trust it takes the file."""
    monkeypatch.setitem(MODELS, "fake", weak(server, "hub", OTHER))
    refused = CliRunner().invoke(build_app(), ["download", "fake"])
    taken = CliRunner().invoke(build_app(), ["download", "--trust", "fake"])

    assert refused.exit_code == 1
    assert "lightsam download --trust fake" in " ".join(refused.output.replace("│", " ").split())
    assert taken.exit_code == 0
    assert f"the hash of fake.pt is weak: {WEAK}" in " ".join(taken.output.split())


def test_load_passes_it_on(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`load(trust=True)` gets as far as reading the file; without it the hash stops it."""
    nano = MODELS["nano"]
    monkeypatch.setitem(MODELS, "nano", replace(nano, weights=weak(server, "hub", OTHER).weights))

    with pytest.raises(ChecksumError, match="The expected hash is weak"):
        ls.load("nano", device="cpu")
    with pytest.raises(ls.WeightsError, match="expected a checkpoint"):
        ls.load("nano", device="cpu", trust=True)
