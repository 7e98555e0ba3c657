"""The floors that every radar forecast is measured against, as `framecast evaluate` gives them.

The published table was made apart from framecast: tiles in dBZ, 0 to 70 scaled to 0 to 1, covered pixels only, ten frames
in, ten out, means over lead times. The cuts of tests/fixtures are too few tiles for it; the same is computed on them.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from framecast.evaluation.prepare import EvaluationOptions, evaluate_run
from framecast.motion import estimate_motion, expand_motion

CUTS = Path(__file__).parents[1] / "fixtures"
TILES = Path(__file__).parents[3] / "shared" / "data" / "radar"
NAMES = ("persistence", "mean", "extrapolation")
METRICS = ("mse", "csi@15", "csi@25", "csi@35")
Array = NDArray[np.float64]

PUBLISHED = {
    "fmi_20160928_140.npz": {
        "persistence": (11.24e-3, 0.60, 0.30, 0.05),
        "mean": (11.57e-3, 0.56, 0.21, 0.00),
        "extrapolation": (7.18e-3, 0.66, 0.36, 0.14),
    },
    "knmi_20100826_140.npz": {
        "persistence": (17.80e-3, 0.54, 0.29, 0.05),
        "mean": (16.27e-3, 0.56, 0.16, 0.00),
        "extrapolation": (9.80e-3, 0.66, 0.48, 0.14),
    },
}
"""Mean over lead times of mse and of CSI at 15, 25 and 35 dBZ, the latter to two digits."""


def evaluated(file: Path, out: Path) -> dict[str, dict[str, dict[str, list[float]]]]:
    question = EvaluationOptions("val", ("mse", "csi"), (15.0, 25.0, 35.0), baselines=NAMES, in_dbz=True)
    _, folder = evaluate_run(NAMES[0], {"source": str(file)}, question, out=out, quiet=True)
    return json.loads((folder / "scores.json").read_text())["scores"]


def by_hand(file: Path) -> dict[str, dict[str, Array]]:
    """Scores by lead time, with numpy and pysteps alone."""
    with contextlib.redirect_stdout(io.StringIO()):
        from pysteps.extrapolation.semilagrangian import extrapolate
        from pysteps.motion.lucaskanade import dense_lucaskanade
    data = np.load(file)
    codes = data["frames"][data["split"] == "val"]
    seen = codes != data["missing_code"]
    values = np.where(seen, codes * data["scale"] + data["offset"], 0)
    if data["units"] != "dBZ":
        rates = 12 * values
        values = np.where(rates > 0, 10 * np.log10(200 * np.maximum(rates, 1e-9) ** 1.6), 0)
    values = np.clip(values, 0, 70)
    past, future, known = values[:, :10], values[:, 10:], seen[:, 10:]
    mean = past.mean(1, keepdims=True)
    moved, theirs = [], []
    for frames, mask in zip(past, seen[:, :10], strict=True):
        tracked = np.where(mask, frames, np.nan)[-4:]
        nodes = torch.from_numpy(estimate_motion(tracked)[None])
        moved.append(extrapolate(frames[-1], expand_motion(nodes, *frames.shape[1:])[0].double().numpy(), 10))
        theirs.append(extrapolate(frames[-1], dense_lucaskanade(tracked), 10))
    forecasts = {
        "persistence": np.repeat(past[:, -1:], 10, 1),
        "mean": np.repeat(mean, 10, 1),
        "extrapolation": np.where(np.isnan(moved), mean, moved),
        "extrapolation along the motion of pysteps": np.where(np.isnan(theirs), mean, theirs),
    }
    # float32, as frames are: a mean of 25 dBZ is an event at 25 dBZ, whatever the last bit of its sum
    return {name: _scores(np.float32(forecast), np.float32(future), known) for name, forecast in forecasts.items()}


def _scores(forecast: Array, truth: Array, known: NDArray[np.bool_]) -> dict[str, Array]:
    axes = (0, 2, 3)
    scores: dict[str, Array] = {
        "mse": np.where(known, (forecast / 70.0 - truth / 70.0) ** 2, 0).sum(axes) / known.sum(axes)
    }
    for threshold in (15, 25, 35):
        yes, event = (forecast >= threshold) & known, (truth >= threshold) & known
        with np.errstate(invalid="ignore"):
            scores[f"csi@{threshold}"] = (yes & event).sum(axes) / (yes | event).sum(axes)
    return scores


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["fmi_140.npz", "knmi_140.npz"])
def test_baselines_on_the_cuts_score_what_numpy_and_pysteps_give(tmp_path: Path, name: str) -> None:
    found, expected = evaluated(CUTS / name, tmp_path / "out"), by_hand(CUTS / name)
    for forecast in NAMES:
        for metric in METRICS:
            ours = np.array(found[forecast][metric]["by_lead"], dtype=float)
            # the last bits differ, so a pixel may fall on the other side of a threshold
            np.testing.assert_allclose(ours, expected[forecast][metric], rtol=1e-3, atol=1e-4, err_msg=metric)
    errors = np.array(found["extrapolation"]["mse"]["by_lead"], dtype=float)
    assert errors.mean() < 1.02 * expected["extrapolation along the motion of pysteps"]["mse"].mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_floors_are_the_published_ones(tmp_path: Path, name: str) -> None:
    if not (TILES / name).is_file():
        pytest.skip("the whole set of tiles is not here")
    found = evaluated(TILES / name, tmp_path / "out")
    for forecast, values in PUBLISHED[name].items():
        for metric, value in zip(METRICS, values, strict=True):
            half_digit = 0.005 if metric.startswith("csi") else 0.005e-3
            ours = found[forecast][metric]["mean"]
            assert abs(ours - value) <= half_digit + 0.01 * value, (forecast, metric, ours, value)
            if metric == "mse":
                assert ours == pytest.approx(value, rel=0.01)
