"""framecast.hindcast and framecast.verify are the commands, with values of Python."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.archives.conftest import make_rain

import framecast

SCORED = {"context": 3, "horizon": 2, "metrics": ["mse"], "baselines": ["persistence"], "range": (0, 10), "quiet": True}


@pytest.fixture
def rain(tmp_path: Path) -> Path:
    make_rain().to_netcdf(tmp_path / "rain.nc")
    return tmp_path / "rain.nc"


def test_a_hindcast_in_shares_and_its_scores(rain: Path, tmp_path: Path) -> None:
    half = framecast.hindcast("mean", rain, tmp_path / "f.zarr", every="10min", share=(2, 2), task_size=5, **SCORED)
    assert (half.scores, half.missing > 0) == (None, True)
    made = framecast.hindcast("mean", rain, tmp_path / "f.zarr", every=10.0, task_size=5, **SCORED)
    assert (made.skipped, made.missing) == (half.done, 0)
    stored = json.loads((tmp_path / "f.tasks" / "scores.json").read_text())
    data = made.scores.to_dataset()
    np.testing.assert_array_equal(
        data.score.sel(forecast="mean", metric="mse"), stored["scores"]["mean"]["mse"]["by_lead"]
    )
    assert data.attrs["forecasts"] == stored["forecasts"]
    assert len(made.scores.to_dataframe()) == 2 * 2

    verified = framecast.verify(
        made.store, rain, groups="month", range=(0, 10), metrics="mse", baselines="persistence", quiet=True
    )
    assert list(verified.by_group["month"]) == ["2016-09", "2016-10"]
    assert verified.scores.to_dataset().forecast.values.tolist() == ["forecast", "persistence"]


def test_what_they_do_not_take_is_refused(rain: Path, tmp_path: Path) -> None:
    with pytest.raises(framecast.UsageError, match="ends in"):
        framecast.hindcast("mean", rain, tmp_path / "f.nc", **SCORED)
    with pytest.raises(framecast.UsageError, match="mtrics"):
        framecast.hindcast("mean", rain, tmp_path / "f.zarr", mtrics=["mse"])
    with pytest.raises(framecast.UsageError, match="got split"):
        framecast.verify(rain, rain, split="test")
