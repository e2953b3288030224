"""Five hundred actions at random, by a seed: no error, no layer or callback that stays, no memory that grows."""

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest
from bench import Bench, bench
from discs import plane, stack
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

ACTIONS = 500


class Monkey:
    """A user without a plan."""

    def __init__(self, b: Bench, seed: int) -> None:
        self.b, self.c, self.viewer = b, b.controller, b.viewer
        self.random = np.random.default_rng(seed)

    def place(self) -> tuple[float, ...]:
        """Somewhere in the image or beside it."""
        row, column = self.random.uniform((-10, -10), (130, 170))
        return (*self.viewer.dims.current_step[: self.c.image.ndim - 2], row, column)

    def act(self) -> str:
        """Do something; its name."""
        if self.c.image is None:
            images = [layer for layer in self.viewer.layers if isinstance(layer, Image)]
            self.c.image = images[0] if images else self.viewer.add_image(stack(), name="again")
            return "image"
        names = [name for name in dir(self) if name.startswith("do_")]
        name = str(self.random.choice(names))
        getattr(self, name)()
        return name

    def do_click(self) -> None:
        self.c.click(self.place(), str(self.random.choice(["positive", "positive", "negative"])))

    def do_hover(self) -> None:
        self.c.hover.at(self.place())

    def do_other_view(self) -> None:
        """Three dimensions for a while, or the axes rolled."""
        if self.viewer.dims.ndim < 3:
            return
        if self.random.random() < 0.5:
            self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay
        else:
            self.viewer.dims.roll()

    def do_box(self) -> None:
        if self.viewer.dims.ndisplay == 3:
            return
        self.c.mouse.drag_box(
            self.c.image.data_to_world(self.place()), self.c.image.data_to_world(self.place()), last=True
        )

    def do_move(self) -> None:
        points = self.c.session.prompts.points
        if points is not None and len(points.data) and self.viewer.dims.ndisplay == 2:
            self.c.mouse.move_click(0, self.c.image.data_to_world(self.place()), last=True)

    def do_delete_click(self) -> None:
        points = self.c.session.prompts.points
        if points is not None and len(points.data):
            points.selected_data = {0}
            points.remove_selected()

    def do_keep(self) -> None:
        self.c.commit()

    def do_discard(self) -> None:
        self.c.discard()

    def do_undo(self) -> None:
        self.c.undo()

    def do_redo(self) -> None:
        self.c.redo()

    def do_slider(self) -> None:
        if self.viewer.dims.ndim > 2:
            self.viewer.dims.set_current_step(0, int(self.random.integers(5)))

    def do_granularity(self) -> None:
        self.c.cycle_granularity()

    def do_switches(self) -> None:
        self.c.one_click, self.c.protect = (bool(value) for value in self.random.integers(0, 2, 2))
        self.c.flip_polarity()

    def do_tool(self) -> None:
        self.c.mouse.use(self.random.choice(["click", "box", "lasso", "edit"]))

    def do_wait(self) -> None:
        self.b.settle()

    def do_cancel(self) -> None:
        self.c.cancel()

    def do_contrast(self) -> None:
        self.c.contrast = "percentiles" if self.c.contrast == "as shown" else "as shown"

    def do_paint(self) -> None:
        if self.c.labels is not None:
            self.c.labels.paint(tuple(np.clip(self.place(), 0, 100)), 3)

    def do_other_model(self) -> None:
        self.c.change_model("nano", "cpu")

    def do_remove_a_layer(self) -> None:
        if self.random.random() < 0.3 and len(self.viewer.layers):
            self.viewer.layers.pop(int(self.random.integers(len(self.viewer.layers))))


def callbacks(viewer: ViewerModel) -> list[int]:
    """How many listen to what the controller listens to."""
    dims, layers = viewer.dims.events, viewer.layers.events
    return [len(event.callbacks) for event in (layers, layers.removed, dims.point, dims.order, dims.ndisplay)]


def helpers(viewer: ViewerModel) -> list[Any]:
    """Layers that are not the user's."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Points | Shapes) or (isinstance(layer, Labels) and layer.name == "candidate")
    ]


def grown() -> tuple[int, int]:
    """Objects of this plugin that are alive, and bytes that Python holds."""
    gc.collect()
    alive = sum(1 for thing in gc.get_objects() if str(type(thing).__module__).startswith("lightsam"))
    return alive, tracemalloc.get_traced_memory()[0]


@pytest.mark.filterwarnings(
    "ignore:invalid value encountered:RuntimeWarning"
)  # of napari, as the axes are rolled
def test_500_actions() -> None:
    """In two viewers by turns nothing raises; each has at most one layer of each kind, and none and no callback at the
    end; neither objects nor memory grow from the middle on."""
    viewers = [ViewerModel(), ViewerModel()]
    for viewer in viewers:
        viewer.add_image(stack(), name="stack")
    before = [callbacks(viewer) for viewer in viewers]
    sizes: list[tuple[int, int]] = []
    done: list[str] = []
    tracemalloc.start()
    with bench(viewers[0]) as first, bench(viewers[1]) as second:
        monkeys = [Monkey(first, seed=5), Monkey(second, seed=6)]
        for b in (first, second):
            b.controller.engine.cache.limit = 8_000_000  # a few planes, so that the cache is full soon
        for number in range(ACTIONS):
            monkey = monkeys[number // 7 % 2]
            done.append(monkey.act())
            if number % 5 == 0:
                monkey.b.settle(lambda: True)
            assert len(helpers(monkey.viewer)) <= 3, done[-5:]
            if number % 100 == 99:
                first.settle()
                second.settle()
                sizes.append(grown())
        wrong = [message for b in (first, second) for message in b.messages if "Error" in message]
    tracemalloc.stop()
    assert wrong == []
    assert len(set(done)) > 15
    assert [helpers(viewer) for viewer in viewers] == [[], []]
    assert [callbacks(viewer) for viewer in viewers] == before
    # Undo keeps a hundred steps, each of a few objects; what is beyond that would be a leak.
    assert sizes[-1][0] < 8000
    assert sizes[-1][0] - sizes[1][0] < 3000, sizes
    assert sizes[-1][1] - sizes[1][1] < 20_000_000, sizes


def test_opening_and_closing_leaves_nothing() -> None:
    """Twenty controllers on one viewer, one after the other, leave no thread, layer or callback behind."""
    import threading

    viewer = ViewerModel()
    image = viewer.add_image(plane())
    before, threads = callbacks(viewer), threading.active_count()
    for _ in range(20):
        with bench(viewer) as b:
            b.controller.image = image
            b.controller.click((50, 90))
    assert callbacks(viewer) == before
    assert threading.active_count() <= threads  # those of earlier tests may have ended meanwhile
    assert list(viewer.layers) == [image]
