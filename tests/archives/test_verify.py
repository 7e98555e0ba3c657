"""Scores of given forecasts: those of numpy, whatever wrote the file, however rows and members lie in it."""

from pathlib import Path

import numpy as np
import pytest
import xarray
from tests.archives.conftest import make_rain

from framecast.archives.verify import verify
from framecast.errors import InputError, UsageError
from framecast.evaluation.suite import EvaluationOptions

SCORED = EvaluationOptions(metrics=["mse", "csi"], thresholds=[1.0], baselines=["persistence"])


def truth(archive: Path) -> dict[str, object]:
    return {"source": str(archive), "range": (0.0, 10.0)}


def make_forecasts(starts: tuple[int, ...] = (5, 17, 30), leads: int = 3) -> xarray.Dataset:
    """Forecasts that are wrong by 0.1 mm/h and one pixel."""
    rain = make_rain()
    values = np.stack([np.roll(rain.rain.values[at + 1 : at + 1 + leads], 1, -1) + np.float32(0.1) for at in starts])
    attributes = {"units": "mm h-1"}
    return xarray.Dataset(
        {"precipitation": (("forecast_reference_time", "lead_time", "y", "x"), values, attributes)},
        {
            "forecast_reference_time": rain.time.values[list(starts)],
            "lead_time": ("lead_time", np.arange(1, leads + 1) * 5, {"units": "minutes"}),
            "y": rain.y,
            "x": rain.x,
        },
    )


def expected_mse(forecasts: xarray.Dataset, inside: np.ndarray | None = None) -> np.ndarray:
    rain = make_rain()
    starts = np.searchsorted(rain.time.values, forecasts.forecast_reference_time.values)
    values = forecasts.precipitation.values.astype(float).clip(0, 10)
    observed = np.stack([rain.rain.values[at + 1 : at + 1 + values.shape[1]] for at in starts]).astype(float)
    error = (values - observed) ** 2 / 100
    return error.mean((0, 2, 3)) if inside is None else error[..., inside].mean((0, 2))


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_scores_are_those_of_numpy(archive: Path, tmp_path: Path, ending: str) -> None:
    forecasts = make_forecasts()
    path = tmp_path / f"f.{ending}"
    forecasts.to_netcdf(path) if ending == "nc" else forecasts.to_zarr(path, consolidated=False)
    made = verify([path], truth(archive), SCORED, by=["hour", "month"], quiet=True)
    by_lead = made.scores.scores["forecast"].by_lead()
    np.testing.assert_allclose(by_lead["mse"], expected_mse(forecasts), rtol=1e-5)
    assert made.scores.forecasts == 3
    assert {kind: [*parts] for kind, parts in made.by_group.items()} == {
        "hour": ["00 UTC", "22 UTC", "23 UTC"],
        "month": ["2016-09", "2016-10"],
    }
    first = made.by_group["month"]["2016-10"].scores["forecast"].by_lead()["mse"]
    np.testing.assert_allclose(first, expected_mse(forecasts.isel(forecast_reference_time=[2])), rtol=1e-5)
    rain = make_rain().rain.values.astype(float)
    copied = [np.mean([(rain[at] - rain[at + lead]) ** 2 for at in (5, 17, 30)]) / 100 for lead in (1, 2, 3)]
    np.testing.assert_allclose(made.scores.scores["persistence"].by_lead()["mse"], copied, rtol=1e-5)


def test_rows_may_lie_the_other_way_and_axes_in_any_order(archive: Path, tmp_path: Path) -> None:
    forecasts = make_forecasts()
    turned = forecasts.isel(y=slice(None, None, -1), x=slice(None, None, -1))
    turned.transpose("y", "lead_time", "x", "forecast_reference_time").to_netcdf(tmp_path / "f.nc")
    made = verify([tmp_path / "f.nc"], truth(archive), SCORED, quiet=True)
    np.testing.assert_allclose(made.scores.scores["forecast"].by_lead()["mse"], expected_mse(forecasts), rtol=1e-5)


def test_a_region_counts_alone(archive: Path, tmp_path: Path) -> None:
    forecasts, inside = make_forecasts(), np.zeros((20, 24), bool)
    inside[5:15, 3:20] = True
    forecasts.to_netcdf(tmp_path / "f.nc")
    np.save(tmp_path / "region.npy", inside[None].astype(np.float32))
    made = verify([tmp_path / "f.nc"], truth(archive), SCORED, region=tmp_path / "region.npy", quiet=True)
    by_lead = made.scores.scores["forecast"].by_lead()["mse"]
    np.testing.assert_allclose(by_lead, expected_mse(forecasts, inside), rtol=1e-5)


def test_a_folder_of_files_of_one_forecast_each(archive: Path, tmp_path: Path) -> None:
    """As predict writes them: (time, y, x) with one forecast_reference_time."""
    forecasts, folder = make_forecasts(), tmp_path / "forecasts"
    folder.mkdir()
    for number in range(3):
        one = forecasts.isel(forecast_reference_time=number)
        times = one.forecast_reference_time.values + np.arange(1, 4) * np.timedelta64(5, "m")
        one = one.drop_vars("lead_time").rename(lead_time="time").assign_coords(time=times)
        one.forecast_reference_time.attrs["standard_name"] = "forecast_reference_time"
        one.to_netcdf(folder / f"{number}.nc")
    made = verify([folder], truth(archive), SCORED, quiet=True)
    np.testing.assert_allclose(made.scores.scores["forecast"].by_lead()["mse"], expected_mse(forecasts), rtol=1e-5)


def test_members_are_scored_as_an_ensemble(archive: Path, tmp_path: Path) -> None:
    scoringrules = pytest.importorskip("scoringrules")
    forecasts = make_forecasts()
    shifts = xarray.DataArray(np.float32([-0.5, 0.0, 0.2, 0.9]), dims="realization")
    members = (
        (forecasts + shifts).clip(0, 10).transpose("forecast_reference_time", "realization", "lead_time", "y", "x")
    )
    members.precipitation.attrs["units"] = "mm/h"
    members.to_netcdf(tmp_path / "f.nc")
    scored = SCORED._replace(metrics=["crps"], baselines=[])
    made = verify([tmp_path / "f.nc"], truth(archive), scored, quiet=True)
    rain = make_rain().rain.values
    observed = np.stack([rain[at + 1 : at + 4] for at in (5, 17, 30)])
    values = np.moveaxis(members.precipitation.values, 1, -1)
    expected = scoringrules.crps_ensemble(observed, values, estimator="fair").mean((0, 2, 3)) / 10
    np.testing.assert_allclose(made.scores.scores["forecast"].by_lead()["crps"], expected, rtol=1e-4)


def test_what_pysteps_writes(archive: Path, tmp_path: Path) -> None:
    exporters = pytest.importorskip("pysteps.io.exporters")
    forecasts = make_forecasts((5,))
    metadata = {
        "projection": "+proj=utm +zone=35 +ellps=WGS84", "x1": -500.0, "x2": 23500.0, "y1": -500.0, "y2": 19500.0,
        "yorigin": "upper", "unit": "mm/h", "cartesian_unit": "m", "threshold": 0.1, "zerovalue": 0.0,
        "accutime": 5, "transform": None, "institution": "test", "xpixelsize": 1000.0, "ypixelsize": 1000.0,
    }  # fmt: skip
    start = forecasts.forecast_reference_time.values[0].astype("datetime64[s]").item()
    exporter = exporters.initialize_forecast_exporter_netcdf(
        str(tmp_path), "f", start, 5, 3, (20, 24), metadata, n_ens_members=1
    )
    exporters.export_forecast_dataset(forecasts.precipitation.values[0, :, ::-1], exporter)
    exporters.close_forecast_files(exporter)
    made = verify([tmp_path / "f.nc"], truth(archive), SCORED, quiet=True)
    np.testing.assert_allclose(made.scores.scores["forecast"].by_lead()["mse"], expected_mse(forecasts), rtol=1e-4)


def test_forecasts_without_truth_are_left_out_and_told(archive: Path, tmp_path: Path) -> None:
    make_forecasts((1, 17, 30)).to_netcdf(tmp_path / "f.nc")  # persistence wants four frames before each
    made = verify([tmp_path / "f.nc"], truth(archive), SCORED, quiet=True)
    assert made.scores.forecasts == 2
    assert "1 forecasts have no truth" in made.notes[0]


def test_what_does_not_fit_is_refused(archive: Path, tmp_path: Path) -> None:
    forecasts = make_forecasts()
    forecasts.isel(x=slice(20)).to_netcdf(tmp_path / "small.nc")
    forecasts.assign_coords(x=forecasts.x + 500).to_netcdf(tmp_path / "moved.nc")
    kelvin = forecasts.copy()
    kelvin.precipitation.attrs["units"] = "K"
    kelvin.to_netcdf(tmp_path / "kelvin.nc")
    forecasts.to_netcdf(tmp_path / "f.nc")
    for name, words in (("small", "20 x 20 pixels"), ("moved", "columns from 500"), ("kelvin", "got K")):
        with pytest.raises(InputError, match=words):
            verify([tmp_path / f"{name}.nc"], truth(archive), SCORED, quiet=True)
    with pytest.raises(InputError, match="each reference time once"):
        verify([tmp_path / "f.nc", tmp_path / "f.nc"], truth(archive), SCORED, quiet=True)
    with pytest.raises(InputError, match="nothing there"):
        verify([tmp_path / "absent.nc"], truth(archive), SCORED, quiet=True)
    with pytest.raises(UsageError, match="hour"):
        verify([tmp_path / "f.nc"], truth(archive), SCORED, by=["hours"], quiet=True)
