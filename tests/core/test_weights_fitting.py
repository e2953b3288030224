"""Tensors go into a network all together and exactly, or not at all."""

from __future__ import annotations

import pytest
import torch

from lightsam_plugins.errors import WeightsMismatch
from lightsam_plugins.weights import load_into


class Net(torch.nn.Module):
    unused_keys = ("head.", "encoder.norm_head.")

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.tied = self.encoder[0]


@pytest.fixture
def net() -> Net:
    """A small network with buffers and tied weights."""
    torch.manual_seed(0)
    return Net()


def tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Other weights for the network; tied ones agree."""
    torch.manual_seed(1)
    state = {
        k: torch.randn(v.shape) if v.is_floating_point() else v + 7 for k, v in network.state_dict().items()
    }
    return state | {f"tied.{name}": state[f"encoder.0.{name}"] for name in ("weight", "bias")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_loads_and_casts(net: Net, dtype: torch.dtype) -> None:
    """Every parameter and buffer takes its tensor, in its own dtype; unused parts of the file are dropped."""
    given = {k: t.to(dtype) if t.is_floating_point() else t for k, t in tensors(net).items()}
    given |= {"head.weight": torch.ones(9), "encoder.norm_head.bias": torch.ones(2)}

    load_into(net, given, model="net", source="w.pt")

    for name, value in net.state_dict().items():
        assert torch.equal(value, given[name].to(value.dtype))
    assert net.encoder[0].weight.dtype == torch.float32
    assert net.encoder[0].weight.requires_grad
    assert torch.equal(net.encoder[1].num_batches_tracked, torch.tensor(7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("encoder.0.bias"), r"1 missing \(encoder\.0\.bias\)"),
        (
            lambda t: t.update({f"x{n}": torch.ones(1) for n in range(5)}),
            r"5 unexpected \(x0, x1, x2, \.\.\.\)",
        ),
        (
            lambda t: t.update({"encoder.0.weight": torch.ones(4, 3, 1, 1)}),
            r"1 of another form \(encoder\.0\.weight \(4, 3, 1, 1\) float32 instead of \(4, 3, 3, 3\)",
        ),
        (
            lambda t: t.update({"encoder.1.num_batches_tracked": torch.tensor(1.5)}),
            r"1 of another form \(encoder\.1\.num_batches_tracked \(\) float32 instead of \(\) int64\)",
        ),
        (
            lambda t: t.clear(),
            r"9 missing \(encoder\.0\.weight, encoder\.0\.bias, encoder\.1\.weight, \.\.\.\)",
        ),
    ],
)
def test_mismatch_changes_nothing(net: Net, change, message: str) -> None:
    """Names and shapes that do not fit are counted and named, and the network stays as it was."""
    before = {name: value.clone() for name, value in net.state_dict().items()}
    given = tensors(net)
    change(given)

    with pytest.raises(
        WeightsMismatch, match=rf"'w\.pt' do not belong to the model 'net': .*got .*{message}.*model name"
    ):
        load_into(net, given, model="net", source="w.pt")

    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_without_unused_keys() -> None:
    """A network that declares no unused parts takes exactly its own names."""
    network = torch.nn.Linear(2, 1)

    load_into(network, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, model="linear", source="w.pt")
    assert network(torch.ones(1, 2)).item() == 2

    given = {"weight": torch.ones(1, 2), "bias": torch.zeros(1), "head.weight": torch.ones(1)}
    with pytest.raises(WeightsMismatch, match=r"1 unexpected \(head\.weight\)"):
        load_into(network, given, model="linear", source="w.pt")
