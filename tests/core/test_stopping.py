"""An encoding is given up between two operations, in its own thread only."""

import threading

import numpy as np
import pytest
import torch

import lightsam_plugins as ls
from lightsam_plugins.stopping import stoppable

IMAGE = np.zeros((64, 64, 3), np.uint8)


def test_an_encoding_stops_half_way() -> None:
    """Told to stop after ten operations, the network does not begin the eleventh, and the model works on afterwards."""
    model, asked = ls.load("nano", device="cpu"), []

    def keep_going() -> bool:
        asked.append(True)
        return len(asked) <= 10

    with pytest.raises(ls.errors.Cancelled, match="encoding was stopped"):
        model.embed(IMAGE, keep_going=keep_going)
    assert len(asked) == 11
    with pytest.raises(ls.errors.Cancelled, match="encoding was stopped"):
        model.embed([IMAGE, IMAGE], keep_going=lambda: False)
    whole = model.embed(IMAGE, keep_going=lambda: True)
    for name, tensor in model.embed(IMAGE).features.items():
        assert torch.equal(tensor, whole.features[name])


def test_other_threads_are_not_stopped() -> None:
    """While one thread's operations are refused, those of another run."""
    found = []
    with stoppable(lambda: False):
        other = threading.Thread(target=lambda: found.append(float(torch.ones(3).sum())))
        other.start()
        other.join()
    assert found == [3.0]
