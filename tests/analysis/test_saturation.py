"""Gates that are forced have known shares and histograms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.fixtures.cells import SPEC, Linear, batch, forced, forecaster

from framecast.analysis import saturation as module
from framecast.analysis.saturation import BINS, measure_saturation
from framecast.analysis.trace import CellVisit, encode_input, trace
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models import MIM
from framecast.transforms.normalize import Identity


@pytest.mark.parametrize(("forget", "below", "above", "bin_"), [(-800, 1, 0, 0), (0, 0, 0, 25), (800, 0, 1, BINS - 1)])
def test_gates_forced_to_0_half_and_1(forget: float, below: float, above: float, bin_: int) -> None:
    found = measure_saturation(forced(forget), [batch(), batch(sequences=1)], 3)
    assert found.symbol.tolist() == ["f", "f"]
    assert found.layer.tolist() == [1, 2]
    assert found.below.shape == (2, 6)
    assert (found.below == below).all()
    assert (found.above == above).all()
    values = 3 * SPEC.height * SPEC.width * np.array([3, 2])  # sequences, pixels, channels of each layer
    assert found.counts[..., bin_].tolist() == [[count] * 6 for count in values]
    assert found.counts.sum(-1).tolist() == [[count] * 6 for count in values]
    assert module.summarise(found) == {"f below 0.1": below, "f above 0.9": above}


def test_wide_layers_count_for_more() -> None:
    """Layer 1 has 3 channels and is shut, layer 2 has 2 and is half open: 3 of 5 values are below."""
    model = forced(0)
    with torch.no_grad():
        model.network.cells[0].conv_x.bias[3:6] = -800
    found = measure_saturation(model, [batch()], 3)
    assert module.summarise(found) == pytest.approx({"f below 0.1": 3 / 5, "f above 0.9": 0})


def test_thresholds_move_the_shares() -> None:
    gate = 0.3
    found = measure_saturation(forced(float(np.log(gate / (1 - gate)))), [batch()], 3, low=0.31, high=0.9)
    assert (found.below == 1).all()
    found = measure_saturation(forced(float(np.log(gate / (1 - gate)))), [batch()], 3, low=0.1, high=0.29)
    assert (found.above == 1).all()
    assert (found.below == 0).all()


@pytest.mark.parametrize("ends", [(0.9, 0.1), (-0.1, 0.9), (0.1, 1.1)])
def test_thresholds_out_of_order_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="0 <= low < high <= 1"):
        measure_saturation(forced(0), [batch()], 3, low=ends[0], high=ends[1])


def test_a_network_without_forget_gates_is_refused() -> None:
    with pytest.raises(UsageError, match="without forget gates"):
        measure_saturation(forecaster(Linear(0.5)), [batch()], 3)


def test_mim_transition_and_difference(tmp_path: Path) -> None:
    torch.manual_seed(2)
    model = Forecaster(MIM(hidden=(2, 2), kernel_size=3), SPEC, Identity(), 1).double().eval()
    with torch.no_grad():
        for value in model.network.parameters():
            value.mul_(3)
    windows = batch()
    found = measure_saturation(model, [windows], 3)
    assert found.symbol.tolist() == ["f", "fm", "fm", "f_n", "f_s"]
    assert found.mim_layer.tolist() == [2]
    pairs, sizes = [], []

    def look(visit: CellVisit) -> None:
        if visit.layer == 2:
            gates = visit.compute_gates()
            sizes.append(float(gates["d"].abs().mean()))
            if visit.step > 1:
                pairs.append(torch.stack([visit.state.c.flatten(), gates["tau"].flatten()]))

    with torch.no_grad():
        trace(model.network, encode_input(model, windows, 3), look)
    np.testing.assert_allclose(found.difference[0], sizes, rtol=1e-12)
    assert sizes[0] == 0 < sizes[1]
    old, kept = torch.cat(pairs, 1).numpy()
    expected = np.histogram2d(old, kept, bins=40, range=((-2, 2), (-1, 1)))[0]
    assert np.array_equal(found.transition[0], expected)
    assert expected.sum() == len(old)
    assert (expected > 0).sum() > 5
    module.draw(tmp_path, {"run": found}, 3)
    for name in ("saturation.png", "transition.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 50
