"""calibrate, predict with members and products, evaluate with members: from files to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image
from tests.fixtures.commands import framecast

import framecast as library
from framecast.ensembles.calibration.calibration_file import EnsembleCalibration
from framecast.ensembles.error_tables import ErrorTables
from framecast.trained import EXAMPLE, find_model


@pytest.fixture(scope="module")
def radar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Windows of rain that the model never saw, 64 x 64 pixels, 14 frames each; two of them for training."""
    path = tmp_path_factory.mktemp("radar") / "radar.npz"
    with np.load(Path(find_model("rain")) / EXAMPLE) as stored:
        parts = {name: stored[name] for name in stored.files}
    parts["frames"] = parts["frames"][:3, :14, 30:94, 30:94]
    parts |= {name: parts[name][:3] for name in ("y0", "x0", "start_time")}
    np.savez(path, **parts, split=np.array(["train", "train", "val"]))
    return path


def test_the_model_of_the_package_gives_probabilities(radar: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "p.nc", tmp_path / "m.nc"
    words = "predict", "rain", radar, "--horizon", 2, "--members", 4
    done = framecast(*words, "--product", "prob@15,p90,mean", "--out", outputs[0])
    assert "ensemble: 4 members, seed 0, errors of 36 forecasts of rain" in done.stdout
    pictures = "--strip", tmp_path / "strip.png", "--plume", tmp_path / "plume.png", "--at", "20,30"
    drawn = framecast(*words, "--out", outputs[1], *pictures)
    assert "plume.png: members at row 20, column 30" in drawn.stdout
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.height > 600, "input, mean and four members"
    with Image.open(tmp_path / "plume.png") as plume:
        assert len(plume.convert("RGB").getcolors(100_000)) > 20
    with xarray.open_dataset(outputs[0]) as products, xarray.open_dataset(outputs[1]) as members:
        probability, percentile, mean = (products[name].values for name in list(products.data_vars)[:3])
        values = next(members[name] for name in members.data_vars if "realization" in members[name].dims)
        assert members.realization.attrs["standard_name"] == "realization"
        ours = values.values
        axis = values.dims.index("realization")
        np.testing.assert_allclose(mean, ours.mean(axis), atol=1e-4)
        np.testing.assert_allclose(probability, (ours >= 15).mean(axis), atol=1e-6)
        np.testing.assert_allclose(percentile, np.quantile(ours, 0.9, axis=axis), atol=1e-3)
        assert 0 < ours.std(axis).mean() < 20


def test_a_baseline_is_calibrated_and_dressed(radar: Path, tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    words = "--context", 4, "--horizon", 2
    data = "--data", radar, "--split", "train"
    fit = "calibrate", "extrapolation", *data, *words, "--members", 3
    done = framecast(*fit, "--out", errors, "--check", "val", "--json")
    facts = json.loads(done.stdout)
    assert facts["windows"] == 18  # nine in each sequence
    check = facts["check"]
    assert check["windows"] == 5
    raw, calibrated = check["brier"]["15.0"]
    assert 0 < calibrated < 1.1 * raw < 0.5
    assert 0.4 < check["coverage"]["0.5"] < check["coverage"]["0.9"] <= 1
    assert check["width"]["0.5"] < check["width"]["0.9"]
    refused = framecast(*fit, "--out", tmp_path / "x", "--check", "train", code=2)
    assert "--check: got train, which the fit takes" in refused.stderr
    tables = ErrorTables.read(errors / "errors.json")
    assert (tables.model, tables.units, tables.step_minutes, len(tables.sd)) == ("extrapolation", "dBZ", 5.0, 2)
    assert tables.sd[1][0][0][5] > tables.sd[0][0][0][5] > 0
    reliability = EnsembleCalibration.read(errors / "calibration.json").reliability
    assert reliability is not None
    assert [event.threshold for event in reliability.events] == [15, 25, 35]
    assert len(reliability.shares) == 4
    ends = tmp_path / "ends.npy"
    framecast(
        "predict",
        "extrapolation",
        radar,
        *words,
        "--members",
        3,
        "--errors",
        errors,
        "--product",
        "lower80,upper80",
        "--out",
        ends,
        "--quiet",
    )
    low, high = np.moveaxis(np.load(ends).reshape(-1, 2, 64, 64), 1, 0)
    assert (low <= high).all()
    assert (high - low).mean() > 2
    out = tmp_path / "future.npy"
    members = "--members", 5, "--errors", errors
    framecast("predict", "extrapolation", radar, *words, *members, "--out", out, "--quiet")
    assert np.load(out).shape[1] == 5 or 5 in np.load(out).shape
    again = framecast("calibrate", "extrapolation", *data, *words, "--out", errors, code=2)
    assert "errors.json" in again.stderr
    missing = framecast("predict", "extrapolation", radar, *words, "--members", 2, "--out", tmp_path / "x.npy", code=3)
    assert "no errors.json" in missing.stderr
    assert "framecast calibrate" in missing.stderr


def test_ensembles_are_scored_beside_single_forecasts(radar: Path, tmp_path: Path) -> None:
    words = "--data", radar, "--split", "val", "--context", 8, "--horizon", 2, "--members", 3, "--thresholds", 15
    baselines = "--baselines", "lagged,dressed:persistence,extrapolation"
    done = framecast("evaluate", "rain", *words, *baselines, "--out", tmp_path / "scores", "--json", "--quiet")
    scores = json.loads(done.stdout)["scores"]
    names = {"rain ensemble", "rain", "rain matched", "lagged", "dressed:persistence", "extrapolation"}
    assert set(scores) == names
    assert scores["extrapolation"]["crps"]["mean"] == pytest.approx(scores["extrapolation"]["mae"]["mean"])
    assert scores["rain ensemble"]["crps"]["mean"] < scores["rain"]["crps"]["mean"]
    assert scores["rain ensemble"]["spread_error"]["mean"] > 0.3
    assert scores["rain"]["spread_error"]["mean"] == 0
    assert {"crps/16px", "brier_fair@15", "spectrum", "rank_outer"} <= set(scores["lagged"])


def test_what_is_refused(radar: Path, tmp_path: Path) -> None:
    out = "--out", tmp_path / "x.nc"
    assert (
        "--product: got no --members" in framecast("predict", "rain", radar, "--product", "mean", *out, code=2).stderr
    )
    words = "predict", "rain", radar, "--members", 2
    assert "each member is matched" in framecast(*words, "--calibrate", "matched", *out, code=2).stderr
    assert "--product: got prop@1" in framecast(*words, "--product", "prop@1", *out, code=2).stderr
    assert "--out: got nothing" in framecast("calibrate", "persistence", "--data", radar, code=2).stderr
    picture = "--plume", tmp_path / "p.png"
    assert "--at: got 64,0" in framecast(*words, *picture, "--at", "64,0", *out, code=2).stderr
    assert "--at: got no --plume" in framecast(*words, "--at", "1,1", *out, code=2).stderr
    assert "--plume: got no --members" in framecast("predict", "rain", radar, *picture, *out, code=2).stderr
    assert "--plume: got --product" in framecast(*words, *picture, "--product", "mean", *out, code=2).stderr
    assert not (tmp_path / "x.nc").exists()


def test_several_runs_are_one_ensemble(radar: Path, tmp_path: Path) -> None:
    words = "--context", 6, "--horizon", 2
    runs = "persistence", "mean", "extrapolation"
    out = tmp_path / "joined.nc"
    done = framecast("predict", *runs, radar, "--as-ensemble", *words, "--product", "mean,max", "--out", out)
    assert "ensemble: 3 members, of 3 forecasts" in done.stdout
    singles = []
    for run in runs:
        framecast("predict", run, radar, *words, "--out", tmp_path / f"{run}.npy", "--quiet")
        singles.append(np.load(tmp_path / f"{run}.npy").squeeze())
    with xarray.open_dataset(out) as joined:
        mean, most = (joined[name].values.squeeze() for name in ("mean", "max"))
    np.testing.assert_allclose(mean.reshape(-1), np.mean(singles, 0).reshape(-1), atol=1e-3)
    np.testing.assert_allclose(most.reshape(-1), np.max(singles, 0).reshape(-1), atol=1e-3)
    scored = framecast(
        *("evaluate", *runs, "--as-ensemble", "--data", radar, "--split", "val", *words, "--thresholds", 15),
        *("--baselines", "blank", "--out", tmp_path / "scores", "--json", "--quiet"),
    )
    scores = json.loads(scored.stdout)["scores"]
    assert list(scores) == ["ensemble of 3 runs", *runs, "blank"]
    assert scores["ensemble of 3 runs"]["crps"]["mean"] < min(scores[run]["crps"]["mean"] for run in runs)
    assert (tmp_path / "scores" / "ensemble.png").is_file()
    lengths = {"context": 6, "horizon": 2}
    board = library.evaluate(list(runs), radar, split="val", thresholds=15, baselines=["blank"], quiet=True, **lengths)
    assert json.loads(json.dumps(board.as_dict()))["scores"] == scores
    for wrong, message in (
        (("predict", *runs, radar, "--out", tmp_path / "x.nc"), "RUN: got 3 of them"),
        (("predict", "mean", radar, "--as-ensemble", "--out", tmp_path / "x.nc"), "--as-ensemble: got one run"),
        (("evaluate", *runs, "--as-ensemble", "--members", 3, "--data", radar), "--members: got with --as-ensemble"),
        (("evaluate", "mean", "mean", "--as-ensemble", "--data", radar), "runs: got mean, mean"),
    ):
        assert message in framecast(*wrong, code=2).stderr


def test_pixels_that_no_frame_has_shown_can_be_left_out(radar: Path, tmp_path: Path) -> None:
    """Extrapolation has the mean of the context there, which is worse than what it moves in."""
    words = "extrapolation", "--data", radar, "--split", "val", "--context", 6, "--horizon", 4, "--baselines", "blank"
    scores = []
    for name, more in {"all": (), "known": ("--known-only",)}.items():
        done = framecast("evaluate", *words, *more, "--metrics", "mae", "--out", tmp_path / name, "--json", "--quiet")
        scores.append(json.loads(done.stdout)["scores"])
    whole, known = (one["extrapolation"]["mae"] for one in scores)
    assert 0.3 * whole["pixels"][3] < known["pixels"][3] < known["pixels"][0] < whole["pixels"][0]
    assert scores[1]["blank"]["mae"]["pixels"] == known["pixels"]
    assert known["mean"] < whole["mean"]
