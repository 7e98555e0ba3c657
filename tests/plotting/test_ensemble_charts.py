"""Charts of ensembles: against numpy, of ensembles alone, with a plume that is the members' quantiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.forecasting.baselines import Persistence
from framecast.forecasting.predictor import PastFrames
from framecast.metrics import Scores, select_metrics
from framecast.plotting.chart import Chart
from framecast.plotting.ensemble_charts import make_ensemble_charts
from framecast.plotting.plume import OBSERVED, find_plume_place, make_plume_chart, take_plume
from framecast.plotting.scores import draw_charts
from framecast.report.svg_charts import draw_chart
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=32, width=48, units="dBZ", low=0.0, high=70.0, step_minutes=5.0)
RNG = np.random.default_rng(3)
MEMBERS, TRUTH = RNG.uniform(0, 1, (2, 4, 3, 1, 32, 48)), RNG.uniform(0, 1, (2, 3, 1, 32, 48))
NAMES = ("crps", "spread_error", "spread_error/16px", "rank_outer", "brier", "roc")


def score(members: np.ndarray) -> Scores:
    metrics = select_metrics(NAMES, spec=SPEC, thresholds=[35.0], scales=[4], members=4)
    scores = Scores(metrics, 3, keep=2)
    scores.update(torch.from_numpy(members), torch.from_numpy(TRUTH))
    return scores


@pytest.fixture(scope="module")
def charts() -> dict[str, Chart]:
    made = make_ensemble_charts({"dressed": score(MEMBERS), "single": score(MEMBERS[:, :1])})
    return {chart.title: chart for chart in made}


def test_charts_show_ensembles_alone(charts: dict[str, Chart]) -> None:
    assert list(charts) == [
        "Spread against error",
        "Spread against error, 16-pixel means",
        "Rank histogram",
        "Reliability, 35 or more",
        "Counts, 35 or more",
    ]
    assert {line.name for chart in charts.values() for line in chart.lines} == {"dressed"}
    assert all(chart.reading.endswith(".") for chart in charts.values())
    assert make_ensemble_charts({"single": score(MEMBERS[:, :1])}) == []


def test_reliability_is_how_often_the_event_came(charts: dict[str, Chart]) -> None:
    """By hand: of all pixels where so many of four members reach 35 dBZ, how many truths do."""
    share, event = (MEMBERS >= 0.5).mean(1), TRUTH >= 0.5
    expected = [event[share == level].mean() for level in (0, 0.25, 0.5, 0.75, 1)]
    line = charts["Reliability, 35 or more"].lines[0]
    np.testing.assert_allclose(line.x, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(line.y, expected)
    np.testing.assert_allclose(charts["Counts, 35 or more"].lines[0].y, [(share == x).sum() for x in line.x])
    assert charts["Counts, 35 or more"].log


def test_spread_and_error_are_those_of_numpy(charts: dict[str, Chart]) -> None:
    line = charts["Spread against error"].lines[0]
    error = np.sqrt(np.square(MEMBERS.mean(1) - TRUTH).mean((0, 2, 3, 4)))
    spread = np.sqrt(MEMBERS.var(1, ddof=1).mean((0, 2, 3, 4)) * 5 / 4)
    np.testing.assert_allclose(line.x, error)
    np.testing.assert_allclose(line.y, spread)


def test_ranks_of_like_members_are_flat(charts: dict[str, Chart]) -> None:
    chart = charts["Rank histogram"]
    wet = (MEMBERS >= 5 / 70).any(1) | (TRUTH >= 5 / 70)
    ranks = np.bincount((TRUTH[:, None] > MEMBERS).sum(1)[wet], minlength=5)
    np.testing.assert_allclose(chart.lines[0].y, ranks / ranks.mean())
    assert chart.level == 1.0


def test_a_diagonal_has_the_same_ends_on_both_axes(charts: dict[str, Chart], tmp_path: Path) -> None:
    drawn = str(draw_chart(charts["Reliability, 35 or more"]))
    assert drawn.count('<path class="level" d="M54.0 184.0L350.0 22.0"/>') == 1
    assert 'class="level"' not in draw_chart(charts["Counts, 35 or more"])
    draw_charts(tmp_path / "ensemble.png", list(charts.values()))
    assert (tmp_path / "ensemble.png").stat().st_size > 10_000


def make_forecast() -> Forecast:
    past = PastFrames(torch.from_numpy(RNG.uniform(0, 70, (1, 4, 1, 32, 48)).astype(np.float32)), SPEC)
    single = Persistence(SPEC).forecast(past, 3)
    from dataclasses import replace

    return replace(single, frames=torch.from_numpy(70 * MEMBERS[:1]).float())


def test_a_plume_is_the_quantiles_at_a_pixel() -> None:
    forecast = make_forecast()
    row, column = find_plume_place(forecast)
    assert MEMBERS[0].mean((0, 1, 2))[row, column] == MEMBERS[0].mean((0, 1, 2)).max()
    plume = take_plume(forecast, (3, 7), 70 * TRUTH[0])
    chart = make_plume_chart(plume, SPEC, "members")
    here = 70 * MEMBERS[0, :, :, 0, 3, 7]
    half, most, observed = chart.lines
    assert [line.name for line in chart.lines] == [
        "members, half of the members",
        "members, 80 % of the members",
        OBSERVED,
    ]
    np.testing.assert_allclose(most.low, np.quantile(here, 0.1, 0), rtol=1e-5)
    np.testing.assert_allclose(half.high, np.quantile(here, 0.75, 0), rtol=1e-5)
    np.testing.assert_allclose(half.y, np.median(here, 0), rtol=1e-5)
    assert list(half.x) == [5, 10, 15]
    assert list(observed.x) == [-15, -10, -5, 0, 5, 10, 15]
    np.testing.assert_allclose(observed.y[4:], 70 * TRUTH[0, :, 0, 3, 7], rtol=1e-5)
    np.testing.assert_allclose(observed.y[:4], forecast.past_values[0, :, 0, 3, 7])
    with pytest.raises(UsageError, match="--at: got 32,0"):
        take_plume(forecast, (32, 0))
