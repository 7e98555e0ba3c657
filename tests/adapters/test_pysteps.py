"""Nowcasts in pysteps: equal to framecast's own, in all units of pysteps, by its entry points and within its blending."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import framecast
from framecast.adapters.pysteps import RainScale, forecast
from framecast.adapters.pysteps_plugin import import_framecast
from framecast.ensembles.predict import dress_forecast
from framecast.errors import InputError, UsageError
from framecast.forecasting.predictor import PastFrames
from framecast.trained import find_model

ROOT = Path(__file__).parents[2]
RADAR = ROOT / "tests" / "fixtures" / "radar"
FMI = sorted((RADAR / "fmi_pgm").iterdir())


@pytest.fixture(scope="module")
def pysteps() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("pysteps", reason="pysteps is not installed")


@pytest.fixture(scope="module")
def rain() -> np.ndarray:
    """Six frames of rain in Finland, dBZ, NaN where there is no radar."""
    return framecast.open_frames(RADAR / "fmi_pgm").values[:, 0]


def described(unit: str, transform: str | None, threshold: float, zerovalue: float) -> dict[str, Any]:
    place = {"accutime": 5.0, "zr_a": 223.0, "zr_b": 1.53}
    return {"unit": unit, "transform": transform, "threshold": threshold, "zerovalue": zerovalue, **place}


DBZ = described("dBZ", "dB", -31.5, -32.0)


def test_it_is_framecasts_own_forecast_to_the_bit(rain: np.ndarray) -> None:
    future = forecast(rain, None, 4, metadata=DBZ)
    valid = np.isfinite(rain)
    filled = np.where(valid, rain, 0)[None, :, None]
    own = framecast.load("rain").predict(filled, 4, valid[None, :, None])[0, :, 0]
    seen = valid.any(0)
    assert future.shape == (4, 96, 96)
    assert future.dtype == rain.dtype
    np.testing.assert_array_equal(future[:, seen], own[:, seen])
    np.testing.assert_array_equal(np.isnan(future), np.broadcast_to(~seen, future.shape))
    assert (~seen).any()
    assert seen.any()


def test_the_motion_that_is_given_is_used(rain: np.ndarray) -> None:
    motion = np.stack([np.full((96, 96), 3.0), np.full((96, 96), -2.0)])
    model = framecast.load("rain")
    given = forecast(rain, motion, 3, model, metadata=DBZ)
    valid = np.isfinite(rain)[None, :, None]
    tracks = torch.from_numpy(motion).float().expand(1, len(rain), 2, 96, 96)
    own = model.predict(np.where(valid, rain[None, :, None], 0), 3, valid, motion=tracks)[0, :, 0]
    seen = np.isfinite(given)
    np.testing.assert_array_equal(given[seen], own[seen])
    moved = forecast(rain, motion, 2, "extrapolation", metadata=DBZ)
    last = np.maximum(np.nan_to_num(rain[-1]), 0)
    np.testing.assert_allclose(moved[1][30:60, 30:60], last[34:64, 24:54], atol=1e-4)


@pytest.mark.parametrize("case", ["mm/h", "dB of mm/h", "mm", "dB of mm", "dBZ"])
def test_values_come_back_in_the_units_and_transform_they_came_in(pysteps: Any, rain: np.ndarray, case: str) -> None:
    values, metadata = rain.astype(np.float64), dict(DBZ)
    convert, transform = pysteps.utils.conversion, pysteps.utils.transformation
    if case != "dBZ":
        values, metadata = convert.to_rainrate(values, metadata)
    if "mm" in case and "/h" not in case:
        values, metadata = convert.to_raindepth(values, metadata)
    if case.startswith("dB of"):
        values, metadata = transform.dB_transform(values, metadata, threshold=0.004, zerovalue=-30.0)
    future = forecast(values, None, 2, "persistence", metadata=metadata)
    wet = values[-1] > metadata["threshold"]
    assert wet.sum() > 500
    np.testing.assert_allclose(future[1][wet], values[-1][wet], rtol=1e-4, atol=1e-4)
    in_dbz = forecast(values, None, 2, metadata=metadata)  # through the units of the model `rain`, and back
    rates, _ = convert.to_rainrate(in_dbz, metadata)
    expected, _ = convert.to_rainrate(forecast(rain.astype(float), None, 2, metadata=DBZ), DBZ)
    both = np.isfinite(rates) & (expected > 0.5)
    # what lies below the threshold was cut on the way in
    assert np.median(np.abs(rates[both] / expected[both] - 1)) < 0.02


def test_rates_without_metadata_are_millimetres_per_hour(rain: np.ndarray) -> None:
    rates = np.where(rain > 0, (10 ** (rain / 10) / 200) ** (1 / 1.6), 0.0)
    plain = forecast(rates, None, 2)
    said = forecast(rates, None, 2, metadata={"unit": "mm/h", "transform": None})
    np.testing.assert_array_equal(plain, said)
    with pytest.raises(InputError, match="metadata=metadata"):
        forecast(rain, None, 2)


def test_lead_times_between_frames_are_moved_there() -> None:
    y, x = np.mgrid[:48, :96]
    blobs = np.stack([8 * np.exp(-((y - 24) ** 2 + (x - 44 - 4 * t) ** 2) / 18) for t in range(4)])
    motion = np.stack([np.full((48, 96), 4.0), np.zeros((48, 96))])
    future = forecast(blobs, motion, [0.25, 1, 1.5, 3], "extrapolation")
    centres = (future * x).sum((1, 2)) / future.sum((1, 2))
    np.testing.assert_allclose(centres, [57, 60, 62, 68], atol=0.1)
    np.testing.assert_allclose(future.max((1, 2)), 8, rtol=0.03)
    whole = forecast(blobs, motion, 3, "extrapolation")
    np.testing.assert_array_equal(future[[1, 3]], whole[[0, 2]])


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_dry_and_absent_frames_are_ordinary(value: float, members: int) -> None:
    future = forecast(np.full((6, 32, 40), value), None, 3, n_ens_members=members)
    assert future.shape == ((3, 32, 40) if members == 1 else (members, 3, 32, 40))
    np.testing.assert_array_equal(future, np.full(future.shape, value))


def test_one_lost_frame_and_one_frame_alone_are_enough(rain: np.ndarray) -> None:
    lost = rain.copy()
    lost[3] = np.nan
    assert (
        np.isfinite(forecast(lost, None, 2, metadata=DBZ)).sum()
        == np.isfinite(forecast(rain, None, 2, metadata=DBZ)).sum()
    )
    assert forecast(rain[-1], np.ones((2, 96, 96)), 2, metadata=DBZ).shape == (2, 96, 96)
    masked = np.ma.masked_invalid(rain)
    np.testing.assert_array_equal(forecast(masked, None, 1, metadata=DBZ), forecast(rain, None, 1, metadata=DBZ))


def test_members_are_those_of_framecasts_ensemble(rain: np.ndarray) -> None:
    made = forecast(rain, None, 3, n_ens_members=4, seed=7, metadata=DBZ)
    model = framecast.load("rain")
    valid = torch.from_numpy(np.isfinite(rain))[None, :, None]
    frames = torch.from_numpy(np.nan_to_num(rain))[None, :, None]
    spec = model.spec.model_copy(update={"height": 96, "width": 96})
    single = model.forecast(PastFrames(frames, spec, valid), 3)
    own = dress_forecast(model, single, Path(find_model("rain")), members=4, seed=7).values[0, :, :, 0]
    np.testing.assert_array_equal(made, own)
    assert np.nan_to_num(made).std(0).max() > 1
    assert (made != forecast(rain, None, 3, n_ens_members=4, seed=8, metadata=DBZ)).any()


def test_another_step_is_bridged_or_refused(rain: np.ndarray) -> None:
    assert (forecast(rain, None, 2, metadata=DBZ, timestep=10) != forecast(rain, None, 2, metadata=DBZ)).any()
    with pytest.raises(InputError, match="60 min"):
        forecast(rain, None, 2, metadata=DBZ, timestep=60)


def test_the_time_is_measured_where_asked(rain: np.ndarray) -> None:
    future, seconds = forecast(rain, None, 1, metadata=DBZ, measure_time=True)
    assert future.shape == (1, 96, 96)
    assert 0 < seconds < 60


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"timesteps": 0}, "timesteps"),
        ({"timesteps": [2, 1]}, "timesteps"),
        ({"timesteps": [0, 1]}, "timesteps"),
        ({"precip": np.zeros((0, 8, 8))}, "precip"),
        ({"precip": np.zeros((2, 2, 8, 8))}, "precip"),
        ({"velocity": np.zeros((2, 8, 9))}, "velocity"),
        ({"model": "digits"}, "one channel of rain"),
        ({"model": "rainn"}, "rain"),
        ({"n_ens_members": 0}, "n_ens_members"),
        ({"n_ens_members": 2, "model": "persistence"}, "framecast calibrate"),
        ({"metadata": {"unit": "mm/h", "transform": "BoxCox"}}, "transform"),
        ({"metadata": {"unit": "K"}}, "unit"),
        ({"metadata": {"unit": "mm"}}, "accutime"),
    ],
)
def test_what_cannot_be_is_said(said: dict[str, Any], expected: str) -> None:
    given = {"precip": np.zeros((3, 16, 16)), "velocity": None, "timesteps": 2, **said}
    with pytest.raises((InputError, UsageError), match=expected):
        forecast(**given)


def test_no_rain_has_the_value_that_the_metadata_say() -> None:
    scale = RainScale.read(described("mm/h", "dB", -10.0, -15.0), np.zeros(1))
    values = torch.tensor([0.0, 0.05, 0.1, 10.0, float("nan")])
    np.testing.assert_allclose(scale.decode(values, "mm/h"), [-15, -15, -10, 10, np.nan], atol=1e-5)
    np.testing.assert_allclose(scale.encode(np.array([-15.0, -10.0, 10.0])), [0, 0.1, 10], rtol=1e-6)


@pytest.mark.parametrize("folder", ["fmi_pgm", "knmi_hdf5"])
def test_the_importer_reads_what_those_of_pysteps_read(pysteps: Any, folder: str) -> None:
    path = str(min((RADAR / folder).iterdir()))
    own, quality, metadata = import_framecast(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importers = pysteps.io.importers
        read = importers.import_fmi_pgm if folder == "fmi_pgm" else importers.import_knmi_hdf5
        values, _, expected = read(path, **({"gzipped": True} if folder == "fmi_pgm" else {}))
    factor = 1 if folder == "fmi_pgm" else 12  # KNMI's depths of five minutes are rates here
    np.testing.assert_allclose(own, factor * values, rtol=2e-7, atol=1e-6)
    assert quality is None
    assert metadata["unit"] == ("dBZ" if folder == "fmi_pgm" else "mm/h")
    assert metadata["transform"] == expected["transform"]
    assert metadata["yorigin"] == expected["yorigin"]
    np.testing.assert_allclose(metadata["zerovalue"], factor * expected["zerovalue"])
    np.testing.assert_allclose(metadata["threshold"], factor * expected["threshold"], rtol=1e-5)
    scale = 1000 if expected["cartesian_unit"] == "km" else 1
    for key in ("xpixelsize", "ypixelsize"):
        np.testing.assert_allclose(metadata[key], scale * expected[key], rtol=1e-6)
    assert metadata["x2"] - metadata["x1"] == pytest.approx(96 * metadata["xpixelsize"])
    ours, theirs = (pysteps.io.importers.pyproj.Proj(said["projection"]) for said in (metadata, expected))
    np.testing.assert_allclose(ours(25.0, 62.0), scale * np.array(theirs(25.0, 62.0)), rtol=1e-6, atol=1)


def test_the_importer_takes_a_frame_by_its_number() -> None:
    newest, _, metadata = import_framecast(str(RADAR / "fmi_pgm"), dtype="float32", fillna=0)
    np.testing.assert_array_equal(newest, import_framecast(str(FMI[-1]))[0])
    np.testing.assert_array_equal(
        import_framecast(str(RADAR / "fmi_pgm"), frame=1)[0], import_framecast(str(FMI[1]))[0]
    )
    assert metadata["accutime"] == 5
    with pytest.raises(InputError, match="-6 to 5"):
        import_framecast(str(RADAR / "fmi_pgm"), frame=6)
    with pytest.raises(InputError, match="one channel"):
        import_framecast(str(ROOT / "tests/fixtures/bigbuckbunny.mp4"))


SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import pysteps
assert "torch" not in sys.modules
import numpy as np
read = pysteps.io.get_method("framecast", "importer")
frames = pysteps.io.read_timeseries((sys.argv[1:], [None] * (len(sys.argv) - 1)), read)
rain, metadata = frames[0], frames[2]
rain, metadata = pysteps.utils.conversion.to_rainrate(rain, metadata)
motion = np.ones((2, *rain.shape[1:]))
blended = pysteps.blending.get_method("linear_blending")(
    rain, metadata, motion, 3, 5, "framecast", np.full((3, *rain.shape[1:]), 2.0), metadata,
    start_blending=5, end_blending=15, nowcast_kwargs={"metadata": metadata, "n_ens_members": 2})
direct = pysteps.nowcasts.get_method("framecast")(rain, motion, 3, metadata=metadata, n_ens_members=2)
np.testing.assert_allclose(blended[:, 0], np.where(np.isnan(direct[:, 0]), 2.0, direct[:, 0]))
np.testing.assert_allclose(blended[:, 1], np.where(np.isnan(direct[:, 1]), 2.0, (direct[:, 1] + 2.0) / 2))
print(blended.shape)
"""


@pytest.mark.usefixtures("pysteps")
def test_an_installed_framecast_is_found_by_pysteps_and_its_blending(tmp_path: Path) -> None:
    """The entry points are those of pyproject.toml, whatever is installed."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    installed = tmp_path / "framecast-9.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: framecast\nVersion: 9\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in each.items())
        for group, each in groups.items()
    ]
    (installed / "entry_points.txt").write_text("\n".join(lines))
    paths = os.pathsep.join([str(tmp_path), str(Path(framecast.__file__).parents[1])])
    words = [sys.executable, "-c", SCRIPT, *map(str, FMI)]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(2, 3, 96, 96)"


def test_register_names_the_method(pysteps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(pysteps.nowcasts.interface._nowcast_methods, "framecast", raising=False)
    framecast.pysteps.register()
    assert pysteps.nowcasts.get_method("framecast") is forecast
