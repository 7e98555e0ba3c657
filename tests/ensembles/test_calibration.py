"""Calibration: frequencies against scikit-learn, intervals that hold what they say; files, products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.ensembles.frames import SPEC
from tests.ensembles.test_products import MEMBERS, products

from framecast.ensembles.calibration.calibration_file import EnsembleCalibration
from framecast.ensembles.calibration.intervals import BINS, IntervalStatistics
from framecast.ensembles.calibration.reliability import Reliability, fit_event, fit_isotonic
from framecast.errors import InputError, UsageError
from framecast.metrics.ensemble.probabilities import Brier
from framecast.transforms.normalize import DBZ

RNG = np.random.default_rng(0)


def test_isotonic_is_that_of_scikit_learn() -> None:
    from sklearn.isotonic import IsotonicRegression

    values, weights = RNG.uniform(size=30), RNG.uniform(1, 5, 30)
    theirs = IsotonicRegression().fit_transform(np.arange(30), values, sample_weight=weights)
    np.testing.assert_allclose(fit_isotonic(values, weights), theirs, atol=1e-12)


def test_calibrated_probabilities_are_frequencies() -> None:
    """Events that come half as often as members say: on other cases of that kind the Brier score falls."""
    metric = Brier(25.0, 0.0, 70.0, members=7)

    def draw(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        chance = torch.rand(4, 1, 2, 1, 40, 40, generator=generator)
        members = (torch.rand(4, 7, 2, 1, 40, 40, generator=generator) < chance).float()
        truth = (torch.rand(4, 2, 1, 40, 40, generator=generator) < chance[:, 0] / 2).float()
        return members, truth

    sums = metric.statistics(*draw(0), None).sum(0)
    event = fit_event(25.0, metric.table, sums)
    reliability = Reliability(shares=tuple(share / 7 for share in range(8)), events=(event,))
    members, truth = draw(1)
    raw = members.mean(1)
    better = reliability.calibrate(raw[:, 0], 25.0, 0)
    assert (better - truth[:, 0]).square().mean() < 0.8 * (raw[:, 0] - truth[:, 0]).square().mean()
    assert better.max() < 0.6
    assert torch.equal(reliability.calibrate(raw, 15.0, 0), raw)


def draw_window(seed: int, side: int = 24) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Members that are half as far apart as they should be, errors of a window that are alike in all of its pixels."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(1, side, side, generator=generator)
    common = 0.08 * torch.randn(1, generator=generator)
    members = centre + 0.05 * torch.randn(11, 1, side, side, generator=generator)
    truth = centre + common + 0.06 * torch.randn(1, side, side, generator=generator)
    return members.clamp(0, 1), truth.clamp(0, 1), torch.ones_like(truth, dtype=torch.bool)


def fit_intervals(seeds: range, levels: tuple[float, ...] = (0.5, 0.8)) -> IntervalStatistics:
    statistics = IntervalStatistics(levels, 1)
    for seed in seeds:
        statistics.update(0, *draw_window(seed))
    return statistics


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_intervals_hold_the_level_on_windows_that_were_not_seen(level: float) -> None:
    """Over many calibrations of few windows, as the promise is one of the mean over them, with a margin for chance."""
    held, plain, width = [], [], []
    for trial in range(60):
        intervals = fit_intervals(range(1000 * trial, 1000 * trial + 12)).close()
        for seed in range(1000 * trial + 500, 1000 * trial + 510):
            members, truth, _ = draw_window(seed)
            low, high = intervals.find_ends(members, level, 0)
            held.append(float(((truth >= low) & (truth <= high)).float().mean()))
            width.append(float((high - low).mean()))
            ends = torch.quantile(members, torch.tensor([(1 - level) / 2, (1 + level) / 2]), 0)
            plain.append(float(((truth >= ends[0]) & (truth <= ends[1])).float().mean()))
    assert np.mean(plain) < level - 0.1
    assert level - 0.02 < np.mean(held) < level + 0.1
    assert np.isfinite(width).all()


def test_the_widening_is_the_weighted_quantile_by_hand() -> None:
    """Three windows of other sizes: each weighs the same, and a fourth counts as missed."""
    statistics, beyond = IntervalStatistics((0.5,), 1), []
    for seed, side in enumerate((4, 9, 16)):
        members, truth, seen = draw_window(seed, side)
        members = 0.35 + 0.01 * members  # one class
        statistics.update(0, members, truth, seen)
        low, high = (torch.quantile(members, share, 0) for share in (0.25, 0.75))
        beyond.append(torch.maximum(low - truth, truth - high).flatten().numpy())
    values = np.concatenate(beyond)
    weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in beyond]) / 4
    order = values.argsort()
    expected = values[order][np.searchsorted(weights[order].cumsum(), 0.5 - 1e-9)]
    intervals = statistics.close()
    assert 0 <= intervals.widening[0][0][3] - expected < 2 / BINS + 1e-6
    assert intervals.widening[0][0][0] is None  # no window had this class
    fewer = fit_intervals(range(3), (0.9,)).close()
    assert set(fewer.widening[0][0]) == {None}, "three windows cannot promise 90 %"
    members, truth, _ = draw_window(5)
    low, high = fewer.find_ends(members, 0.9, 0)
    assert low.isneginf().all()
    assert high.isposinf().all()


def make_calibration() -> EnsembleCalibration:
    intervals = IntervalStatistics((0.5, 0.8), 1)
    for seed in range(8):
        intervals.update(0, *draw_window(seed))
    shares = tuple(share / 7 for share in range(8))
    event = {"threshold": 25.0, "frequency": [[0.5 * share for share in shares]]}
    fields = {"reliability": {"shares": shares, "events": [event]}, "intervals": intervals.close(), "bounded": True}
    return EnsembleCalibration(model="m", units="dBZ", step_minutes=5.0, scale=DBZ(), windows=8, **fields)


def test_products_are_calibrated_and_files_are_read(tmp_path: Path) -> None:
    calibration = make_calibration()
    path = tmp_path / "calibration.json"
    calibration.write(path)
    assert EnsembleCalibration.read(path) == calibration
    made = products("prob@25,lower80,upper80,p10,p90", calibration).values[0, 0]
    plain = products("prob@25").values[0, 0, :, 0]
    np.testing.assert_allclose(made[:, 0], plain / 2, atol=1e-6)
    low, high = calibration.find_interval(torch.from_numpy(MEMBERS[0, :, 2]), 0.8, 2)
    np.testing.assert_allclose(made[2, 1], low[0], atol=1e-4)
    np.testing.assert_allclose(made[2, 2], high[0], atol=1e-4)
    assert ((made[:, 1] <= made[:, 3] + 1e-4) & (made[:, 2] >= made[:, 4] - 1e-4)).all(), (
        "too narrow members are widened"
    )
    assert made[:, 1].min() >= 0
    with pytest.raises(UsageError, match="product lower80: got no calibration"):
        products("mean,lower80")
    with pytest.raises(UsageError, match="interval: got 70 %, expected 50, 80 %"):
        products("upper70", calibration)
    path.write_text("{}")
    with pytest.raises(InputError, match="calibration of an ensemble"):
        EnsembleCalibration.read(path)


def test_lead_times_are_found_by_time() -> None:
    calibration = make_calibration()
    assert [calibration.find_lead(lead, 5.0) for lead in (0, 3)] == [0, 3]
    assert [calibration.find_lead(lead, 10.0) for lead in (0, 3)] == [1, 7]
    assert [calibration.find_lead(lead, 2.5) for lead in (0, 3)] == [0, 1]
    assert SPEC.step_minutes == calibration.step_minutes
