"""What the studies see is what the network computes."""

from __future__ import annotations

import pytest
import torch
from cells import SPEC, Linear, batch, forecaster

from framecast.analysis.walk import Tally, Visit, given, walk
from framecast.forecaster import Forecaster
from framecast.models import LSTM, MIM, ConvLSTM, MemoryFlow, ModelConfig, PredRNN, PredRNNPP, PredRNNV2
from framecast.normalize import Identity
from framecast.rollout import rollout

SMALL: dict[str, tuple[ModelConfig, list[set[str]]]] = {
    "lstm": (LSTM(hidden=(3,)), [{"h", "c"}]),
    "convlstm": (ConvLSTM(hidden=(2, 3), kernel_size=3), [{"h", "c"}] * 2),
    "memory_flow": (MemoryFlow(hidden=(2, 2), kernel_size=3), [{"h", "m"}] * 2),
    "predrnn": (PredRNN(hidden=(2, 2), kernel_size=3), [{"h", "c", "m"}] * 2),
    "predrnn_v2": (PredRNNV2(hidden=(2, 2), kernel_size=3), [{"h", "c", "m"}] * 2),
    "predrnn_pp": (PredRNNPP(hidden=(2, 3), kernel_size=3), [{"h", "c", "m"}, {"z"}, {"h", "c", "m"}]),
    "mim": (MIM(hidden=(2, 2), kernel_size=3), [{"h", "c", "m"}, {"h", "c", "d", "n", "s", "m", "begun"}]),
}


def small(name: str) -> Forecaster:
    torch.manual_seed(1)
    return Forecaster(SMALL[name][0], SPEC, Identity(), 2).double().eval()


@pytest.mark.parametrize("name", SMALL)
def test_every_cell_is_seen_at_every_step_as_the_network_steps_by_hand(name: str) -> None:
    model, windows = small(name), batch(time=6)
    visits: list[Visit] = []
    with torch.no_grad():
        start = given(model, windows, 3)
        patches = start.patches
        assert (patches.shape[1], start.extra, start.steps) == (3, None, 5)
        result = walk(model.network, start, visits.append)
        assert torch.equal(result.frames, rollout(model.network, patches, 5).frames)
        layers = len(model.network.cells)
        assert [(visit.step, visit.layer) for visit in visits] == [
            (step, layer) for step in range(1, 6) for layer in range(1, layers + 1)
        ]
        state = model.network.init_state(patches[:, 0])
        for step in range(5):
            frame = patches[:, step] if step < 3 else result.frames[:, step - 1]
            for layer in range(layers):
                visit = visits[step * layers + layer]
                torch.testing.assert_close(visit.gates()["h"], visit.left.out, rtol=1e-12, atol=1e-13)
                assert set(visit.carried()) == SMALL[name][1][layer]
                if layer == 0:
                    assert torch.equal(visit.x, frame)
            _, state, _ = model.network(frame, state)
            for layer in range(layers):
                seen = visits[step * layers + layer].left.state
                assert all(torch.equal(a, b) for a, b in zip(seen, state.cells[layer], strict=True))


def test_hooks_are_gone_even_after_an_error() -> None:
    model = forecaster(Linear(0.5))

    def fail(visit: Visit) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        walk(model.network, given(model, batch(), 3), fail)
    assert not model.network.cells[0]._forward_hooks


def test_tally_adds_by_layer_symbol_and_step() -> None:
    tally = Tally()
    for value in (1.0, 2.0):
        for step in (1, 2):
            tally.add(1, "f", step, torch.tensor([value, step]))
    tally.add(2, "f", 1, torch.tensor([7.0, 1.0]))
    tally.add(2, "f", 2, torch.tensor([8.0, 2.0]))
    assert tally.stacked().tolist() == [[[3.0, 2.0], [3.0, 4.0]], [[7.0, 1.0], [8.0, 2.0]]]
    assert (tally.layers.tolist(), tally.symbols.tolist(), len(tally)) == ([1, 2], ["f", "f"], 2)
