"""The model that is used, and the change to another while work goes on with the present one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from lightsam_plugins.errors import Cancelled, LightSamError
from lightsam_plugins.licences import require_licence
from lightsam_plugins.registry import list_models, model_card

if TYPE_CHECKING:
    from lightsam_napari.preferences import Preferences
    from lightsam_napari.worker import Deliver
    from lightsam_plugins.model_spec import ModelSpec
    from lightsam_plugins.segmenter import Segmenter


class Models:
    """Loads models beside the window's thread and the worker's.

    Args:
        preferences: Model, device and threads at the start.
        deliver: Runs a function on the window's thread, soon.
        loaded: Called there when `current` is another model.
    """

    def __init__(self, preferences: Preferences, deliver: Deliver, loaded: Callable[[], None]) -> None:
        self.device = preferences.device
        self.current: Segmenter | None = None
        self.threads = preferences.threads
        self._first = preferences.model if not self.missing(preferences.model) else "nano"
        self._deliver, self._loaded = deliver, loaded
        self._stop = threading.Event()
        self._loading, self._change = threading.Lock(), threading.Lock()

    @property
    def name(self) -> str:
        """Name of the present model, or of the one that is about to be loaded first."""
        return self.current.name if self.current else self._first

    def names(self) -> list[str]:
        """All models."""
        return list_models()

    def missing(self, name: str) -> ModelSpec | None:
        """The card of a model whose weights have to be downloaded first, or whose licence has to be accepted."""
        from lightsam_plugins.weights.fetching import is_downloaded

        spec = model_card(name)
        return None if is_downloaded(spec) and not spec.licence_terms else spec

    def ready(self) -> Segmenter:
        """The present model, loaded at the first job; called on the worker's thread."""
        import lightsam_plugins as ls
        from lightsam_plugins.devices import spare_threads, use_threads

        # All cores at once would have the window's thread and the model's wait for each other.
        use_threads(self.threads or spare_threads())
        if self.current is not None:
            return self.current
        with self._loading:  # torch is imported once, by whoever is first
            first = ls.load(self._first, device=self.device)
        with self._change:
            # Another one may have been taken while this one was loaded: that is the user's choice.
            self.current = self.current or first
            return self.current

    def change(
        self,
        name: str,
        device: str,
        *,
        accept_licence: str | None = None,
        failed: Callable[[str], None] = lambda _: None,
        tell: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Load another model, downloading its weights; the present one is used until it is there.

        Args:
            name: Of the model.
            device: Where to run it.
            accept_licence: Name of its licence, where it asks for that.
            failed: Called on the window's thread with what went wrong.
            tell: Called there with (bytes done, bytes in all) of a download.
        """
        self.cancel()
        stop = self._stop = threading.Event()

        def report(done: int, total: int) -> bool:
            self._deliver(lambda: None if stop.is_set() else tell(done, total))
            return not stop.is_set()

        def load() -> None:
            try:
                model = self._load(name, device, accept_licence, report)
            except Cancelled:
                return
            except (LightSamError, RuntimeError, OSError) as error:
                text = str(error)
                self._deliver(lambda: None if stop.is_set() else failed(text))
                return
            self._deliver(lambda: None if stop.is_set() else self.take(model, device))

        threading.Thread(target=load, name="lightsam-load", daemon=True).start()

    def cancel(self) -> None:
        """Stop loading; the present model stays."""
        self._stop.set()

    def take(self, model: Segmenter, device: str = "auto") -> None:
        """Use a model from now on; on the window's thread.

        Args:
            model: It is loaded.
            device: What the user asked for, to be shown.
        """
        with self._change:
            self.current, self.device = model, device
        self._loaded()

    def _load(
        self, name: str, device: str, accept_licence: str | None, report: Callable[[int, int], bool]
    ) -> Segmenter:
        import lightsam_plugins as ls
        from lightsam_plugins.weights.fetching import fetch

        spec = model_card(name)
        require_licence(spec, accept_licence)
        for file in spec.files:
            fetch(spec, file, progress=False, report=report)
        return ls.load(name, device=device, accept_licence=accept_licence)
