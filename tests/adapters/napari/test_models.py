"""Models: the first one, another at run time, and a download that is asked for, told of, and stopped."""

import sys
from pathlib import Path

import pytest
from bench import Bench, bench, nano
from discs import plane
from napari.components import ViewerModel

import lightsam_plugins
from lightsam_napari.preferences import Preferences, adopt, read_preferences, watch_preferences
from lightsam_plugins import Segmenter

sys.path.insert(0, str(Path(__file__).parents[2] / "core"))


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer with a disc."""
    viewer = ViewerModel()
    viewer.add_image(plane(), name="disc")
    return viewer


def click(b: Bench) -> None:
    """Click on the disc and wait."""
    b.controller.image = b.viewer.layers["disc"]
    b.controller.click((50, 90))
    b.settle()


def test_the_first_model_is_loaded_by_the_worker(viewer: ViewerModel) -> None:
    """Nothing is loaded before the first job, which loads the preferred model."""
    with bench(viewer, Preferences(device="cpu", threads=2)) as b:
        b.controller.models.current = None
        assert b.controller.engine.model is None
        click(b)
        assert b.controller.engine.model.name == "nano"
        assert b.controller.candidate.model == "nano"


def test_a_model_that_is_not_there_is_not_downloaded_at_the_start(viewer: ViewerModel) -> None:
    """With a preferred model whose weights are missing, nano is taken."""
    with bench(viewer, Preferences(model="sam-vit-h", device="cpu")) as b:
        b.controller.models.current = None
        click(b)
        assert b.controller.candidate.model == "nano"


def test_another_device_at_run_time(viewer: ViewerModel) -> None:
    """The model is loaded again beside the present one, and the candidate is found again with it."""
    with bench(viewer) as b:
        click(b)
        before, first = b.controller.models.current, b.controller.candidate
        b.controller.change_model("nano", "cpu")
        b.settle(lambda: b.controller.models.current is not before)
        b.settle()
        assert b.controller.engine.model is b.controller.models.current
        assert b.controller.candidate is not None
        assert b.controller.candidate is not first
        assert b.messages.count("nano is ready.") == 1


def test_a_wrong_device_is_told_and_the_present_model_stays(viewer: ViewerModel) -> None:
    """An error while loading names what is there, and work goes on."""
    with bench(viewer) as b:
        click(b)
        before = b.controller.models.current
        b.controller.change_model("nano", "cuda:77")
        b.settle(lambda: "device 'cuda:77' is not there" in b.messages[-1])
        assert b.controller.models.current is before


def test_licences_are_asked_for(viewer: ViewerModel) -> None:
    """A model with terms is always asked for, and not loaded without its licence's name."""
    with bench(viewer) as b:
        assert b.controller.models.missing("nano") is None
        assert b.controller.models.missing("edgesam").licence_terms
        b.controller.change_model("edgesam", "cpu")
        b.settle(lambda: "licence" in b.messages[-1])


def test_a_download_is_told_and_stopped(
    viewer: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes are told while they come, nano works meanwhile, and a stop leaves the present model."""
    from hub_server import serving

    from lightsam_plugins.registry import model_card

    with serving(tmp_path, monkeypatch) as server, bench(viewer) as b:
        weights = model_card("sam-vit-b").weights
        server.add_hub(str(weights.repo), weights.filename, b"0" * 300_000)
        b.controller.change_model("sam-vit-b", "cpu")
        b.settle(lambda: any("sam-vit-b" in message for message in b.messages[1:]))
        assert b.controller.models.name == "nano"
        b.controller.change_model("sam-vit-b", "cpu")
        b.controller.cancel()
        assert b.messages[-1] == "Stopped."
        click(b)
        assert b.controller.candidate.model == "nano"


def test_preferences_have_defaults() -> None:
    """Where napari knows of no preferences of the plugin, those of the manifest hold."""
    found = read_preferences()
    assert (found.model, found.device, found.threads, found.hover) == ("nano", "auto", 0, True)


def test_preferences_hold_at_once(viewer: ViewerModel) -> None:
    """Hover, memory, threads and device follow while the panel is open; a model that is not there is only spoken of."""
    with bench(viewer) as b:
        c = b.controller
        click(b)
        before = c.models.current
        adopt(c, Preferences(device="cpu", hover=False, cache_mb=7, threads=2))
        assert (c.hover.on, c.engine.cache.limit, c.models.threads) == (False, 7_000_000, 2)
        assert c.models.current is before
        adopt(c, Preferences(model="sam-vit-h", device="cpu"))
        assert b.messages[-1].startswith("sam-vit-h is not on this machine: choose it in the panel")
        adopt(c, Preferences(device="auto"))
        b.settle(lambda: c.models.current is not before)
        assert c.models.device == "auto"


def test_the_page_of_preferences_tells_of_changes() -> None:
    """A change in napari's dialog reaches the panel until it is closed."""
    from napari.settings import get_plugin_settings

    page = get_plugin_settings("lightsam-plugins").segmentation
    told: list[Preferences] = []
    end = watch_preferences(told.append)
    page.cache_mb = 300
    end()
    page.cache_mb = 500
    assert told == [Preferences(cache_mb=300)]


def test_a_model_chosen_while_the_first_is_loaded_stays(
    viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first model comes late, after another was taken: the other one answers."""
    late = Segmenter(nano()._runner.module, nano().spec)
    with bench(viewer) as b:
        models = b.controller.models
        models.current = None
        monkeypatch.setattr(lightsam_plugins, "load", lambda *_, **__: (models.take(late), nano())[1])
        assert models.ready() is late
        assert b.controller.engine.model is late
