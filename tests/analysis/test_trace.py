"""What the studies see is what the network computes."""

from __future__ import annotations

import pytest
import torch
from tests.fixtures.cells import SMALL, Linear, batch, forecaster, small

from framecast import FrameSpec
from framecast.analysis.trace import CellVisit, Tally, encode_input, trace
from framecast.bases import CalibratedBase, Head
from framecast.data.windows.loader import Batch
from framecast.forecasting.forecaster import Forecaster
from framecast.models import ConvLSTM
from framecast.nn.rollout import rollout
from framecast.transforms.normalize import Range


@pytest.mark.parametrize("name", SMALL)
def test_every_cell_is_seen_at_every_step_as_the_network_steps_by_hand(name: str) -> None:
    model, windows = small(name), batch(time=6)
    visits: list[CellVisit] = []
    with torch.no_grad():
        start = encode_input(model, windows, 3)
        patches = start.patches
        assert (patches.shape[1], start.extra, start.steps) == (3, None, 5)
        result = trace(model.network, start, visits.append)
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
                torch.testing.assert_close(visit.compute_gates()["h"], visit.output.out, rtol=1e-12, atol=1e-13)
                assert set(visit.collect_outputs()) == SMALL[name][1][layer]
                if layer == 0:
                    assert torch.equal(visit.x, frame)
            _, state, _ = model.network(frame, state)
            for layer in range(layers):
                seen = visits[step * layers + layer].output.state
                assert all(torch.equal(a, b) for a, b in zip(seen, state.cells[layer], strict=True))


@pytest.mark.parametrize(("head", "spin_up"), [("mix", None), ("change", None), ("mix", 2)])
def test_a_network_against_a_base_is_traced_as_it_forecasts(head: Head, spin_up: int | None) -> None:
    spec = FrameSpec(channels=1, height=32, width=40, units="dBZ", high=60.0)
    config, scale = ConvLSTM(hidden=(4,), kernel_size=3), Range(low=0.0, high=60.0)
    base = CalibratedBase(leads=3)
    model = Forecaster(config, spec, scale, 4, context=4, spin_up=spin_up, base=base, head=head).eval()
    for parameter in model.network.head.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    frames, motion = 60 * torch.rand(2, 7, 1, 32, 40), torch.full((2, 4, 2, 32, 40), 2.0)
    visits: list[CellVisit] = []
    with torch.inference_mode():
        inputs = encode_input(model, Batch(frames, None, [0, 1], motion=motion), 4)
        result = trace(model.network, inputs, visits.append)
        forecast = model.decode(result.frames[:, -3:], (32, 40))
    assert visits[0].x.shape[1] == model.input_channels
    assert visits[-1].step == (spin_up or 4) + 2
    torch.testing.assert_close(forecast, model.predict(frames[:, :4], 3, motion=motion))


def test_hooks_are_gone_even_after_an_error() -> None:
    model = forecaster(Linear(0.5))

    def fail(visit: CellVisit) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        trace(model.network, encode_input(model, batch(), 3), fail)
    assert not model.network.cells[0]._forward_hooks


def test_tally_adds_by_layer_symbol_and_step() -> None:
    tally = Tally()
    for value in (1.0, 2.0):
        for step in (1, 2):
            tally.add(1, "f", step, torch.tensor([value, step]))
    tally.add(2, "f", 1, torch.tensor([7.0, 1.0]))
    tally.add(2, "f", 2, torch.tensor([8.0, 2.0]))
    assert tally.stack().tolist() == [[[3.0, 2.0], [3.0, 4.0]], [[7.0, 1.0], [8.0, 2.0]]]
    assert (tally.layers.tolist(), tally.symbols.tolist(), len(tally)) == ([1, 2], ["f", "f"], 2)
