"""Scores of ensembles against scoringrules, scores, pysteps and scikit-learn, on real radar with missing pixels."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import scoringrules as sr
import torch
import xarray
from numpy.typing import NDArray
from torch import Tensor

from framecast.metrics import FSS, RAPSD, Metric, Scores
from framecast.metrics.ensemble.crps import CRPS, ThresholdWeightedCRPS
from framecast.metrics.ensemble.frames import LAGS, EnergyScore, ProbabilisticFSS, VariogramScore
from framecast.metrics.ensemble.pooled import Pooled
from framecast.metrics.ensemble.probabilities import (
    Brier,
    BrierReliability,
    BrierResolution,
    BrierUncertainty,
    EconomicValue,
    FairBrier,
    ROCArea,
)
from framecast.metrics.ensemble.ranks import RankHistogram, flatness_test
from framecast.metrics.ensemble.spectrum import MemberSpectrum
from framecast.metrics.ensemble.spread import Spread, SpreadError

with contextlib.redirect_stdout(io.StringIO()):  # it says where its configuration lies
    from pysteps.verification.ensscores import rankhist_accum, rankhist_compute, rankhist_init

TILES = Path(__file__).parents[2] / "fixtures" / "fmi_140.npz"
HIGH = 70.0
T = 15.0
Case = tuple[Tensor, Tensor, Tensor | None]


def radar(members: int = 7) -> Case:
    """Shifted and disturbed persistence on real tiles, with their missing pixels and a block more."""
    file = np.load(TILES)
    tiles = file["frames"].astype(np.float64)[:, :, 20:84, :70]
    valid = tiles != file["missing_code"]
    valid[1, 11, :40] = False
    values = np.clip(tiles * file["scale"] + file["offset"], 0, HIGH) / HIGH
    rng = np.random.default_rng(0)
    shifted = [np.roll(values[:, 9:10], tuple(rng.integers(-4, 5, 2)), (-2, -1)) for _ in range(members)]
    ahead = np.stack([np.clip(np.repeat(one, 3, 1) + 0.03 * rng.normal(size=(1, 3, 1, 1)), 0, 1) for one in shifted], 1)
    parts = ahead[:, :, :, None], values[:, 10:13, None], valid[:, 10:13, None]
    return tuple(torch.from_numpy(part) for part in parts)  # type: ignore[return-value]


CASE = radar()


def by_lead(metric: Metric, case: Case = CASE) -> NDArray[np.float64]:
    scores = Scores([metric], case[1].shape[1])
    for row in range(len(case[1])):
        scores.update(*(None if part is None else part[row : row + 1] for part in case))
    return np.array(scores.by_lead()[metric.name])


def columns(lead: int, case: Case = CASE) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Members (pixels, M) and truth (pixels) that were observed at a lead time."""
    members, truth, valid = case
    seen = torch.ones_like(truth, dtype=torch.bool) if valid is None else valid
    kept = seen[:, lead]
    flat = [members[:, m, lead][kept].numpy() for m in range(members.shape[1])]
    return np.stack(flat, -1), truth[:, lead][kept].numpy()


LEADS = range(3)


def test_crps_is_that_of_scoringrules_and_scores() -> None:
    for lead in LEADS:
        x, y = columns(lead)
        assert by_lead(CRPS())[lead] == pytest.approx(sr.crps_ensemble(y, x, estimator="fair").mean(), abs=1e-12)
        theirs = sr.crps_ensemble(y, x, estimator="nrg").mean()
        assert by_lead(CRPS(fair=False))[lead] == pytest.approx(theirs, abs=1e-12)
        from scores.probability import crps_for_ensemble

        pair = xarray.DataArray(x, dims=("pixel", "m")), xarray.DataArray(y, dims="pixel")
        assert by_lead(CRPS())[lead] == pytest.approx(float(crps_for_ensemble(*pair, "m", method="fair")), abs=1e-12)


def test_threshold_weighted_crps_is_that_of_scoringrules_and_scores() -> None:
    from scores.probability import tail_tw_crps_for_ensemble

    for lead in LEADS:
        x, y = columns(lead)
        ours = by_lead(ThresholdWeightedCRPS(T, 0.0, HIGH))[lead]
        assert ours == pytest.approx(sr.twcrps_ensemble(y, x, a=T / HIGH, estimator="fair").mean(), abs=1e-12)
        pair = xarray.DataArray(x, dims=("pixel", "m")), xarray.DataArray(y, dims="pixel")
        theirs = tail_tw_crps_for_ensemble(*pair, "m", T / HIGH, method="fair")
        assert ours == pytest.approx(float(theirs), abs=1e-12)


def test_spread_is_the_deviation_of_numpy() -> None:
    for lead in LEADS:
        x, y = columns(lead)
        variance = x.var(1, ddof=1).mean() * 8 / 7
        assert by_lead(Spread())[lead] == pytest.approx(np.sqrt(variance), abs=1e-12)
        error = np.mean((x.mean(1) - y) ** 2)
        assert by_lead(SpreadError())[lead] == pytest.approx(np.sqrt(variance / error), abs=1e-12)


def test_ranks_are_those_of_pysteps() -> None:
    """Values without ties, as pysteps draws other lots."""
    generator = torch.Generator().manual_seed(1)
    members = CASE[0] + 1e-3 * torch.rand(CASE[0].shape, generator=generator, dtype=torch.float64)
    truth = CASE[1] + 1e-3 * torch.rand(CASE[1].shape, generator=generator, dtype=torch.float64)
    case = members.clamp(1e-9, 1 - 1e-9), truth.clamp(0, 1), CASE[2]
    for wet in (None, 5.0):
        metric = RankHistogram(7, wet, 0.0, HIGH)
        sums = metric.statistics(*case).sum(0)
        for lead in LEADS:
            x, y = columns(lead, case)
            counted = np.ones(len(y), bool) if wet is None else (x.max(1) >= wet / HIGH) | (y >= wet / HIGH)
            theirs = rankhist_init(7)
            rankhist_accum(theirs, x[counted].T, y[counted])
            expected = rankhist_compute(theirs)
            np.testing.assert_allclose(metric.histogram(sums)[lead].numpy(), expected, atol=1e-12)
            outer = (expected[0] + expected[-1]) / 2 * 8
            assert metric.close(sums)[lead] == pytest.approx(outer, abs=1e-12)


def test_flatness_is_that_of_scipy() -> None:
    from scipy.stats import chisquare

    counts = np.array([[30.0, 25, 28, 40, 33], [10, 10, 10, 10, 90]])
    statistic, probability = flatness_test(torch.from_numpy(counts))
    for row, ours, p in zip(counts, statistic, probability, strict=True):
        theirs = chisquare(row)
        assert float(ours) == pytest.approx(theirs.statistic, rel=1e-12)
        assert float(p) == pytest.approx(theirs.pvalue, rel=1e-8, abs=1e-300)


def test_brier_and_its_parts_are_those_of_scoringrules_and_scores() -> None:
    from scores.probability import brier_score_for_ensemble

    for lead in LEADS:
        x, y = columns(lead)
        p, o = (x >= T / HIGH).mean(1), (y >= T / HIGH).astype(float)
        ours = by_lead(Brier(T, 0.0, HIGH, members=7))[lead]
        assert ours == pytest.approx(sr.brier_score(o, p).mean(), abs=1e-12)
        parts = [
            by_lead(kind(T, 0.0, HIGH, members=7))[lead]
            for kind in (BrierReliability, BrierResolution, BrierUncertainty)
        ]
        assert parts[0] - parts[1] + parts[2] == pytest.approx(ours, abs=1e-12)
        frequency = np.array([o[p == value].mean() for value in p])
        assert parts[0] == pytest.approx(np.mean((p - frequency) ** 2), abs=1e-12)
        assert parts[1] == pytest.approx(np.mean((frequency - o.mean()) ** 2), abs=1e-12)
        pair = xarray.DataArray(x, dims=("pixel", "m")), xarray.DataArray(y, dims="pixel")
        fair = brier_score_for_ensemble(*pair, "m", T / HIGH, fair_correction=True)
        assert by_lead(FairBrier(T, 0.0, HIGH, members=7))[lead] == pytest.approx(float(fair.squeeze()), abs=1e-12)


def test_roc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    for lead in LEADS:
        x, y = columns(lead)
        theirs = roc_auc_score(y >= T / HIGH, (x >= T / HIGH).mean(1))
        assert by_lead(ROCArea(T, 0.0, HIGH, members=7))[lead] == pytest.approx(theirs, abs=1e-12)


def test_economic_value_is_that_of_scores() -> None:
    from scores.probability import relative_economic_value

    ratios = np.array([0.05, 0.2, 0.5, 0.8])
    metric = EconomicValue(T, 0.0, HIGH, members=7)
    ours = metric.curve(metric.statistics(*CASE).sum(0), torch.from_numpy(ratios))
    for lead in LEADS:
        x, y = columns(lead)
        p, o = (x >= T / HIGH).mean(1), (y >= T / HIGH).astype(float)
        theirs = relative_economic_value(
            xarray.DataArray(p, dims="pixel"),
            xarray.DataArray(o, dims="pixel"),
            cost_loss_ratios=ratios,
            probability_thresholds=ratios,
        )
        diagonal = [
            float(theirs.sel(cost_loss_ratio=ratio, probability_threshold=ratio, method="nearest")) for ratio in ratios
        ]
        np.testing.assert_allclose(ours[lead].numpy(), diagonal, atol=1e-10)
    np.testing.assert_allclose(by_lead(metric), ours[:, 1].numpy(), atol=1e-12)


def test_energy_is_that_of_scoringrules() -> None:
    members, truth, valid = CASE
    assert valid is not None
    for lead in LEADS:
        theirs = []
        for row in range(len(truth)):
            seen = valid[row, lead]
            if seen.any():
                x = members[row, :, lead][:, seen].numpy()
                theirs.append(sr.es_ensemble(truth[row, lead][seen].numpy(), x, estimator="fair"))
        assert by_lead(EnergyScore())[lead] == pytest.approx(np.mean(theirs), rel=1e-10)


def test_variogram_is_that_of_scoringrules() -> None:
    """Of a small frame: theirs takes all pairs, with weights that are 0 but for the pairs of the lags."""
    members, truth, valid = (part[..., 10:19, 20:31] for part in CASE if part is not None)
    valid = valid & (torch.rand(valid.shape, generator=torch.Generator().manual_seed(2)) < 0.8)
    rows, cols = (part.ravel() for part in np.indices((9, 11)))
    near = np.zeros((99, 99), bool)
    for down, right in LAGS:
        near |= (rows[None] - rows[:, None] == down) & (cols[None] - cols[:, None] == right)
    for lead in LEADS:
        total, pairs = 0.0, 0.0
        for row in range(len(truth)):
            seen = valid[row, lead].numpy().ravel()
            weights = (near & seen[:, None] & seen[None]).astype(float)
            x, y = members[row, :, lead].reshape(7, -1).numpy(), truth[row, lead].ravel().numpy()
            total += sr.vs_ensemble(y, x, weights, p=0.5)
            pairs += weights.sum()
        assert by_lead(VariogramScore(), (members, truth, valid))[lead] == pytest.approx(total / pairs, rel=1e-10)


@pytest.mark.parametrize("scale", [1, 5, 16])
def test_probabilistic_fss(scale: int) -> None:
    """Equal to one minus the errors of probabilities averaged over windows; of one member that of `FSS`."""
    from scipy.ndimage import convolve1d

    members, truth, valid = CASE
    assert valid is not None
    single = members[:, :1], truth, valid
    expected = by_lead(FSS(T, 0.0, HIGH, scale=scale), (members[:, 0], truth, valid))
    np.testing.assert_allclose(by_lead(ProbabilisticFSS(T, 0.0, HIGH, scale=scale), single), expected, atol=1e-12)
    for lead in LEADS:
        error, room = 0.0, 0.0
        if scale % 2 == 0:  # theirs leans to the other side
            continue
        for row in range(len(truth)):
            seen = valid[row, lead, 0].numpy()
            shares = []
            for event in (
                (members[row, :, lead, 0] >= T / HIGH).double().mean(0).numpy(),
                (truth[row, lead, 0] >= T / HIGH).numpy(),
            ):
                field = np.where(seen, event, 0.0)

                for axis in (0, 1):
                    field = convolve1d(field, np.full(scale, 1 / scale), axis, mode="constant")
                shares.append(field)
            error += ((shares[0] - shares[1]) ** 2).sum()
            room += (shares[0] ** 2 + shares[1] ** 2).sum()
        if scale % 2:
            assert by_lead(ProbabilisticFSS(T, 0.0, HIGH, scale=scale))[lead] == pytest.approx(
                1 - error / room, abs=1e-10
            )


def test_means_of_areas_are_those_of_numpy() -> None:
    case = tuple(part.double() for part in CASE if part is not None)
    x, y, seen = (part[..., :64].reshape(*part.shape[:-2], 4, 16, 4, 16) for part in case)
    share = seen.mean((-3, -1))
    kept = share >= 0.5
    means = (x * seen[:, None]).mean((-3, -1)) / share[:, None], (y * seen).mean((-3, -1)) / share
    np.testing.assert_allclose(by_lead(Pooled(CRPS())), by_lead(CRPS(), (*means, kept)), atol=1e-12)
    assert Pooled(CRPS()).name == "crps/16px"


def test_spectrum_is_that_of_a_windowed_transform() -> None:
    members, truth, _ = CASE
    case = members, truth, None
    metric = MemberSpectrum(64, 70)
    assert metric.wavelengths == [(4, 8), (8, 16)] or metric.wavelengths == [(4, 8), (8, 16), (16, 32)]
    window = np.hanning(65)[:-1, None] * np.hanning(71)[:-1]
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(70)[None])
    ratios = metric.ratios(metric.statistics(*case).sum(0)).numpy()
    for number, (short, long) in enumerate(metric.wavelengths):
        octave = (frequency > 1 / long) & (frequency <= 1 / short)
        powers = []
        for frames in (members.numpy(), truth.numpy()):
            waves = (frames - frames.mean((-2, -1), keepdims=True)) * window
            power = (np.abs(np.fft.rfft2(waves)) ** 2)[..., octave].mean(-1)
            powers.append(np.moveaxis(power.mean(1), 0, -1).mean((-2, -1)) if frames.ndim == 6 else power.mean((0, 2)))
        np.testing.assert_allclose(ratios[:, number], 10 * np.log10(powers[0] / powers[1]), atol=1e-10)
    assert RAPSD(64, 70).name == "rapsd"
