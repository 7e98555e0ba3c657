"""Scores of grids against pysteps and the package `scores`, on real radar with missing pixels and on noise."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.metrics import CSI, FAR, FSS, HSS, POD, RAPSD, FrequencyBias, Metric, Scores

with contextlib.redirect_stdout(io.StringIO()):  # it says where its configuration lies
    from pysteps.utils.spectral import rapsd
    from pysteps.verification.spatialscores import fss_accum, fss_compute, fss_init

TILES = Path(__file__).parents[1] / "fixtures" / "fmi_140.npz"
LOW, HIGH = 0.0, 70.0
Case = tuple[Tensor, Tensor, Tensor | None]


def radar() -> Case:
    """Persistence on real tiles, their missing pixels as they are, and a block more."""
    file = np.load(TILES)
    tiles = file["frames"].astype(np.float64)
    valid = tiles != file["missing_code"]
    valid[1, 12, :40] = False
    dbz = np.clip(tiles * file["scale"] + file["offset"], LOW, HIGH) / (HIGH - LOW)
    truth, valid = dbz[:, 10:14, None], valid[:, 10:14, None]
    prediction = np.repeat(dbz[:, 9:10, None], 4, 1)
    return torch.from_numpy(prediction), torch.from_numpy(truth), torch.from_numpy(valid)


def noise(height: int, width: int) -> Case:
    generator = torch.Generator().manual_seed(height * width)
    truth, other = torch.rand(2, 2, 3, 1, height, width, dtype=torch.float64, generator=generator)
    return (0.7 * truth + 0.3 * other).clamp(0, 1), truth, None


CASES = {"radar": radar(), "odd": noise(17, 23), "even": noise(24, 16), "flat": noise(3, 40)}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def by_lead(metric: Metric, case: Case) -> list[float]:
    scores = Scores([metric], case[0].shape[1])
    for row in range(len(case[0])):
        scores.update(*(None if part is None else part[row : row + 1] for part in case))
    return scores.by_lead()[metric.name]


def fields(case: Case, lead: int, missing: float) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Prediction and truth of each sequence at a lead time."""
    prediction, truth, valid = case
    pairs = []
    for row in range(len(truth)):
        ok = np.ones(truth.shape[-2:], bool) if valid is None else valid[row, lead, 0].numpy()
        pairs.append(tuple(np.where(ok, part[row, lead, 0].numpy(), missing) for part in (prediction, truth)))
    return pairs


@EVERY
@pytest.mark.parametrize("threshold", [15.0, 35.0])
@pytest.mark.parametrize("scale", [1, 2, 5, 16, 61])
def test_fss_is_that_of_pysteps(case: Case, threshold: float, scale: int) -> None:
    ours = by_lead(FSS(threshold, LOW, HIGH, scale=scale), case)
    for lead, value in enumerate(ours):
        theirs = fss_init(threshold / HIGH, scale)
        for prediction, truth in fields(case, lead, np.nan):
            fss_accum(theirs, prediction, truth)
        assert value == pytest.approx(fss_compute(theirs), abs=1e-10)


@EVERY
def test_rapsd_is_that_of_pysteps(case: Case) -> None:
    height, width = case[0].shape[-2:]
    metric = RAPSD(height, width)
    sums = metric.statistics(*case).sum(dim=0)
    spectra = metric.spectra(sums)
    for lead in range(case[0].shape[1]):
        # a frame of which nothing was observed is not there
        pairs = [pair for pair in fields(case, lead, 0.0) if case[2] is None or any(field.any() for field in pair)]
        for number, ours in enumerate(spectra):
            theirs = np.mean([rapsd(pair[number], np.fft) for pair in pairs], axis=0)
            np.testing.assert_allclose(ours[lead].numpy(), theirs, rtol=1e-10, atol=1e-10)
    _, frequencies = rapsd(np.zeros((height, width)), np.fft, return_freq=True)
    np.testing.assert_allclose(metric.wavelengths, 1 / frequencies[1:], rtol=1e-12)
    ratio = 10 * np.log10(spectra[0][0, 1:].numpy() / spectra[1][0, 1:].numpy())
    assert by_lead(metric, case)[0] == pytest.approx(float(np.sqrt(np.mean(ratio**2))), rel=1e-9)


@EVERY
@pytest.mark.parametrize("threshold", [15.0, 35.0])
@pytest.mark.filterwarnings("ignore")
def test_contingency_scores_are_those_of_the_package_scores(case: Case, threshold: float) -> None:
    import xarray
    from scores.categorical import ThresholdEventOperator

    dims = ("sequence", "lead", "channel", "y", "x")
    prediction, truth, valid = case
    missing = torch.zeros(truth.shape, dtype=torch.bool) if valid is None else ~valid
    forecast, observed = (
        xarray.DataArray(part.masked_fill(missing, torch.nan).numpy(), dims=dims) for part in (prediction, truth)
    )
    operator = ThresholdEventOperator(default_event_threshold=threshold / HIGH)
    manager = operator.make_contingency_manager(forecast, observed).transform(preserve_dims=["lead"])
    theirs = {
        CSI: manager.critical_success_index(),
        POD: manager.probability_of_detection(),
        FAR: manager.false_alarm_ratio(),
        HSS: manager.heidke_skill_score(),
        FrequencyBias: manager.frequency_bias(),
    }
    for kind, values in theirs.items():
        np.testing.assert_allclose(by_lead(kind(threshold, LOW, HIGH), case), values.to_numpy(), rtol=1e-10)


def test_a_shifted_event_is_forgiven_at_a_larger_scale() -> None:
    truth = torch.zeros(1, 1, 1, 32, 32, dtype=torch.float64)
    truth[..., 10:14, 10:14] = 1
    shifted = truth.roll(6, dims=-1)
    scores = [by_lead(FSS(0.5, scale=scale), (shifted, truth, None))[0] for scale in (1, 5, 9, 15)]
    assert scores[0] == 0
    assert scores == sorted(scores)
    assert scores[-1] > 0.6


def test_a_blurred_forecast_lacks_short_wavelengths() -> None:
    _, truth, _ = noise(32, 32)
    blurred = sum(truth.roll((i, j), (-2, -1)) for i in range(3) for j in range(3)) / 9
    metric = RAPSD(32, 32)
    predicted, observed = metric.spectra(metric.statistics(blurred, truth, None).sum(dim=0))
    lost = 10 * (predicted / observed).log10()
    assert lost[:, 1].min() > -1
    assert lost[:, 9:13].mean() < -10
    assert metric.wavelengths[:2] == [32.0, 16.0]
    assert by_lead(metric, (blurred, truth, None))[0] > 5


def test_unusable_sizes() -> None:
    with pytest.raises(UsageError, match="rapsd: got frames of 2 x 1 pixels"):
        RAPSD(2, 1)
    with pytest.raises(InputError, match="expected 8 x 9"):
        RAPSD(8, 9).statistics(*noise(9, 8))
