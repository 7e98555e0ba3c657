"""Models with covariates live: of the calendar, constant ones, and those of files, which a second folder holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray
from tests.fixtures.live import Bench, frame, time_of

from framecast.data.sources.channels import compute_calendar
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec

WIND = Channel(name="wind", low=0, high=20)
HOUR = tuple(Channel(name=f"hour_{wave}", low=-1, high=1, calendar=True) for wave in ("sin", "cos"))


def model(*covariates: Channel) -> Forecaster:
    torch.manual_seed(0)
    fields = {"channels": 1, "height": 24, "width": 24, "low": 0, "high": 255, "step_minutes": 5}
    spec = FrameSpec(**fields, names=("rain",), covariates=covariates)
    return Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), spec, Range(low=0, high=255), 2, context=6).eval()


def wind(number: int, *, is_constant: bool = False) -> np.ndarray:
    return np.full((24, 24), 7.0 if is_constant else number % 20, np.float32)


def write(folder: Path, number: int, **maps: np.ndarray) -> None:
    """Write variables of one time as NetCDF, whole at once."""
    folder.mkdir(exist_ok=True)
    data = {name: (("time", "y", "x"), values[None].astype(np.float32)) for name, values in maps.items()}
    made = xarray.Dataset(data, coords={"time": [time_of(number).astype("datetime64[ns]")]})
    part = folder / ".part.nc"
    made.to_netcdf(part, engine="h5netcdf")
    part.replace(folder / f"{time_of(number).item():%Y%m%d%H%M}.nc")


def watched(bench: Bench, **said: object):
    return bench.watcher(fields={"variable": "rain,wind", "step_minutes": 5.0}, **said)


def predicted(bench: Bench, covariates: np.ndarray) -> np.ndarray:
    frames = np.stack([frame(n)[None] for n in range(6)]).astype(np.float32)
    return bench.model.predict(frames, 3, covariates=covariates.astype(np.float32))[:, 0]


def test_time_of_day_is_computed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, model=model(*HOUR))
    for number in range(6):
        write(bench.folder, number, rain=frame(number))
    bench.watcher(fields={"variable": "rain", "step_minutes": 5.0}).look()
    waves = compute_calendar(np.array([time_of(n) for n in range(9)]), ["hour"])
    covariates = np.broadcast_to(waves[:, :, None, None], (9, 2, 24, 24))
    assert bench.latest()["predictor"] == "tiny"
    np.testing.assert_array_equal(bench.values()[:, 0], predicted(bench, covariates))


def test_what_is_constant_stays(tmp_path: Path) -> None:
    bench = Bench(tmp_path, model=model(WIND))
    for number in range(6):
        write(bench.folder, number, rain=frame(number), wind=wind(number, is_constant=True))
    watched(bench).look()
    covariates = np.stack([wind(0, is_constant=True)[None]] * 9)
    np.testing.assert_array_equal(bench.values()[:, 0], predicted(bench, covariates))


def test_what_changes_comes_from_a_second_folder_or_is_told(tmp_path: Path) -> None:
    bench, ahead = Bench(tmp_path, model=model(WIND)), tmp_path / "ahead"
    for number in range(6):
        write(bench.folder, number, rain=frame(number), wind=wind(number))
    watched(bench).look()
    latest = bench.latest()
    assert latest["predictor"] == "extrapolation"
    assert "covariates wind: got none of the future" in latest["fallback"]
    assert "--covariates" in latest["fallback"], "it says what to do"
    for number in (6, 7):
        write(ahead, number, wind=wind(number))
    watcher = watched(bench, covariates=ahead)
    watcher.look()
    assert "no frame of 2024-05-01 12:40" in bench.latest()["fallback"], "the folder does not reach so far yet"
    write(ahead, 8, wind=wind(8))
    assert watcher.look().published is not None, "what changes the forecast gives another one"
    assert (bench.latest()["predictor"], bench.latest()["fallback"]) == ("tiny", None)
    covariates = np.stack([wind(n)[None] for n in range(9)])
    np.testing.assert_array_equal(bench.values()[:, 0], predicted(bench, covariates))
    assert watcher.look().published is None


def test_a_folder_without_a_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ahead").mkdir()
    with pytest.raises(UsageError, match="this model has no covariates that a file holds; leave it out"):
        Bench(tmp_path).watcher(covariates=tmp_path / "ahead")
    with pytest.raises(UsageError, match="which is not there"):
        watched(Bench(tmp_path, model=model(WIND)), covariates=tmp_path / "nowhere")
