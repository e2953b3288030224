"""What the panel, the mouse and the keys do, on a viewer with or without a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Image, Labels, Points, Shapes
from psygnal import Signal

from lightsam_napari import gestures
from lightsam_napari.batch import Batch
from lightsam_napari.engine import GRANULARITIES, Engine, Found, Granularity
from lightsam_napari.hover import Hover
from lightsam_napari.layers import NEGATIVE, POSITIVE
from lightsam_napari.models import Models
from lightsam_napari.mouse import Mouse
from lightsam_napari.pixels import Contrast, Picture
from lightsam_napari.preferences import Preferences
from lightsam_napari.prompts import Prompts
from lightsam_napari.session import Session
from lightsam_napari.turns import Turns
from lightsam_napari.view import View
from lightsam_napari.worker import Deliver, Worker
from lightsam_plugins.errors import InputError, LightSamError

if TYPE_CHECKING:
    from napari.components import ViewerModel

_POINTLESS = "This points at nothing: begin with a click on the object, inside of the image."
_NEXT = "Point at an object."
_TAKEN = "It is part of older objects, or nearly so: choose overwrite to replace them."


class Controller:
    """A session on one image at a time, and the model beside it.

    Args:
        viewer: A viewer, or its model.
        deliver: Runs a function on the window's thread, soon; may be called from any thread.
        preferences: Model, device, memory and hover at the start.
    """

    changed = Signal(description="Something that the panel shows is different.")
    message = Signal(str, description="One sentence for the user.")
    busy = Signal(str, int, int, description="A long job: name, steps done, steps in all; 0 of 0 at its end.")

    def __init__(self, viewer: ViewerModel, deliver: Deliver, preferences: Preferences | None = None) -> None:
        self.preferences = preferences or Preferences()
        self.viewer = viewer
        self.worker = Worker(deliver)
        self.models = Models(self.preferences, deliver, self._on_model)
        self.engine = Engine(self.models, self.preferences.cache_mb * 1_000_000, self._on_reading)
        self.batch = Batch(self)
        self.mouse = Mouse(self)
        self.turns = Turns(self)
        self.hover = Hover(self, self.preferences.hover)
        self.session: Session | None = None
        self.protect, self.one_click = True, False
        self.granularity: Granularity = "best"
        self.candidate: Found | None = None
        self.view = View(viewer)
        self.extend_next = self._keep_next = False  # the next click, or mask, is of an object that is kept
        self._obstacle = False  # the last message said why nothing is found
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.connect(self._on_layer)
        viewer.dims.events.point.connect(self._on_view)
        viewer.dims.events.order.connect(self._on_view)
        viewer.dims.events.ndisplay.connect(self._on_view)

    @property
    def image(self) -> Image | None:
        """The image that is segmented."""
        return self.session.image if self.session else None

    @image.setter
    def image(self, image: Image | None) -> None:
        if image == self.image:
            return
        self._close_session()
        if image is not None:
            self.session = Session(self.viewer, image)
            self.session.prompts.edited.connect(self._on_edited)
            self.session.prompts.opened.connect(self._on_opened)
            self.encode()
        self.changed.emit()

    @property
    def labels(self) -> Labels | None:
        """Where finished objects go; None for a new layer."""
        return self.session.labels if self.session else None

    @labels.setter
    def labels(self, labels: Labels | None) -> None:
        session = self.require_session()
        try:
            session.labels = labels
        except LightSamError as error:
            self.message.emit(str(error))
        self.changed.emit()

    @property
    def contrast(self) -> Contrast:
        """How values become brightness."""
        return self.view.contrast

    @contrast.setter
    def contrast(self, contrast: Contrast) -> None:
        self.view.contrast = contrast
        self._on_view()

    @property
    def polarity(self) -> str:
        """Of the next click or scribble."""
        return self.session.prompts.polarity if self.session else POSITIVE

    @polarity.setter
    def polarity(self, polarity: str) -> None:
        self.require_session().prompts.polarity = polarity
        self.changed.emit()

    def set_mix(self, on: bool) -> None:
        """Add the other visible channels, in their colours, or not."""
        self.view.mix = on
        self._on_view()

    def picture(self) -> Picture:
        """The plane that is shown.

        Raises:
            LightSamError: There is no image, or no plane of it is shown.
        """
        return self.view.picture(self.require_session().image)

    def shown(self) -> Picture | None:
        """The plane that is shown; None where there is none, and the user is told why."""
        try:
            return self.picture()
        except LightSamError as error:
            self.message.emit(str(error))
            return None

    def click(self, data: Sequence[float], polarity: str | None = None) -> None:
        """A click at data coordinates of the image, as if by the mouse."""
        prompts = self.require_session().prompts
        usual, prompts.polarity = prompts.polarity, polarity or prompts.polarity
        prompts.open_points().add(tuple(data))
        prompts.polarity = usual

    def flip_polarity(self) -> None:
        """Turn "this" into "not this" for the next clicks, and back."""
        self.polarity = NEGATIVE if self.polarity == POSITIVE else POSITIVE

    def cycle_granularity(self) -> None:
        """The best mask, the smallest of three, the middle one, the largest, and again."""
        place = GRANULARITIES.index(self.granularity) + 1
        self.set_granularity(GRANULARITIES[place % len(GRANULARITIES)])

    def set_granularity(self, granularity: Granularity) -> None:
        """Which of the masks that a model offers is taken."""
        self.granularity = granularity
        self.refresh()
        self.changed.emit()

    def discard(self) -> None:
        """Take the prompts of this plane away, and the candidate with them."""
        session, shown = self.require_session(), self.shown()
        if shown is not None:
            session.prompts.restore(session.prompts.without(shown.plane, session.prompts.snapshot()))
            self._stepped(session.step(), "The prompts of this plane are gone.")

    def refresh(self) -> None:
        """Find the object of the present prompts again; without prompts there is no candidate."""
        self.worker.cancel("hover")
        if self.session is None:
            return
        try:
            shown = self.picture()
        except LightSamError as error:
            self._clear(str(error))
            return
        prompts = self.session.prompts.collect(shown.plane)
        if not prompts:
            there = self.session.seen != self.session.prompts.without(shown.plane, self.session.seen)
            self._clear(_POINTLESS if there else "")
            return
        if known := self.engine.known(shown, prompts, self.granularity):
            self._on_found(shown, known)
            return
        self.turns.asked = True
        self.submit("prompt", shown, prompts, self._on_found)

    def commit(self) -> None:
        """Keep the candidate as an object; where it is not there yet, as soon as it is."""
        if self.candidate is None:
            self._keep_next = self.worker.busy("prompt")
            if not self._keep_next:
                self.message.emit("There is nothing to keep yet: click on an object first.")
            return
        session, found = self.require_session(), self.candidate
        self._keep_next, self.candidate = False, None
        try:
            count = session.write(self.picture().plane, [found], protect=self.protect, clear=True)
        except LightSamError as error:
            self.candidate = found
            self.message.emit(str(error))
            return
        session.preview.hide()
        kept = f"Kept as object {session.highest}, score {found.score:.2f}."
        self.message.emit(kept if count else _TAKEN)
        self.changed.emit()

    def undo(self) -> bool:
        """Take one step back; whether there was one. Where a click is an object at once, both are one step."""
        done = self.session is not None and self.session.undo(whole=self.one_click)
        return self._stepped(done, "Taken back.")

    def redo(self) -> bool:
        """Make the step again that was taken back last; whether there was one."""
        done = self.session is not None and self.session.redo(whole=self.one_click)
        return self._stepped(done, "Made again.")

    def cancel(self) -> None:
        """Stop whatever is going on."""
        self.engine.wanted = ()  # no picture has this key
        self.worker.cancel()
        self.turns.end()
        self.models.cancel()
        self._ended("Stopped.")

    def change_model(self, name: str, device: str, *, accept_licence: str | None = None) -> None:
        """Load another model beside the present one, and take it when it is there; see `Models.change`."""
        self.message.emit(f"Loading {name}; the present model works meanwhile.")
        self.busy.emit(name, 0, 1)
        self.models.change(
            name,
            device,
            accept_licence=accept_licence,
            failed=self._ended,
            tell=lambda done, total: self.busy.emit(name, done, total),
        )

    def encode(self) -> None:
        """Read the plane that is shown, so that the first click is answered at once; give another up."""
        shown = self.shown()
        self.engine.wanted = shown and shown.key
        self.worker.cancel("encode", "prompt", "hover")
        if shown is None:
            return
        self.worker.submit(
            "encode", lambda ticket: self.engine.embedding(shown, ticket), lambda _: None, self.fail
        )

    def close(self, timeout: float | None = 0) -> None:
        """Stop all jobs, let go of the viewer, and take the helping layers away."""
        self.worker.close(timeout)
        self.models.cancel()
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.layers.events.disconnect(self._on_layer)
        for event in ("point", "order", "ndisplay"):
            getattr(self.viewer.dims.events, event).disconnect(self._on_view)
        self._close_session()

    def require_session(self) -> Session:
        """The session.

        Raises:
            InputError: No image is chosen.
        """
        if self.session is None:
            raise InputError("no image is chosen", expected="an image layer", hint="Open an image first.")
        return self.session

    def submit(
        self, kind: Literal["prompt", "hover"], shown: Picture, prompts: Prompts,
        done: Callable[[Picture, Found], None],
    ) -> None:  # fmt: skip
        """Have the object of some prompts found; `done` gets it on the window's thread."""
        granularity, self.engine.wanted = self.granularity, shown.key
        self.worker.submit(
            kind,
            lambda ticket: self.engine.segment(shown, prompts, granularity, ticket),
            lambda found: done(shown, found),
            self.fail,
        )

    def _stepped(self, done: bool, text: str) -> bool:
        if done:
            self.refresh()
            self.message.emit(text)
            self.changed.emit()
        return done

    def _clear(self, message: str) -> None:
        self.worker.cancel("prompt")
        self.turns.end()
        gone, self._obstacle = self.candidate is not None or self._obstacle, bool(message)
        self.candidate, self._keep_next = None, False
        if self.session is not None:
            self.session.preview.hide()
        if message or gone:
            self.message.emit(message or _NEXT)
        self.changed.emit()

    def _on_edited(self) -> None:
        session = self.require_session()
        self.worker.deliver(session.prompts.deselect)  # soon: napari selects it after it tells of it
        if self.turns.defers():
            return
        if self.extend_next:
            self.extend_next = False
            session.extend()
        if session.step():
            self.refresh()

    def _on_opened(self, layer: Points | Shapes) -> None:
        gestures.attach(self, layer)

    def _on_found(self, shown: Picture, found: Found) -> None:
        session = self.session
        if (
            session is None
            or not self._shows(shown.key)
            or session.prompts.collect(shown.plane) != found.prompts
        ):
            return
        self.candidate, self.turns.asked = found, False
        session.preview.show(found.crop, shown.plane)
        self.message.emit(f"{found.crop[2].sum()} pixels, score {found.score:.2f} ({found.model}).")
        if (self.one_click and not self.mouse.drags) or self._keep_next:
            self.commit()
            self.turns.next()
        self.changed.emit()

    def fail(self, error: Exception) -> None:
        """Tell what went wrong with a job."""
        self._clear("")
        self._ended(str(error) if isinstance(error, LightSamError) else f"{type(error).__name__}: {error}")

    def _ended(self, text: str) -> None:
        self.busy.emit("", 0, 0)
        self.message.emit(text)
        self.changed.emit()

    def _on_model(self) -> None:
        """Another model is loaded."""
        self.busy.emit("", 0, 0)
        self.message.emit(f"{self.models.name} is ready.")
        if self.session is not None:
            self.encode()
            self.refresh()
        self.changed.emit()

    def _on_reading(self, started: bool) -> None:
        self.worker.deliver(lambda: self.busy.emit("reading the image", 0, int(started)))

    def _on_view(self) -> None:
        """Another plane or another brightness is shown, perhaps: napari tells of much that changes neither."""
        if self.session is None or self._shows(self.engine.wanted):
            return
        self._clear("")
        self.encode()
        self.refresh()

    def _shows(self, key: object) -> bool:
        with suppress(LightSamError):
            return self.picture().key == key
        return False

    def _on_layer(self, event: Any) -> None:
        """Something happened to a layer, of which the list of layers tells as well, or to the list."""
        if self.view.is_touched(event):
            self._on_view()

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        self.view.forget(layer)
        if self.session is None:
            return
        if layer == self.session.image:  # not `is`: napari hands panels proxies of its layers
            self.image = None
        elif self.session.forget(layer):
            self.session.step()
            self.refresh()
        self.changed.emit()

    def _close_session(self) -> None:
        if self.session is None:
            return
        session, self.session = self.session, None
        self.worker.cancel()
        self.turns.end()
        self.candidate, self._keep_next, self.engine.wanted = None, False, None
        session.prompts.edited.disconnect(self._on_edited)
        session.prompts.opened.disconnect(self._on_opened)
        session.close()
        self.busy.emit("", 0, 0)
