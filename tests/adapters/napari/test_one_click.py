"""Each click an object at once: corrections, undo, and clicks faster than the model."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from bench import Bench, opened
from discs import two_discs


@contextmanager
def both_clicked() -> Iterator[Bench]:
    """A bench on two discs, each of which became an object by one click."""
    with opened(two_discs()) as b:
        b.controller.one_click = True
        for column in (40, 110):
            b.controller.click((50, column))
            b.settle()
        yield b


def test_one_click_an_object_and_corrections_of_the_last() -> None:
    """With one click an object, two clicks are two objects; taken back, the last one goes on with its prompts."""
    with both_clicked() as b:
        c = b.controller
        assert set(np.unique(b.label())) == {0, 1, 2}

        c.one_click = False
        assert c.undo()
        b.settle()
        assert set(np.unique(b.label())) == {0, 1}
        assert c.candidate.prompts.points == ((110.5, 50.5),)


def test_one_click_an_object_is_taken_back_as_a_whole() -> None:
    """Undo takes the object and its click, nothing is asked again; redo brings both."""
    with both_clicked() as b:
        c = b.controller
        both = b.label().copy()

        assert c.undo()
        b.settle()
        assert set(np.unique(b.label())) == {0, 1}
        assert not c.session.prompts.snapshot().points
        assert c.redo()
        b.settle()
        assert (b.label() == both).all()
        assert c.undo()
        assert c.undo()
        b.settle()
        assert not b.label().any()
        assert not c.undo()


def test_a_correction_of_the_last_object_is_taken_back_alone() -> None:
    """With one click an object, undo after a correction gives the object as it was before; another takes it away."""
    with opened(two_discs()) as b:
        c = b.controller
        c.one_click = True
        c.click((50, 40))
        b.settle()
        before = b.label().copy()
        c.extend_next = True
        c.click((50, 110))
        b.settle()
        assert (b.label() != before).any()

        assert c.undo()
        b.settle()
        assert (b.label() == before).all()
        assert c.undo()
        b.settle()
        assert not b.label().any()


def test_clicks_faster_than_the_model_are_an_object_each() -> None:
    """With one click an object a second click waits until the first is an object, and a third until the second is."""
    with opened(two_discs()) as b:
        c = b.controller
        c.one_click = True
        for place in ((50, 40), (50, 110), (5, 5)):
            c.click(place)
        b.settle()
        b.settle()
        b.settle()

        assert b.label()[50, 40] == 1
        assert b.label()[50, 110] == 2
        assert len(c.labels.features) == 3 or not b.label()[5, 5]
