"""`load`: from a name to a model that segments."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from seeded import photo, seeded_network

import lightsam_plugins as ls
from lightsam_plugins.errors import DeviceError, OptionError, UnknownModel, WeightsError, WeightsMismatch
from lightsam_plugins.segmenter import Segmenter


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory):
    """A checkpoint of `nano`, not the one in the package."""
    path = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    state = seeded_network("nano").state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def test_own_weights_are_used(weights) -> None:
    """With `weights` the answers are those of the network with the tensors of that file."""
    model = ls.load("nano", device="cpu", weights=str(weights))
    expected = Segmenter(seeded_network("nano"), ls.model_card("nano"))
    image = photo(60, 80)

    assert repr(model) == "Segmenter('nano', device='cpu', dtype='float32')"
    np.testing.assert_array_equal(
        model.segment(image, boxes=[9, 9, 50, 40]).logits,
        expected.segment(image, boxes=[9, 9, 50, 40]).logits,
    )


def test_dtype_is_passed_on(weights) -> None:
    """The weights are converted to the precision asked for, but for those of `nano`'s decoder."""
    model = ls.load("nano", "cpu", weights, "bfloat16")
    network = model._runner.module

    assert model.dtype == torch.bfloat16
    assert {weight.dtype for weight in network.encoder.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in network.decoder.parameters()} == {torch.float32}


def test_another_models_weights_are_refused(weights) -> None:
    """Tensors of another network are named, with the file they are in."""
    with pytest.raises(WeightsMismatch, match="mobilesam"):
        ls.load("mobilesam", device="cpu", weights=weights)


def test_missing_weights_are_named(tmp_path) -> None:
    """A file that is not there is a WeightsError that names it."""
    with pytest.raises(WeightsError, match=r"nowhere\.pt"):
        ls.load("nano", device="cpu", weights=tmp_path / "nowhere.pt")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "MobileSAM"}, UnknownModel, "unknown model 'MobileSAM': .* Did you mean 'mobilesam'"),
        ({"name": "nanno"}, UnknownModel, "unknown model 'nanno': expected one of .* Did you mean 'nano'"),
        ({"name": "nano", "device": "cuda:99"}, DeviceError, "device 'cuda:99' is not there"),
        ({"name": "nano", "device": "cpu", "dtype": "int8"}, OptionError, "unknown dtype"),
        (
            {"name": "mobilesam", "device": "cpu", "dtype": "float16"},
            DeviceError,
            "wrong masks in float16 on cpu",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_fetched(
    arguments: dict[str, str], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong name, device or dtype costs no download."""
    monkeypatch.setattr("lightsam_plugins.loading.fetch", lambda spec: pytest.fail("fetched"))

    with pytest.raises(error, match=message):
        ls.load(**arguments)
