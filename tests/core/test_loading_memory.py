"""What loading costs: no random weights, and the memory of the checkpoint once."""

import zipfile

import pytest
import torch
from peak_memory import peak_growth
from safetensors.torch import save_file
from seeded import photo, seeded_network

import lightsam_plugins as ls
from lightsam_plugins.registry import build_network, list_models, model_card
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.weights import load_into, read_tensors
from lightsam_plugins.weights.blank import Uninitialised

NAME = "efficientvit-sam-l0"
FORMS = ["plain.pt", "wrapped.pt", "module.pt", "legacy.pt", "plain.safetensors", "wrapped.pt.zip"]


def write(path, network):
    """A checkpoint of the network in the form that the name says."""
    state = network.state_dict()
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
        return
    if path.suffix == ".zip":
        write(path.with_suffix(""), network)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(path.with_suffix(""), path.stem)
        return
    content = {"plain": state, "legacy": state, "wrapped": {"model": state}, "module": {"model": network}}
    torch.save(content[path.stem], path, _use_new_zipfile_serialization=path.stem != "legacy")


@pytest.fixture(scope="module")
def network():
    """A network of 35 million parameters, from a seed."""
    torch.manual_seed(0)
    return build_network(model_card(NAME))


@pytest.mark.parametrize("form", FORMS)
def test_loading_takes_less_than_twice_the_size_of_the_file(form, network, tmp_path):
    """The peak of memory rises by the weights and little else, whatever the container."""
    path = tmp_path / form
    write(path, network)
    prepare = "import lightsam_plugins as ls; ls.load('nano', device='cpu')"

    growth = peak_growth(prepare, f"model = ls.load({NAME!r}, device='cpu', weights={str(path)!r})")

    size = path.stat().st_size
    assert 0.8 * size < growth < 1.5 * size


def test_halves_of_a_module_take_their_size_in_float32_once(tmp_path):
    """A pickled module of halves is twice its file when it is float32, and never takes more on the way."""
    torch.manual_seed(0)
    path = tmp_path / "FastSAM-x.pt"
    torch.save({"model": build_network(model_card("fastsam-x")).half()}, path)
    prepare = "import lightsam_plugins as ls; ls.load('nano', device='cpu')"

    growth = peak_growth(prepare, f"model = ls.load('fastsam-x', device='cpu', weights={str(path)!r})")

    assert 1.5 * path.stat().st_size < growth < 2 * path.stat().st_size


@pytest.mark.parametrize("name", list_models())
def test_no_weight_is_drawn_at_random(name):
    """Building a network to be filled leaves the random numbers where they were, and computes the same buffers."""
    torch.manual_seed(0)
    usual = build_network(model_card(name))
    before = torch.random.get_rng_state()

    with Uninitialised():
        blank = build_network(model_card(name))

    assert torch.equal(torch.random.get_rng_state(), before)
    assert {n: t.shape for n, t in blank.state_dict().items()} == {
        n: t.shape for n, t in usual.state_dict().items()
    }
    filled = usual.state_dict().keys()
    for (place, buffer), (_, expected) in zip(blank.named_buffers(), usual.named_buffers(), strict=True):
        assert place in filled or torch.equal(buffer, expected), place


@pytest.mark.parametrize("form", FORMS)
def test_masks_do_not_depend_on_the_container(form, tmp_path):
    """A loaded model gives the very bits of the network that was saved."""
    network = seeded_network("nano")
    write(tmp_path / form, network)
    expected = Segmenter(network, model_card("nano")).segment(photo(60, 80), boxes=[9, 9, 50, 40])

    found = ls.load("nano", device="cpu", weights=tmp_path / form).segment(
        photo(60, 80), boxes=[9, 9, 50, 40]
    )

    assert (found.logits == expected.logits).all()


def test_weights_share_no_memory_with_each_other(tmp_path):
    """Tensors that are views of one storage in the file become weights of their own."""
    layers = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    storage = torch.arange(40.0)
    torch.save(
        {
            "0.weight": storage[:16].view(4, 4),
            "1.weight": storage[:16].view(4, 4).T,
            "0.bias": storage[36:],
            "1.bias": storage[35:39],
        },
        tmp_path / "shared.pt",
    )

    load_into(layers, read_tensors(tmp_path / "shared.pt"), model="two", source="shared.pt")

    assert torch.equal(layers[1].weight, storage[:16].view(4, 4).T)
    assert torch.equal(layers[1].bias, storage[35:39])
    layers[0].weight.data.zero_()
    layers[0].bias.data.zero_()
    assert torch.equal(layers[1].weight, storage[:16].view(4, 4).T)
    assert torch.equal(layers[1].bias, storage[35:39])


def test_a_file_may_change_under_a_loaded_model(tmp_path):
    """Weights are read, not mapped: overwriting the file in place changes no mask."""
    path = tmp_path / "plain.safetensors"
    write(path, seeded_network("nano"))
    model = ls.load("nano", device="cpu", weights=path)
    before = model.segment(photo(60, 80), boxes=[9, 9, 50, 40]).logits.copy()

    with path.open("r+b") as file:
        file.truncate(100)

    assert (model.segment(photo(60, 80), boxes=[9, 9, 50, 40]).logits == before).all()
