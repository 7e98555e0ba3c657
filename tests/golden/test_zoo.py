"""Networks of the zoo equal the published classes: outputs, loss, gradient norms, float64, through our conversion."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.golden import tensorflow_names
from tests.golden.fixtures import GOLDEN, fixture, known
from tests.golden.test_golden import Loop
from torch import Tensor
from torch.func import functional_call

from framecast.forecasting.published.networks import PUBLISHED
from framecast.forecasting.published_weights import convert_names
from framecast.models import E3DLSTM
from framecast.models.motionrnn import MotionState
from framecast.nn.network import Advance, NetworkState, SequenceNetwork
from framecast.nn.rollout import rollout
from framecast.recipe.loss_terms import Divergence
from framecast.transforms.normalize import Identity

ZOO: dict[str, Any] = json.loads((Path(__file__).parent / "zoo.json").read_text())
NOISE, BUFFERS = 950, 800
"""Numbers of the tensors of noise, and of the first running statistic; parameters have smaller ones."""


def cases(family: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for name in ZOO if name.startswith(f"{family}/")])


class Case:
    """A fixture with its weights under the published names and under ours, and the network that they make."""

    def __init__(
        self, name: str, source: str, model: str, size: tuple[int, int], extra: int = 0, **changes: Any
    ) -> None:
        self.record = ZOO[name] if name in ZOO else GOLDEN[name]
        self.config: dict[str, Any] = self.record.get("config", {})
        made = {key: fixture(n, shape, a, b) for n, key, shape, a, b in self.record["tensors"]}
        for number, key, *_ in self.record["tensors"]:
            made[key].requires_grad_(number < BUFFERS)
        self.theirs: dict[str, Tensor] = made
        published = PUBLISHED[source][model]
        self.ours, unknown = convert_names(made, published)
        assert not unknown
        self.model, channels, *_ = published.infer(self.ours)
        self.model = self.model.model_copy(update=changes)
        self.network: SequenceNetwork = (
            self.model.build(channels, *size, **({"extra": extra} if extra else {})).double().eval()
        )
        buffers = {key for key in self.network.state_dict() if key.endswith("num_batches_tracked")}
        assert self.ours.keys() == self.network.state_dict().keys() - buffers
        for key, value in self.network.state_dict().items():
            assert key in buffers or value.shape == self.ours[key].shape, key
        self.frames = fixture(999, self.config.get("frames", [2, 5, 16, 16, 7]), 0.5, 0.5).requires_grad_()

    def run(self, x: Tensor, *arguments: Any, loop: type = Loop) -> Any:
        """A rollout with the published tensors in the network's place, so that gradients reach them."""
        weights = {f"network.{name}": value for name, value in self.ours.items()}
        return functional_call(loop(self.network), weights, (x, *arguments))

    def check(self, out: Tensor, loss: Tensor, *, unused: tuple[str, ...] = ()) -> None:
        """Outputs in the layout of the fixture; parameters of `unused` have a gradient there that is 0."""
        record, close = self.record, {"rtol": 1e-10, "atol": 1e-10}
        assert list(out.shape) == record["out_shape"]
        torch.testing.assert_close(out.sum().item(), record["sum"], **close)
        torch.testing.assert_close(out.square().sum().item(), record["sumsq"], **close)
        sample = [out.flatten()[i].item() for i in record.get("sample_index", ())]
        torch.testing.assert_close(sample, record.get("sample", []), **close)
        assert loss.item() == pytest.approx(record["loss"], rel=1e-10)
        loss.backward()
        assert self.frames.grad is not None
        assert self.frames.grad.norm().item() == pytest.approx(record["dLdx"], rel=1e-9)
        for key, norm in record["grad_norm"].items():
            gradient = self.theirs[key].grad
            if not norm:
                assert gradient is None or not gradient.any(), f"{key} is dead in the published code and used here"
            else:
                assert gradient is not None, f"{key} is used in the published code"
                assert gradient.norm().item() == pytest.approx(norm, rel=1e-9), key


class Noisy(Loop):
    """A forecast of `steps` frames after those that are given, of one member or of several."""

    def forward(self, x: Tensor, steps: int, drive: Tensor | None):
        return rollout(self.network, x, x.shape[1] - 1 + steps, drive=drive)


@cases("convgru")
def test_convgru(name: str) -> None:
    members = ZOO[name]["config"].get("members")
    *_, height, width = ZOO[name]["config"]["frames"]
    case = Case(name, "official", "convgru", (height, width))
    context, steps = case.config["context"], case.config["steps"]
    # the published codes append zeros where the size does not divide; ours asks for a size that does
    x = torch.nn.functional.pad(case.frames[:, :context], (0, -width % 4, 0, -height % 4))
    noise = [fixture(NOISE + member, [2, steps, 64, 2, 3], 1.0) for member in range(members or 0)]
    result = case.run(x, steps, torch.stack(noise, 1) if members else None, loop=Noisy).frames
    truth = case.frames[:, context:]
    if not members:
        out = result[..., :height, :width]
        case.check(out, (out - truth).square().mean())
        return
    out = result.movedim(1, 2).flatten(2, 3)
    b, y, x_ = torch.meshgrid(torch.arange(2), torch.arange(height), torch.arange(width), indexing="ij")
    mask = ((b + y + x_) % 3 > 0).double()
    case.check(out, (crps(out, truth) * mask).sum() / mask.sum())


@pytest.mark.parametrize("name", [name for name in GOLDEN if "action_cond" in name])
def test_action_conditioned(name: str) -> None:
    case = Case(name, "predrnn-pytorch", "action_predrnn", (16, 16), 4, residual=name.endswith("res1"))
    frames = case.frames.permute(0, 1, 4, 2, 3)
    x, actions = frames[:, :, :3], frames[:, :-1, 3:]  # the action of a step is stored with the frame that enters
    result = case.run(x, known("rss", time=5), actions, loop=Given)
    loss = (result.frames - x[:, 1:]).square().mean()
    assert loss.item() == pytest.approx(case.record["mse"], rel=1e-10)
    if case.network.regularizer is not None:
        adapter = {key.removeprefix("regularizer."): value for key, value in case.ours.items() if "adapter" in key}
        loss = loss + 0.1 * functional_call(case.network.regularizer, adapter, (result.aux,))
    case.check(result.frames.movedim(2, -1), loss)


@cases("motionrnn")
def test_motionrnn(name: str) -> None:
    case = Case(name, "official", "motionrnn", (8, 10))
    x = case.frames.permute(0, 1, 4, 2, 3)
    state = None
    if name.endswith("formula"):
        begin = case.network.init_state(x[:, 0])
        start = NetworkState(
            tuple(
                MotionState(
                    type(cell.cell)(*(fixture(900 + layer, list(cell.cell.h.shape), 1.0),) * 2),
                    tuple(fixture(904 + 2 * layer, list(part.shape), 1.0) for part in cell.motion),
                    (),
                )
                for layer, cell in enumerate(begin.cells)
            ),
            (fixture(907, list(begin.memory[0].shape), 1.0), begin.memory[1]),
        )
        state = Advance(None, start)
    out = case.run(x, known("ss"), state, loop=Begun).frames
    case.check(out.movedim(2, -1), (out - x[:, 1:]).square().mean())


class Begun(Loop):
    """A rollout that goes on from a state."""

    def forward(self, x: Tensor, schedule: Tensor, state: Advance | None):
        return rollout(self.network, x, x.shape[1] - 1, schedule, state)


@cases("mau")
def test_mau(name: str) -> None:
    kinds, source = ZOO[name]["config"], name.split("/")[1]
    modes = {"residual": kinds["cell_mode"] == "residual", "recall": kinds["model_mode"] == "recall"}
    case = Case(name, source, "mau", (16, 24), tau=kinds["tau"], **modes)
    out = case.run(case.frames, known("ss")).frames
    case.check(out, (out - case.frames[:, 1:]).square().mean())


@cases("swinlstm")
def test_swinlstm(name: str) -> None:
    case = Case(name, "official", f"swinlstm_{name.split('/')[1]}", tuple(ZOO[name]["config"]["image"]))
    out = case.run(case.frames, (torch.arange(5) < 3).expand(2, 5)).frames
    case.check(out, (out - case.frames[:, 1:]).square().mean())


@cases("predrnnv3")
def test_predrnn_v3(name: str) -> None:
    case = Case(name, "official", "predrnn_v3", (8, 12))
    schedule = (torch.arange(5) < (5 if name.endswith("forced") else 3)).expand(2, 5)
    out = case.run(case.frames, schedule).frames
    case.check(out, (out - case.frames[:, 1:]).square().mean())


@pytest.mark.parametrize("name", [name for name in ZOO if name.startswith("e3d/openstl")])
def test_e3d_lstm(name: str) -> None:
    case = Case(name, "openstl", "e3d_lstm", (6, 8), memory=name.rpartition("/")[2])
    x = case.frames.permute(0, 1, 4, 2, 3)
    out = case.run(x, known("ss")).frames
    error = out - x[:, 1:]
    case.check(out.movedim(2, -1), error.square().mean() + error.abs().mean())


@pytest.mark.parametrize("name", [name for name in ZOO if name.startswith("e3d/tf")])
def test_e3d_lstm_of_tensorflow(name: str) -> None:
    case = Case.__new__(Case)
    case.record = ZOO[name]
    case.theirs = {key: fixture(n, shape, a, b).requires_grad_() for n, key, shape, a, b in case.record["tensors"]}
    case.ours = tensorflow_names.e3d_lstm(case.theirs)
    case.frames = fixture(999, case.record["config"]["frames"], 0.5, 0.5).requires_grad_()
    case.network = E3DLSTM(hidden=(4, 4, 4), memory=name.rpartition("/")[2]).build(4, 6, 8).double()
    assert case.ours.keys() == case.network.state_dict().keys()
    x = case.frames.permute(0, 1, 4, 2, 3)
    out = case.run(x, known("ss")).frames
    error = out - x[:, 1:]
    case.check(out.movedim(2, -1), 0.5 * error.square().sum() + error.abs().sum())


@cases("simvp")
def test_direct(name: str) -> None:
    kind, *mode = name.split("/")[1:]
    case = Case(name, "openstl", "tau" if kind == "tau" else "simvp", (16, 24))
    case.network.train(bool(mode))
    out = case.run(case.frames[:, :4], 4, None, loop=Noisy).frames
    truth = case.frames[:, 4:]
    loss = (out - truth).square().mean()
    if kind == "tau":
        divergence = Divergence().compute(out, truth, None, Identity()).mean()
        assert divergence.item() == pytest.approx(case.record["term_diff_div"], rel=1e-10)
        loss = loss + 0.1 * divergence
    case.check(out, loss)


@cases("phydnet")
def test_phydnet(name: str) -> None:
    config = ZOO[name]["config"]
    case = Case(name, "openstl", "phydnet", tuple(config["image"]), shrink=config["patch"], moment_weight=1.0)
    forced = torch.arange(4).expand(2, 4) < (4 if name.endswith("forced") else 3)
    out, penalty = case.run(case.frames, forced, loop=Penalised)
    assert penalty.item() == pytest.approx(case.record["term_moment"], rel=1e-10)
    case.check(out, 4 * (out - case.frames[:, 1:]).square().mean() + penalty)


class Penalised(Loop):
    """A rollout, and the loss of the weights alone."""

    def forward(self, x: Tensor, schedule: Tensor):
        return rollout(self.network, x, x.shape[1] - 1, schedule).frames, self.network.penalty()


class Given(Loop):
    """A rollout with channels that are given beside the frames."""

    def forward(self, x: Tensor, schedule: Tensor, extra: Tensor):
        return rollout(self.network, x, x.shape[1] - 1, schedule, extra=extra, aux=True)


def crps(members: Tensor, truth: Tensor) -> Tensor:
    """(B, H, W): CRPS of all pairs, mean over time, and 0.01 times the mean change from frame to frame."""
    pairs = (members[:, :, :, None] - members[:, :, None]).abs().mean((2, 3))
    score = (members - truth).abs().mean(2) - 0.5 * pairs
    return score.mean(1) + 0.01 * members.diff(dim=1).abs().mean((1, 2))
