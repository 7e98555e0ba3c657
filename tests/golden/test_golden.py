"""Every network equals the published code: outputs, loss and gradient norms, float64, on fixed weights and frames."""

import pytest
import torch
from tests.golden import tensorflow_names as tf_names
from tests.golden.fixtures import GOLDEN, fixture, frames, known, parameters
from torch.func import functional_call

from framecast.forecasting.published.families import FAMILIES
from framecast.forecasting.published_weights import convert_names
from framecast.models import MIM, ConvLSTM, MemoryFlow, PredRNN, PredRNNPP, PredRNNV2
from framecast.models.memory_flow import MemoryFlowCell
from framecast.nn.rollout import rollout

BETA = 0.1
PUBLISHED = {
    "openstl/convlstm": ("openstl", "convlstm", ConvLSTM(hidden=(4,) * 4, bias=False)),
    "openstl/predrnn": ("openstl", "predrnn", PredRNN(hidden=(4,) * 4)),
    "openstl/predrnnv2": ("openstl", "predrnn_v2", PredRNNV2(hidden=(4,) * 4)),
    "openstl/predrnnpp": ("openstl", "predrnn_pp", PredRNNPP(hidden=(4,) * 4, bias=False)),
    "openstl/mim": ("openstl", "mim", MIM(hidden=(4,) * 4, variant="openstl")),
    "official/predrnn": ("predrnn-pytorch", "predrnn", PredRNN(hidden=(4,) * 4)),
    "official/predrnn_v2": ("predrnn-pytorch", "predrnn_v2", PredRNNV2(hidden=(4,) * 4)),
}
TENSORFLOW = {
    "tf/mim": (tf_names.mim, MIM(hidden=(4,) * 4)),
    "tf/predrnn_pp": (tf_names.predrnn_pp, PredRNNPP(hidden=(4,) * 4)),
}


def family(case: str) -> str:
    return "/".join(case.split("/")[:2])


def check_outputs(case: dict, output: torch.Tensor) -> None:
    layout = output.permute(0, 1, 3, 4, 2)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(layout.sum().item(), case["sum"], **close)
    torch.testing.assert_close(layout.square().sum().item(), case["sumsq"], **close)
    torch.testing.assert_close(layout[0, -1, 0, 0], torch.tensor(case["last"], dtype=torch.float64), **close)
    if layout.shape[2:4] == (8, 8) and "mid" in case:
        torch.testing.assert_close(layout[1, 2, 3, 5], torch.tensor(case["mid"], dtype=torch.float64), **close)


def check_gradients(case: dict, theirs: dict, x: torch.Tensor, tolerance: float) -> None:
    assert x.grad.norm().item() == pytest.approx(case["dLdx"], rel=tolerance)
    for name, norm in case["grad_norm"].items():
        gradient = theirs[name].grad
        if norm is None:
            assert gradient is None, f"{name} is dead in the published code and used here"
        else:
            assert gradient.norm().item() == pytest.approx(norm, rel=tolerance), name


@pytest.mark.parametrize("name", [case for case in GOLDEN if family(case) in PUBLISHED])
def test_published_pytorch(name: str) -> None:
    case = GOLDEN[name]
    source, model, config = PUBLISHED[family(name)]
    norm = bool(case["ln"])
    config = config.model_copy(update={"layer_norm": "chw" if norm else None})
    height = 6 if "rect6x8" in name else 8
    theirs = parameters(case)
    ours, unknown = convert_names(theirs, FAMILIES[source][model])
    assert not unknown
    network = config.build(4, height, 8).double()
    assert ours.keys() == network.state_dict().keys()
    x = frames(height=height).requires_grad_()
    schedule = known("rss" if case["rss"] else "ss")
    result = run(network, ours, x, schedule)
    check_outputs(case, result.frames)
    mse = (result.frames - x[:, 1:]).square().mean()
    assert mse.item() == pytest.approx(case["mse"], rel=1e-10)
    loss = mse
    if network.regularizer is not None:
        adapter = {k.removeprefix("regularizer."): v for k, v in ours.items() if k.startswith("regularizer.")}
        loss = mse + BETA * functional_call(network.regularizer, adapter, (result.aux,))
    assert loss.item() == pytest.approx(case["loss"], rel=1e-10)
    if model == "mim":
        return  # the reference cuts the graph of S at every step: its gradients are not those of its forward pass
    loss.backward()
    check_gradients(case, theirs, x, 1e-8 if norm else 1e-9)


@pytest.mark.parametrize("name", [case for case in GOLDEN if family(case) in TENSORFLOW])
def test_published_tensorflow(name: str) -> None:
    case = GOLDEN[name]
    translate, config = TENSORFLOW[family(name)]
    norm = "tln1" in name
    hidden = (6, 4, 4, 4) if name.endswith("N6") else (4,) * 4
    config = config.model_copy(update={"layer_norm": "channel_affine" if norm else None, "hidden": hidden})
    theirs = parameters(case)
    ours = translate(theirs)
    network = config.build(4, 8, 8).double()
    assert ours.keys() == network.state_dict().keys()
    x = frames().requires_grad_()
    schedule = torch.ones(2, 5, dtype=torch.bool) if "teacher" in name else known("ss")
    result = run(network, ours, x, schedule)
    check_outputs(case, result.frames)
    difference = result.frames - x[:, 1:]
    assert difference.square().mean().item() == pytest.approx(case["mse"], rel=1e-10)
    loss = 0.5 * difference.square().sum()
    assert loss.item() == pytest.approx(case["loss"], rel=1e-10)
    loss.backward()
    check_gradients(case, theirs, x, 1e-8 if norm else 1e-9)


class Loop(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, schedule: torch.Tensor):
        return rollout(self.network, x, x.shape[1] - 1, schedule, aux=True)


def run(network: torch.nn.Module, weights: dict, x: torch.Tensor, schedule: torch.Tensor):
    """A rollout with these weights in the network's place, so that gradients reach the published tensors."""
    return functional_call(Loop(network), {f"network.{name}": value for name, value in weights.items()}, (x, schedule))


@pytest.mark.parametrize("peephole", ["channel", "full"])
def test_peephole_equations(peephole: str) -> None:
    case = GOLDEN[f"spec/convlstm_peephole/{peephole}"]
    network = ConvLSTM(hidden=(4,) * 4, peephole=peephole).build(4, 8, 8).double()
    weights = {"head.weight": fixture(91, [4, 4, 1, 1], 0.2)}
    size = [1, 1] if peephole == "channel" else [8, 8]
    for layer in range(4):
        weights |= {
            f"cells.{layer}.conv_x.weight": fixture(10 * layer + 1, [16, 4, 5, 5], 0.2),
            f"cells.{layer}.conv_h.weight": fixture(10 * layer + 2, [16, 4, 5, 5], 0.2),
            f"cells.{layer}.conv_x.bias": fixture(10 * layer + 3, [16], 0.1),
            f"cells.{layer}.peephole": fixture(10 * layer + 4, [3, 4, *size], 0.1),
        }
    network.load_state_dict(weights)
    output = rollout(network, frames(), 5, known("ss")).frames
    check_outputs(case, output)
    assert (output - frames()[:, 1:]).square().mean().item() == pytest.approx(case["mse"], rel=1e-10)


def test_memory_flow_equations() -> None:
    case = GOLDEN["spec/mflow"]
    network = MemoryFlow(hidden=(4,) * 4).build(4, 8, 8).double()
    assert isinstance(network.cells[0], MemoryFlowCell)

    def gifo(value: torch.Tensor) -> torch.Tensor:
        g, i, f, o = value.chunk(4)
        return torch.cat([i, f, g, o])

    weights = {
        "head.weight": fixture(91, [4, 4, 1, 1], 0.2),
        "cells.0.conv_x.weight": gifo(fixture(1, [16, 4, 5, 5], 0.2)),
    }
    for layer in range(4):
        weights |= {
            f"cells.{layer}.conv_h.weight": gifo(fixture(10 * layer + 2, [16, 4, 5, 5], 0.2)),
            f"cells.{layer}.conv_m.weight": fixture(10 * layer + 3, [8, 4, 5, 5], 0.2),
            f"cells.{layer}.conv_o.weight": fixture(10 * layer + 4, [4, 4, 5, 5], 0.2),
            f"cells.{layer}.conv_h.bias": gifo(fixture(10 * layer + 5, [16], 0.1)),
        }
    network.load_state_dict(weights)
    output = rollout(network, frames(), 5, known("ss")).frames
    check_outputs(case, output)
    assert (output - frames()[:, 1:]).square().mean().item() == pytest.approx(case["mse"], rel=1e-10)


def test_patchify_order() -> None:
    from framecast.transforms.patches import patchify, unpatchify

    case = GOLDEN["patchify"]
    x = torch.arange(48.0).reshape(case["in_shape"]).permute(0, 1, 4, 2, 3)
    patches = patchify(x, case["patch"])
    assert patches[0, 0, :, 0, 0].tolist() == case["cell00"]
    assert patches[0, 0, :, 1, 2].tolist() == case["cell12"]
    assert torch.equal(unpatchify(patches, case["patch"]), x)
