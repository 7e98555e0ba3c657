"""What every network promises, whoever wrote it."""

import json
from pathlib import Path

import pytest
import torch
from tests.contract.networks import CHANNELS, HEIGHT, VARIANTS, WIDTH, frames, network
from torch.utils._pytree import tree_flatten, tree_map

from framecast import kernels
from framecast.kernels.reference import Direct
from framecast.models import MODELS
from framecast.models.mim import MIMBlock
from framecast.nn.cell import Cell
from framecast.nn.rollout import rollout

pytestmark = pytest.mark.parametrize("name", VARIANTS)
KEYS = Path(__file__).parent / "state_keys.json"


def test_streaming_equals_rollout(name: str) -> None:
    net, x = network(name), frames()
    whole = rollout(net, x, 6)
    state, outputs = None, []
    for t in range(4):
        step = rollout(net, x[:, t : t + 1], 1, state=state)
        state = step.state
        outputs.append(step.frames[:, 0])
    assert torch.equal(torch.stack(outputs, 1), whole.frames[:, :4])
    branch = rollout(net, outputs[-1][:, None], 2, state=state)
    assert torch.equal(branch.frames, whole.frames[:, 4:])


def test_same_input_same_output(name: str) -> None:
    net, x = network(name), frames()
    first = rollout(net, x, 6).frames
    rollout(net, frames(batch=2, time=3), 5)
    assert torch.equal(first, rollout(net, x, 6).frames)


def test_rows_are_independent(name: str) -> None:
    net, x = network(name), frames()
    together = rollout(net, x, 5).frames
    for row in range(len(x)):
        alone = rollout(net, x[row : row + 1], 5).frames
        torch.testing.assert_close(alone, together[row : row + 1], rtol=1e-12, atol=1e-13)


def test_every_parameter_gets_a_gradient(name: str) -> None:
    net = network(name)
    result = rollout(net, frames(), 6, aux=True)
    loss = result.frames.square().sum()
    if net.regularizer is not None:
        loss = loss + net.regularizer(result.aux)
    loss.backward()
    dead = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.abs().max() > 0]
    assert not dead


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_dtype_and_device_follow_the_input(name: str, dtype: torch.dtype) -> None:
    net, x = network(name, dtype), frames(dtype=dtype)
    result = rollout(net, x, 5)
    leaves = [leaf for leaf in tree_flatten(result.state)[0] if isinstance(leaf, torch.Tensor)]
    assert all(value.dtype == dtype for value in [result.frames, *leaves])
    meta = rollout(net.to("meta"), x.to("meta"), 5)
    assert meta.frames.device.type == "meta"


def test_one_step_exports_with_free_sizes(name: str) -> None:
    net, x = network(name), frames()[:, 0]
    state = net.init_state(x)
    b, h, w = (
        torch.export.Dim("b", min=1, max=64),
        torch.export.Dim("h", min=4, max=64),
        torch.export.Dim("w", min=4, max=64),
    )
    fixed = VARIANTS[name].fixed_size
    axes = {0: b} if fixed else {0: b, 2: h, 3: w}

    def free(value: torch.Tensor) -> dict:
        return {axis: dim for axis, dim in axes.items() if axis == 0 or value.shape[axis] > 1}

    exported = torch.export.export(net, (x, state), dynamic_shapes=(free(x), tree_map(free, state)))
    other = frames(batch=5)[:, 0] if fixed else frames(batch=5, height=9, width=5)[:, 0]
    again = frames(batch=5, time=2)[:, 1] if fixed else frames(batch=5, time=2, height=9, width=5)[:, 1]
    got, got_state, _ = exported.module()(other, net.init_state(other))
    expected, expected_state, _ = net(other, net.init_state(other))
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(exported.module()(again, got_state)[0], net(again, expected_state)[0])


def test_forward_equals_gates(name: str) -> None:
    net, x = network(name), frames()
    state = net.init_state(x[:, 0])
    for t in range(4):
        rising, memory = x[:, t], state.memory
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


def test_state_keys_are_frozen(name: str) -> None:
    """Weights outlive code: a key that changes makes saved models unreadable. Add to the file, never change it."""
    frozen = json.loads(KEYS.read_text())
    assert {key: list(value.shape) for key, value in network(name).state_dict().items()} == frozen[name]


def test_weights_are_prepared_once_per_rollout(name: str) -> None:
    class Counting(Direct):
        def __init__(self) -> None:
            self.prepared: list[int] = []

        def prepare(self, weight: torch.Tensor) -> torch.Tensor:
            self.prepared.append(id(weight))
            return weight.clone()

    net, x, counting = network(name), frames(), Counting()
    expected = rollout(net, x, 5).frames
    kernels.set_backend(counting)
    try:
        got = rollout(net, x, 5).frames
        once = len(counting.prepared)
        rollout(net, x, 2)
    finally:
        kernels.set_backend(None)
    assert torch.equal(got, expected)
    assert once == len(set(counting.prepared[:once])) > 0
    assert len(counting.prepared) == 2 * once


def test_a_cell_never_calls_torch_convolutions_itself(name: str) -> None:
    import inspect
    import sys

    source = inspect.getsource(sys.modules[MODELS[name.split("/")[0]].__module__])
    assert "conv2d" not in source
    assert "nn.Conv" not in source


def test_channels_that_are_given_go_in_and_do_not_come_out(name: str) -> None:
    torch.manual_seed(0)
    net = VARIANTS[name].build(CHANNELS, HEIGHT, WIDTH, 2).double()
    x, extra = frames(), torch.rand(3, 6, 2, HEIGHT, WIDTH, dtype=torch.float64)
    whole = rollout(net, x, 6, extra=extra)
    assert whole.frames.shape == (3, 6, CHANNELS, HEIGHT, WIDTH)
    whole.frames.square().sum().backward()
    first = next(iter(net.cells.parameters()))
    assert first.grad is not None
    assert first.grad.abs().max() > 0
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
    sizes = {key: value.shape for key, value in net.state_dict().items()}
    plain = {key: value.shape for key, value in network(name).state_dict().items()}
    assert sizes.keys() == plain.keys()
    assert sum(sizes[key] != plain[key] for key in sizes) <= 2, "only what takes the frame grows"
