"""Networks by mlcast's call and scale, and data sets by its specification, which its own validator reads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import framecast
from framecast.adapters.mlcast import NowcastNetwork
from framecast.adapters.mlcast_dataset import write_dataset
from framecast.errors import InputError, UsageError
from framecast.forecasting.predictor import PastFrames

RADAR = Path(__file__).parents[1] / "fixtures" / "radar"
VALIDATOR = "0.4.0"
WHO = {"license": "CC-BY-4.0", "created_by": "A. Person <person@example.org>"}


@pytest.fixture(scope="module")
def normalized() -> torch.Tensor:
    """Rain in Finland as mlcast scales it: 0 to 60 dBZ are -1 to 1, no radar is no rain."""
    reflectivity = np.nan_to_num(framecast.open_frames(RADAR / "fmi_pgm").values, nan=0.0).clip(0, 60)
    return torch.from_numpy(reflectivity / 30 - 1).float()[None]


def test_a_network_is_framecasts_forecast_in_mlcasts_scale(normalized: torch.Tensor) -> None:
    model = framecast.load("rain")
    made = NowcastNetwork(model)(normalized, steps=5)
    own = model.predict((normalized + 1) * 30, 5).clamp(0, 60) / 30 - 1
    assert made.shape == (1, 5, 1, 96, 96)
    torch.testing.assert_close(made, own, rtol=0, atol=2e-6)
    assert made.max() > 0
    made.requires_grad_()  # mlcast's losses may take it


def test_members_are_channels(normalized: torch.Tensor) -> None:
    network = NowcastNetwork("rain", seed=3)
    made = network(normalized.repeat(2, 1, 1, 1, 1), 4, ensemble_size=3)
    assert made.shape == (2, 4, 3, 96, 96)
    assert made.std(2).max() > 0.05
    spec = network.predictor.spec.model_copy(update={"height": 96, "width": 96})
    past = PastFrames(((normalized + 1) * 30).repeat(2, 1, 1, 1, 1), spec)
    from framecast.adapters.rain import dress_model

    own = dress_model(network.predictor, 3, 3).forecast(past, 4).frames[:, :, :, 0]  # (B, M, K, H, W)
    torch.testing.assert_close(made[1, 2, 0], own[1, 0, 2].clamp(0, 60) / 30 - 1, rtol=0, atol=2e-6)


def test_other_scales_and_baselines(normalized: torch.Tensor) -> None:
    still = NowcastNetwork("persistence", dbz=(-10.0, 50.0))(normalized, 2)
    torch.testing.assert_close(still[0, 1, 0], normalized[0, -1, 0])
    dry = NowcastNetwork("rain")(torch.full((1, 3, 1, 32, 32), -1.0), 2)
    torch.testing.assert_close(dry, torch.full_like(dry, -1))


@pytest.mark.parametrize(
    ("model", "shape", "members", "expected"),
    [
        ("rain", (1, 4, 2, 32, 32), 1, "time, 1, height"),
        ("rain", (4, 1, 32, 32), 1, "time, 1, height"),
        ("rain", (1, 4, 1, 32, 32), 0, "ensemble_size"),
        ("persistence", (1, 4, 1, 32, 32), 2, "calibrate"),
        ("digits", (1, 4, 1, 32, 32), 1, "channel of rain"),
    ],
)
def test_what_cannot_be_is_said(model: str, shape: tuple[int, ...], members: int, expected: str) -> None:
    with pytest.raises((InputError, UsageError), match=expected):
        NowcastNetwork(model)(torch.zeros(shape), 2, members)
    with pytest.raises(UsageError, match="ascend"):
        NowcastNetwork("rain", dbz=(60.0, 0.0))


def test_a_data_set_holds_the_frames_and_which_are_missing(tmp_path: Path) -> None:
    frames = framecast.open_frames(RADAR / "fmi_pgm").load()
    frames = frames.isel(time=[0, 1, 2, 4, 5])
    frames[4] = np.nan
    path = write_dataset(tmp_path / "fmi.zarr", frames, identifier="FI-FMI-dbz", **WHO)
    assert json.loads((path / ".zmetadata").read_text())["metadata"]["dbz/.zarray"]["chunks"] == [1, 96, 96]
    data = xarray.open_zarr(path, chunks=None)
    kept = frames.isel(time=[0, 1, 2, 3], channel=0)
    assert data["dbz"].dims == ("time", "y", "x")
    np.testing.assert_array_equal(data["dbz"].values, kept.values)
    np.testing.assert_array_equal(data["time"].values, kept["time"].values)
    absent = framecast.open_frames(RADAR / "fmi_pgm")["time"].values[[3, 5]]
    np.testing.assert_array_equal(data["missing_times"].values, absent)
    assert data.attrs["consistent_timestep_start"] == "2016-09-28T14:45:00"
    assert data["dbz"].encoding["compressors"][0].codec_id == "zstd"
    again = framecast.open_frames(path, sequence=0)
    np.testing.assert_array_equal(again.values[:, 0], kept.values[:3])
    assert again.attrs["units"] == "dBZ"
    whole = framecast.open_frames(path)
    np.testing.assert_allclose(whole["x"].values, frames["x"].values)
    assert whole.sizes["time"] == 4


def test_rates_are_fluxes_of_mass_and_come_back_as_rates(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "knmi.zarr", RADAR / "knmi_hdf5", identifier="NL-KNMI-rainfall_flux", **WHO)
    stored = xarray.open_zarr(path, chunks=None)
    assert stored["rainfall_flux"].attrs["units"] == "kg m-2 h-1"
    assert "missing_times" not in stored
    assert "consistent_timestep_start" not in stored.attrs
    again, source = framecast.open_frames(path), framecast.open_frames(RADAR / "knmi_hdf5")
    np.testing.assert_array_equal(again.values, source.values)
    assert again.attrs["units"] == "mm/h"
    # a place in the middle of the Netherlands lies where KNMI's projection has it
    assert 46 < float(stored["lat"].mean()) < 56
    assert 0 < float(stored["lon"].mean()) < 11


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"identifier": "fi-FMI-dbz"}, "identifier"),
        ({"identifier": "FI-FMI"}, "identifier"),
        ({"created_by": "somebody"}, "created_by"),
        ({"created_with": "https://example.org/x"}, "created_with"),
        ({"license": ""}, "license"),
    ],
)
def test_texts_of_another_form_are_refused(tmp_path: Path, said: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        write_dataset(tmp_path / "x.zarr", RADAR / "fmi_pgm", **{"identifier": "FI-FMI-dbz", **WHO, **said})
    assert not list(tmp_path.iterdir())


def test_frames_that_are_none_of_radar_are_refused(tmp_path: Path) -> None:
    given = {"identifier": "FI-FMI-dbz", **WHO}
    frames = framecast.open_frames(RADAR / "fmi_pgm").load()
    cases = [
        (frames.drop_vars("time"), "times"),
        (frames.drop_vars("crs"), "grid mapping"),
        (frames.assign_attrs(units="K"), "units K"),
        (frames.isel(time=[0, 2, 1]), "ascend"),
        (frames.isel(time=[0]), "ascend"),
        (frames.where(False).assign_attrs(frames.attrs), "valid value"),
    ]
    uneven = frames.isel(time=slice(3)).copy()
    uneven["time"] = uneven["time"].values + np.array([0, 0, 60], "timedelta64[s]")
    for case, expected in [*cases, (uneven, "uneven")]:
        with pytest.raises(InputError, match=expected):
            write_dataset(tmp_path / "x.zarr", case, **given)
        assert not (tmp_path / "x.zarr").exists()
    with pytest.raises(InputError, match=r"degrees|axes"):
        write_dataset(
            tmp_path / "x.zarr", Path(__file__).parents[1] / "fixtures" / "era5_t2m.nc", units="mm/h", **given
        )


@pytest.fixture(scope="session")
def validator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validator of mlcast in an environment of its own, made once in pytest's cache."""
    kept = getattr(request.config, "cache", None)
    folder = (tmp_path_factory.mktemp("mlcast") if kept is None else kept.mkdir("mlcast")) / VALIDATOR
    program = folder / "bin" / "mlcast.validate_dataset"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [folder / "bin" / "pip", "install", "--quiet", f"mlcast-dataset-validator=={VALIDATOR}"]
        done = subprocess.run(install, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            shutil.rmtree(folder)
            pytest.skip(f"mlcast-dataset-validator does not install: {done.stderr.strip()[-200:]}")
    return program


@pytest.mark.slow
def test_mlcasts_validator_finds_no_fault(validator: Path, tmp_path: Path) -> None:
    """Frames of 256 x 256 pixels over three years, some of them missing."""
    small = framecast.open_frames(RADAR / "fmi_pgm").isel(channel=0).load()
    tiled = np.tile(small.values, (1, 3, 3))[:, :256, :256]
    metres = {side: small[side].values[0] + np.arange(256) * np.diff(small[side].values)[0] for side in ("y", "x")}
    times = np.datetime64("2021-01-01", "ns") + np.array([0, 1, 2, 4, 5, 6]) * np.timedelta64(250, "D")
    coordinates = {side: (side, values, small[side].attrs) for side, values in metres.items()}
    frames = xarray.DataArray(
        tiled, {"time": times, **coordinates, "crs": small["crs"]}, ("time", "y", "x"), attrs=small.attrs
    )
    software = "https://github.com/mlcast-community/mlcast-dataset-FI-FMI@v0.1.0"
    path = write_dataset(tmp_path / "x.zarr", frames, identifier="FI-FMI-dbz", created_with=software, **WHO)
    words = [validator, "source_data", "radar_precipitation", path]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    said = done.stdout + done.stderr
    assert "Summary: 0 fail(s)" in said, said[-4000:]
