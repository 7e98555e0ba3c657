"""What `framecast predict` takes from a run, and what it refuses before it computes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures.commands import framecast as framecast_command

import framecast.forecasting.predict
from framecast import kernels
from framecast.cli import main
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import save_forecaster
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of which only the model and the recipe are there."""
    torch.manual_seed(0)
    spec = FrameSpec(channels=1, height=8, width=8, low=0, high=1, units="K")
    model = Forecaster(ConvLSTM(hidden=(4,), kernel_size=3), spec, Range(low=0, high=1), 2, context=3)
    save_forecaster(tmp_path / "run" / "model", model)
    (tmp_path / "run" / "recipe.yaml").write_text("train: {precision: highest}\n")
    return tmp_path / "run"


def predict(*words: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["framecast", "predict", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize(("said", "precision"), [([], "highest"), (["--precision", "high"], "high")])
def test_the_precision_is_that_of_the_training(run: Path, tmp_path: Path, monkeypatch, said, precision: str) -> None:
    asked: list[str] = []
    monkeypatch.setattr(kernels, "set_precision", asked.append)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((4, 8, 8), np.float32))
    assert predict(run, tmp_path / "x.npy", "--dims", "thw", "--out", tmp_path / "y.npy", *said) == 0
    assert asked == [precision]


def test_latitudes_that_no_geotiff_has_are_refused_before_the_forecast(
    run: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("rasterio")
    values = np.random.default_rng(0).random((4, 8, 8), np.float32)
    data = xarray.Dataset({"t": (("time", "lat", "lon"), values, {"units": "K"})})
    data["lat"] = ("lat", [60.0, 58.9, 57.7, 56.6, 55.5, 54.4, 53.2, 52.0], {"units": "degrees_north"})
    data["lon"] = ("lon", np.arange(8.0), {"units": "degrees_east"})
    data.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")

    def computed(*_, **__) -> None:
        raise AssertionError("a forecast was computed")

    monkeypatch.setattr(framecast.forecasting.predict, "forecast_source", computed)
    assert predict(run, tmp_path / "x.nc", "--out", tmp_path / "y.tif", "--out", tmp_path / "y.nc") == 2
    assert "lat: got steps that differ" in capsys.readouterr().err


def test_a_baseline_in_the_place_of_a_run(tmp_path: Path, capsys) -> None:
    xarray = pytest.importorskip("xarray")
    values = np.random.default_rng(0).random((30, 8, 8), np.float32)
    np.savez(tmp_path / "x.npz", frames=values, dims="thw", units="K", step_minutes=60.0)
    assert predict("persistence", tmp_path / "x.npz", "--horizon", 3, "--out", tmp_path / "y.nc", "--quiet") == 0
    assert "\n\n" not in capsys.readouterr().out
    with xarray.open_dataset(tmp_path / "y.nc", engine="h5netcdf") as data:
        np.testing.assert_array_equal(data["forecast"].values, np.repeat(values[-1:], 3, 0))
        assert data.attrs["model"] == "persistence"
        assert "model_sha256" not in data.attrs
    said = ["--horizon", 1, "--quiet", "--json"]
    assert predict("mean", tmp_path / "x.npz", "--out", tmp_path / "m.npy", *said) == 0
    assert '"context": 10' in capsys.readouterr().out
    np.testing.assert_allclose(np.load(tmp_path / "m.npy")[0], values[-10:].mean(0), rtol=1e-5)
    assert predict("diurnal", tmp_path / "x.npz", "--out", tmp_path / "d.npy", *said) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "d.npy")[0], values[-24])
    assert predict("seasonal:7h", tmp_path / "x.npz", "--out", tmp_path / "s.npy", *said) == 0
    assert '"model": "seasonal:7h"' in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy")[0], values[-7])
    assert predict("seasonal:90min", tmp_path / "x.npz", "--out", tmp_path / "no.npy", *said) == 2
    assert "multiple of the step" in capsys.readouterr().err
    assert predict("mean", tmp_path / "x.npz", "--out", tmp_path / "no.npy", "--tile", 4) == 2
    assert "--tile" in capsys.readouterr().err
    assert predict("persistance", tmp_path / "x.npz", "--out", tmp_path / "no.npy") == 4


@pytest.mark.parametrize("name", ["recipe.yaml", "model.json"])
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_baseline_whose_name_a_folder_has_is_refused(command: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "mean").mkdir()
    (tmp_path / "mean" / name).write_text("{}")
    words = ["x.npy"] if command == "predict" else ["--data", "x.npy"]
    done = framecast_command(command, "mean", *words, "--out", "y.npy", cwd=tmp_path, code=2)
    assert "say ./mean for the run" in done.stderr
