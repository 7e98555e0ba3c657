"""What every network promises, whoever wrote it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.contract.examples import with_noise
from tests.contract.networks import ALL, CHANNELS, VARIANTS, excited, frames, frames_of, listed, network, size_of
from torch.utils._pytree import tree_flatten, tree_map

from framecast import kernels
from framecast.kernels.reference import Direct
from framecast.models import MODELS
from framecast.models.mim import MIMBlock
from framecast.nn.cell import Cell
from framecast.nn.conv import GateConv
from framecast.nn.direct_network import DirectNetwork
from framecast.nn.encoder_forecaster import PhaseState
from framecast.nn.network import Advance, Network, NetworkState, SequenceNetwork
from framecast.nn.rollout import Rollout, observe, rollout

STEP_BY_STEP = [name for name in ALL if ALL[name].feeds_back]
every = pytest.mark.parametrize("name", listed(ALL))
step_by_step = pytest.mark.parametrize("name", listed(STEP_BY_STEP))
registered = pytest.mark.parametrize("name", listed(VARIANTS))
KEYS = Path(__file__).parent / "state_keys.json"


@step_by_step
def test_streaming_equals_rollout(name: str) -> None:
    net, x = network(name), frames_of(name)
    whole = rollout(net, x, 6)
    state, outputs = None, []
    for t in range(4):
        step = rollout(net, x[:, t : t + 1], 1, state=state)
        state = step.state
        outputs.append(step.frames[:, 0])
    assert torch.equal(torch.stack(outputs, 1), whole.frames[:, :4])
    branch = rollout(net, outputs[-1][:, None], 2, state=state)
    assert torch.equal(branch.frames, whole.frames[:, 4:])


@every
def test_a_forecast_goes_on_from_any_step(name: str) -> None:
    """Frame by frame, from a stream in the middle, and from a forecast under way: the same bits as at once."""
    net, x = network(name), frames_of(name)
    whole = run(net, x, 6)
    drive = with_noise(net, x, 6)
    state = None
    for t in range(3):
        state = observe(net, x[:, t], state)
    before = state
    branch = rollout(net, x[:, 3:], 3, state=state, **drive)
    assert torch.equal(branch.frames[..., -3:, :, :, :], whole.frames[..., -3:, :, :, :])
    begun = rollout(net, x[:, 3:], 1, state=before, **{key: value[:, :, :1] for key, value in drive.items()})
    rest = rollout(net, x[:, :0], 2, state=begun.state, **{key: value[:, :, 1:] for key, value in drive.items()})
    assert torch.equal(rest.frames, whole.frames[..., -2:, :, :, :])
    stream = observe(net, x[:, 3], begun.state)
    again = observe(net, x[:, 3], observe(net, x[:, 3], before))
    for left, right in zip(tree_flatten(stream.state)[0], tree_flatten(again.state)[0], strict=True):
        assert left is right is None or torch.equal(left, right), "a forecast must leave the stream as it was"


@every
def test_same_input_same_output(name: str) -> None:
    net, x = network(name), frames_of(name)
    first = run(net, x, 6).frames
    run(net, frames_of(name, batch=2, time=3), 5)
    assert torch.equal(first, run(net, x, 6).frames)


@every
def test_rows_are_independent(name: str) -> None:
    net, x = network(name), frames_of(name)
    together = run(net, x, 5).frames
    for row in range(len(x)):
        alone = run(net, x[row : row + 1], 5).frames
        torch.testing.assert_close(alone, together[row : row + 1], rtol=1e-12, atol=1e-13)


@every
def test_every_parameter_gets_a_gradient(name: str) -> None:
    net = network(name)
    result = run(net, frames_of(name), 6, aux=True)
    loss = result.frames.square().sum()
    if net.regularizer is not None:
        loss = loss + net.regularizer(result.aux)
    loss.backward()
    dead = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.abs().max() > 0]
    assert not dead


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_dtype_and_device_follow_the_input(name: str, dtype: torch.dtype) -> None:
    net, x = network(name, dtype), frames_of(name, dtype=dtype)
    result = run(net, x, 5)
    leaves = [leaf for leaf in tree_flatten(result.state)[0] if isinstance(leaf, torch.Tensor)]
    assert all(value.dtype == dtype for value in [result.frames, *leaves])
    meta = run(net.to("meta"), x.to("meta"), 5)
    assert meta.frames.device.type == "meta"


def run(net: SequenceNetwork, x: torch.Tensor, steps: int, *, aux: bool = False) -> Rollout:
    return rollout(net, x, steps, aux=aux, **with_noise(net, x, steps))


@pytest.mark.parametrize("name", listed(STEP_BY_STEP, all_slow=True))
def test_one_step_exports_with_free_sizes(name: str) -> None:
    net, x = network(name), frames_of(name)[:, 0]
    assert isinstance(net, Network)
    state = net.init_state(x)
    fixed = ALL[name].fixed_size
    exported = exported_with_free_sizes(net, (x, state), net.stride, fixed=fixed)
    other = frames_of(name, batch=5)[:, 0] if fixed else frames(batch=5, **larger(net.stride))[:, 0]
    again = frames_of(name, batch=5, time=2)[:, 1] if fixed else frames(batch=5, time=2, **larger(net.stride))[:, 1]
    got, got_state, _ = exported(other, net.init_state(other))
    expected, expected_state, _ = net(other, net.init_state(other))
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(exported(again, got_state)[0], net(again, expected_state)[0])


def larger(stride: int) -> dict[str, int]:
    return {"height": 9 * stride, "width": 5 * stride}


def exported_with_free_sizes(net: torch.nn.Module, inputs: tuple, stride: int, *, fixed: bool = False) -> Callable:
    """A graph for any batch, and for any multiple of the stride unless the size is fixed."""
    batch = torch.export.Dim("b", min=1, max=64)
    rows, columns = (torch.export.Dim(name, min=4, max=64) for name in "hw")
    rows, columns = (rows, columns) if stride == 1 else (torch.export.Dim.AUTO,) * 2

    def free(value: torch.Tensor) -> dict:
        size = {} if fixed or value.shape[-2] == 1 else {value.ndim - 2: rows, value.ndim - 1: columns}
        return {0: batch, **size}

    return torch.export.export(net, inputs, dynamic_shapes=tree_map(free, inputs)).module()


@pytest.mark.parametrize("name", listed(["two_phases", "two_phases/noise", "convgru"], all_slow=True))
def test_two_phases_export_as_two_graphs(name: str) -> None:
    net, x = network(name), frames_of(name)[:, 0]
    other = frames(batch=5, **larger(net.stride))[:, 0]

    class Emit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, drive: torch.Tensor, state: PhaseState) -> Advance:
            return self.net.emit(None, state, drive)

    class Observe(Emit):
        def forward(self, frame: torch.Tensor, state: NetworkState) -> Advance:
            return self.net.observe(frame, PhaseState(state, None))

    @torch.no_grad()
    def begun(frame: torch.Tensor) -> tuple[NetworkState, torch.Tensor, PhaseState]:
        state = net.observe(frame, None).state
        drive = torch.rand(len(frame), 16 * CHANNELS, frame.shape[-2] // 4, frame.shape[-1] // 4).to(frame)
        return state.encoder, drive, net.emit(None, state, drive).state

    encoder, drive, ahead = begun(x)
    observed = exported_with_free_sizes(Observe(), (x, encoder), net.stride)
    emitted = exported_with_free_sizes(Emit(), (drive, ahead), net.stride)
    encoder, drive, ahead = begun(other)
    torch.testing.assert_close(
        observed(other, encoder).state.encoder, net.observe(other, PhaseState(encoder, None)).state.encoder
    )
    torch.testing.assert_close(emitted(drive, ahead), net.emit(None, ahead, drive))


@pytest.mark.parametrize("name", listed(["direct", "simvp", "simvp/incepu", "tau"], all_slow=True))
def test_a_direct_network_exports_as_one_pass(name: str) -> None:
    net, x = network(name), frames_of(name, time=3)
    assert isinstance(net, DirectNetwork)
    other = frames(batch=5, time=3, **larger(net.stride))
    torch.testing.assert_close(exported_with_free_sizes(net.body, (x,), net.stride)(other), net.body(other))


@step_by_step
def test_forward_equals_gates(name: str) -> None:
    net, x = network(name), frames_of(name)
    assert isinstance(net, Network)
    state = net.init_state(x[:, 0])
    for t in range(4):
        rising = x[:, t] if net.stem is None else net.stem(x[:, t])[0]
        memory = state.memory
        for cell, old in zip(net.cells, state.cells, strict=True):
            assert isinstance(cell, Cell)
            values, step = cell.gates(rising, memory, old), cell(rising, memory, old)
            torch.testing.assert_close(values["h"], step.out, rtol=1e-12, atol=1e-13)
            for symbol in ("c", "n", "s", "d"):
                if symbol in values and hasattr(step.state, symbol):
                    torch.testing.assert_close(values[symbol], getattr(step.state, symbol), rtol=1e-12, atol=1e-13)
            if "m" in values:
                torch.testing.assert_close(values["m"], step.memory[0], rtol=1e-12, atol=1e-13)
            if isinstance(cell, MIMBlock) and cell.difference == "cascade":
                torch.testing.assert_close(values["d"], step.memory[1], rtol=1e-12, atol=1e-13)
            rising, memory = step.out, step.memory
        _, state, _ = net(x[:, t], state)


@every
def test_state_keys_are_frozen(name: str) -> None:
    """Weights outlive code: a key that changes makes saved models unreadable, an order that changes makes checkpoints so.
    Add to the file, never change it."""
    frozen = json.loads(KEYS.read_text())
    assert [(key, list(value.shape)) for key, value in network(name).state_dict().items()] == list(frozen[name].items())


@registered
def test_weights_are_prepared_once_per_rollout(name: str) -> None:
    class Counting(Direct):
        def __init__(self) -> None:
            self.prepared: list[int] = []

        def prepare(self, weight: torch.Tensor) -> torch.Tensor:
            self.prepared.append(id(weight))
            return weight.clone()

    net, x, counting = network(name), frames_of(name), Counting()
    expected = rollout(net, x, 5).frames
    kernels.set_backend(counting)
    try:
        got = rollout(net, x, 5).frames
        once = len(counting.prepared)
        rollout(net, x[:, :1], 2)
    finally:
        kernels.set_backend(None)
    assert torch.equal(got, expected)
    assert once == len(set(counting.prepared[:once]))
    assert once > 0 or not any(isinstance(part, GateConv) for part in net.modules())
    assert len(counting.prepared) == 2 * once


@registered
def test_a_cell_never_calls_torch_convolutions_itself(name: str) -> None:
    import inspect
    import sys

    source = inspect.getsource(sys.modules[MODELS[name.split("/")[0]].__module__])
    assert "conv2d" not in source
    assert "nn.Conv" not in source


@pytest.mark.parametrize("name", listed(name for name in VARIANTS if VARIANTS[name].feeds_back))
def test_channels_that_are_given_go_in_and_do_not_come_out(name: str) -> None:
    torch.manual_seed(0)
    net = excited(VARIANTS[name].build(CHANNELS, *size_of(name), 2)).double()
    x, extra = frames_of(name), torch.rand(3, 6, 2, *size_of(name), dtype=torch.float64)
    whole = rollout(net, x, 6, extra=extra)
    assert whole.frames.shape == (3, 6, CHANNELS, *size_of(name))
    whole.frames.square().sum().backward()
    named = [(key, value.grad) for key, value in net.named_parameters() if not key.startswith("regularizer.")]
    assert not [key for key, gradient in named if gradient is None or not gradient.any()]
    for t in range(6):
        other = extra.clone()
        other[:, t] += 1
        changed = (rollout(net, x, 6, extra=other).frames != whole.frames).flatten(2).any(2).any(0)
        assert changed.tolist() == [step >= t for step in range(6)], "a step is given its own channels, not another's"
    state, outputs = None, []
    for t in range(4):
        step = rollout(net, x[:, t : t + 1], 1, state=state, extra=extra[:, t : t + 1])
        state = step.state
        outputs.append(step.frames[:, 0])
    assert torch.equal(torch.stack(outputs, 1), whole.frames[:, :4])
    check_what_grows(name, net)


@pytest.mark.parametrize("name", listed(name for name in ALL if not ALL[name].feeds_back))
def test_what_is_known_of_a_frame_changes_it_and_none_before_it(name: str) -> None:
    torch.manual_seed(0)
    net = excited(ALL[name].build(CHANNELS, *size_of(name), 2)).double().eval()
    x, extra = frames_of(name), torch.rand(3, 8, 2, *size_of(name), dtype=torch.float64)
    noise = with_noise(net, x, 8, members=1)

    def forecast(beside: torch.Tensor) -> torch.Tensor:
        return rollout(net, x, 8, extra=beside, **noise).frames.reshape(3, 5, CHANNELS, *size_of(name))

    whole = forecast(extra)
    for t in range(8):
        other = extra.clone()
        other[:, t] += 1
        changed = (forecast(other) != whole).flatten(2).any(2).any(0).tolist()
        lead = max(t - 3, 0)
        assert not any(changed[:lead]), "what is known later is not used before"
        assert changed[lead] == (t > 0 or not isinstance(net, DirectNetwork)), (
            "blocks here are of the three newest frames"
        )
    state = None
    for t in range(4):
        state = observe(net, x[:, t], state, extra=extra[:, t])
    for lead in range(5):
        drive = {key: value[:, :, lead : lead + 1] for key, value in noise.items()}
        step = rollout(net, x[:, :0], 1, state=state, extra=extra[:, 3 + lead : 4 + lead], **drive)
        state = step.state
        assert torch.equal(step.frames.reshape(whole[:, 0].shape), whole[:, lead])
    forecast(extra).square().sum().backward()
    named = [(key, value.grad) for key, value in net.named_parameters()]
    assert not [key for key, gradient in named if gradient is None or not gradient.any()]
    if name in VARIANTS:
        check_what_grows(name, net)


def check_what_grows(name: str, net: SequenceNetwork) -> None:
    """Only what takes the frame, and what takes what is known of the next one, differs from the plain network."""
    sizes = {key: value.shape for key, value in net.state_dict().items()}
    plain = {key: value.shape for key, value in network(name).state_dict().items()}
    own = sizes.keys() - plain.keys()
    assert plain.keys() <= sizes.keys()
    assert not own or name.startswith(("action_predrnn", "simvp", "tau")), "only these have convolutions of their own"
    at_both_ends = 4 if name.startswith("convgru") else 2
    assert sum(sizes[key] != plain[key] for key in plain) <= at_both_ends, "only what takes the frame grows"
