"""The same answers on whatever accelerator the machine has."""

import numpy as np
import pytest
import torch
from fake_network import blocks, wand_segmenter

from lightsam_plugins.devices import available_devices
from lightsam_plugins.segmenter import Segmenter

IMAGE, BLOCKS = blocks()


@pytest.fixture
def moved() -> Segmenter:
    """The magic wand on the first accelerator."""
    best = available_devices()[0]
    if best == "cpu":
        pytest.skip("no GPU")
    return wand_segmenter().to(best)


def test_segment_as_on_the_cpu(moved: Segmenter) -> None:
    """Prompts give on the accelerator the masks that they give on the CPU; results are numpy arrays."""
    here = wand_segmenter().segment(IMAGE, boxes=BLOCKS, multimask=True)
    there = moved.segment(IMAGE, boxes=BLOCKS, multimask=True)

    np.testing.assert_array_equal(there.logits, here.logits)
    np.testing.assert_allclose(there.scores, here.scores, rtol=1e-6)


def test_everything_as_on_the_cpu(moved: Segmenter) -> None:
    """Everything mode finds on the accelerator what it finds on the CPU, crops included."""
    options = {"points_per_side": 8, "crop_n_layers": 1}
    here, there = (model.everything(IMAGE, **options) for model in (wand_segmenter(), moved))

    np.testing.assert_array_equal(there.boxes, here.boxes)


def test_embeddings_move_to_the_model(moved: Segmenter) -> None:
    """An embedding made on the CPU is used on the accelerator, and the other way round."""
    here = wand_segmenter()
    expected = here.segment(IMAGE, boxes=BLOCKS[0]).logits

    assert moved.embed(IMAGE).features["image"].device == torch.device(moved.device)
    np.testing.assert_array_equal(moved.segment(here.embed(IMAGE), boxes=BLOCKS[0]).logits, expected)
    np.testing.assert_array_equal(here.segment(moved.embed(IMAGE), boxes=BLOCKS[0]).logits, expected)
