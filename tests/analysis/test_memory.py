"""Maps of a network that sums its frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.fixtures.cells import SMALL, SPEC, Linear, batch, forced, forecaster, small

from framecast.analysis import memory as module
from framecast.analysis.memory import map_memory


def test_maps_of_a_sum() -> None:
    still = torch.rand(2, 1, 1, SPEC.height, SPEC.width, dtype=torch.float64).expand(-1, 7, -1, -1, -1) - 0.5
    found = map_memory(forecaster(Linear(1.0)), batch(still), 3)
    assert found.symbol.tolist() == ["h", "m"]
    x = still[0, 0, 0].numpy()
    # h sums x, then doubles: what is fed back is h itself
    np.testing.assert_allclose(found.mean[0], [n * x for n in (1, 2, 3, 6, 12, 24)], rtol=1e-12)
    np.testing.assert_allclose(found.mean[1], [n * x for n in (1, 3, 6, 12, 24, 48)], rtol=1e-12)
    np.testing.assert_allclose(found.rms, np.abs(found.mean), rtol=1e-12)
    np.testing.assert_allclose(found.fed[:, 0], [n * x for n in (1, 1, 1, 3, 6, 12)], rtol=1e-12)
    np.testing.assert_allclose(found.predicted, found.mean[0][:, None], rtol=1e-12)


def test_channels_are_put_together() -> None:
    found = map_memory(forced(0), batch(), 3)
    gates = {(symbol, layer): found.mean[row] for row, (symbol, layer) in enumerate(zip(*found[:2], strict=True))}
    assert (gates["f", 1] == 0.5).all()
    assert (gates["i", 2] == 0.5).all()
    assert (gates["c", 2] == 0).all()
    assert module.summarise(found) == {"c, layer 2, rms": 0, "h, layer 2, rms": 0}


@pytest.mark.parametrize("name", SMALL)
def test_every_network_has_an_animation_of_what_it_predicts(name: str, tmp_path: Path) -> None:
    model, windows = small(name), batch(time=6)
    found = map_memory(model, windows, 3)
    assert found.mean.shape[1] == 5
    assert (found.rms >= np.abs(found.mean) - 1e-12).all()
    np.testing.assert_allclose(found.predicted[2:], model.predict(windows.frames[:1, :3], 3)[0], rtol=1e-12)
    np.testing.assert_allclose(found.fed[:3], windows.frames[0, :3], rtol=1e-12)
    module.draw(tmp_path, {name: found}, 3)
    with Image.open(tmp_path / "memory.gif") as film:
        assert film.n_frames == 5
        assert film.size[0] > 300
