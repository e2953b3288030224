"""Every network computes what the official implementation computed, on the same deterministic weights.

Runs for each registered model whose files are in ``--golden-dir``: a new model needs its two files here, and
nothing else.
"""

from pathlib import Path

import golden_recipe as recipe
import numpy as np
import pytest

from lightsam_plugins.registry import list_models, model_card

TOLERANCE = 2e-5  # relative; float32 gives 1e-6. 1e-3 would still mean the same masks, but an epsilon of 1e-6
# instead of 1e-5 in the decoder's layer norms is an error of 8e-5, and must not pass.


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One set of tests for each model that has golden files."""
    folder = Path(metafunc.config.getoption("golden_dir"))
    models = [name for name in list_models() if recipe.path(folder, name, "npz").is_file()]
    if not models:
        raise pytest.UsageError(f"no golden file of a registered model in {folder}")
    metafunc.parametrize("model", models, scope="module")


@pytest.fixture(scope="module")
def reference(model, golden_dir):
    """The golden file."""
    with np.load(recipe.path(golden_dir, model, "npz")) as file:
        return dict(file)


@pytest.fixture(scope="module")
def computed(model, golden_dir):
    """What this package computes: name -> (statistics of the whole array, the part that is kept)."""
    return {
        name: (np.array([whole.mean(), whole.std(ddof=1), np.abs(whole).max()], np.float64), part.copy())
        for name, whole, part in recipe.outputs(model_card(model), golden_dir)
    }


def test_every_key_and_shape_of_the_official_state_dict_is_accounted_for(model, golden_dir):
    """The network has the official names and shapes, all but the declared unused ones, and no others."""
    _, official = recipe.keys(golden_dir, model)
    network = recipe.build_network(model_card(model))
    unused = {name for name in official if name.startswith(tuple(network.unused_keys))}

    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    assert own == {name: shape for name, shape in official.items() if name not in unused}
    assert all(any(name.startswith(prefix) for name in unused) for prefix in network.unused_keys)


def test_every_array_equals_the_official_one(model, reference, computed, measured):
    """Embedding, logits and predicted IoU of every prompt case agree to float32 precision."""
    expected = {name: array for name, array in reference.items() if not name.endswith("#stat")}
    assert set(computed) == set(expected)

    errors = {
        name: max(
            np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
            for found, wanted in zip(
                recipe.parts(name, computed[name][1]), recipe.parts(name, array), strict=True
            )
        )
        for name, array in expected.items()
    }
    measured[model] = errors

    assert {name: error for name, error in errors.items() if not error <= TOLERANCE} == {}


def test_the_arrays_agree_where_the_golden_file_keeps_no_values(reference, computed):
    """Mean, standard deviation and largest absolute value of the whole arrays agree as well."""
    errors = {
        name: np.abs(statistics - reference[f"{name}#stat"]).max() / reference[f"{name}#stat"][1]
        for name, (statistics, _) in computed.items()
    }

    assert {name: error for name, error in errors.items() if not error <= 5 * TOLERANCE} == {}
