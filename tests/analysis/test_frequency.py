"""Spectra of forecasts that are known: exact, blurred, blank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framecast.analysis import frequency as module
from framecast.analysis.frequency import measure_frequency
from framecast.data import DataConfig, DataSet, open_data
from framecast.errors import UsageError
from framecast.forecasting.predictor import TensorPredictor
from framecast.types import Grid


class Kept(TensorPredictor):
    """Frames that stay as they are, after a filter."""

    def __init__(self, kernel: float, scale: float = 1.0) -> None:
        self.kernel, self.scale = kernel, scale

    def predict(self, frames: Any, horizon: int, valid: Any = None, covariates: Any = None) -> torch.Tensor:
        last = frames[:, -1:]
        mixed = (1 - self.kernel) * last + self.kernel * last.roll(1, -1)
        return (self.scale * mixed).expand(-1, horizon, -1, -1, -1)


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> DataSet:
    """Noise that does not move."""
    frames = np.random.default_rng(0).random((12, 1, 16, 16), dtype=np.float32)
    path = tmp_path_factory.mktemp("frequency") / "still.npy"
    np.save(path, np.repeat(frames, 7, 1))
    return open_data(DataConfig(source=str(path), dims="nthw", range=(0.0, 1.0)), context=3, horizon=4, seed=0)


def test_an_exact_forecast_loses_nothing(still: DataSet) -> None:
    found = measure_frequency(Kept(0), still, "train")
    np.testing.assert_allclose(found.predicted, found.truth, rtol=1e-6)
    assert found.predicted.shape == (4, len(found.wavelength)) == (4, 7)
    assert found.wavelength[0] == 16
    assert np.abs(found.mse).max() < 1e-12
    assert np.abs(found.distance).max() < 1e-4
    summary = module.summarise(found)
    assert list(summary.values()) == pytest.approx([1, 1])


def test_a_blur_loses_short_waves_and_a_blank_all(still: DataSet) -> None:
    blurred, blank = measure_frequency(Kept(0.5), still, "train"), measure_frequency(Kept(0, 0.0), still, "train")
    left = blurred.predicted[0] / blurred.truth[0]
    assert left[0] > 0.9
    assert left[-1] < 0.8
    assert module.summarise(blurred)["at the last"] < 0.8
    assert module.summarise(blank)["at the last"] == 0
    assert blank.distance[0] > blurred.distance[0] > 0.5
    assert blank.mse[0] == pytest.approx(float((still.window("train", 0, 0).frames ** 2).mean()), rel=0.1)


def test_pictures_of_several(still: DataSet, tmp_path: Path) -> None:
    runs = {"a": Kept(0), "b": Kept(0.5)}
    found = {name: measure_frequency(kept, still, "train", limit=2) for name, kept in runs.items()}
    module.draw(tmp_path, found, 3)
    assert {path.name for path in tmp_path.iterdir()} == {"spectra.png", "frequency.png"}


def test_targets_of_different_units_share_no_spectrum(still: DataSet) -> None:
    spec = still.spec.model_copy(update={"channels": 2, "ranges": ((0.0, 1.0), (0.0, 9.0))})
    mixed = replace(still, spec=spec, grid=Grid(units=("K", "m s-1")))
    with pytest.raises(UsageError, match="different units"):
        measure_frequency(Kept(0), mixed, "train")
