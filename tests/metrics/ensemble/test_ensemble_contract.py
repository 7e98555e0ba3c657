"""What every score of an ensemble keeps: streaming, missing pixels, single forecasts, devices, NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from framecast.errors import UsageError
from framecast.metrics import MAE, Metric, Scores, select_metrics
from framecast.metrics.ensemble.ranks import RankHistogram
from framecast.metrics.ensemble.selection import ENSEMBLE_NAMES
from framecast.types import FrameSpec

B, M, K, C, H, W = 4, 5, 2, 1, 32, 36
SPEC = FrameSpec(channels=C, height=H, width=W, units="dBZ", low=0.0, high=70.0)
POOLED = [f"{name}/16px" for name in ENSEMBLE_NAMES if name not in ("spectrum", "pfss")]
ALL = select_metrics([*ENSEMBLE_NAMES, *POOLED], spec=SPEC, thresholds=[15.0], scales=[1, 5], members=M)
EVERY = pytest.mark.parametrize("metric", ALL, ids=[metric.name for metric in ALL])

UNDEFINED = {"roc@15/16px", "value@15/16px"}
"""All means of this noise are events."""


def batch(members: int = M, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(B, K, C, H, W, generator=generator)
    prediction = truth[:, None] + 0.3 * torch.randn(B, members, K, C, H, W, generator=generator)
    valid = torch.ones(truth.shape, dtype=torch.bool)
    valid[:, :, :, 30:, 30:] = False
    valid[0, 0] = torch.rand(C, H, W, generator=generator) < 0.7
    valid[1, 1] = False
    return prediction, truth, valid


@EVERY
def test_missing_pixels_never_matter(metric: Metric) -> None:
    prediction, truth, valid = batch()
    expected = metric.statistics(prediction, truth, valid)
    assert expected.isfinite().all()
    assert not expected[1, 1].any()
    for fill in (torch.nan, 1e9):
        changed = torch.where(valid[:, None], prediction, fill), torch.where(valid, truth, fill), valid
        assert torch.equal(metric.statistics(*changed), expected)


@EVERY
def test_any_division_of_the_data_gives_the_same_sums(metric: Metric) -> None:
    given = batch()
    whole = metric.statistics(*given)
    assert whole.shape == (B, K, metric.size)
    parts = torch.cat([metric.statistics(*(part[row : row + 1] for part in given)) for row in range(B)])
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)


@EVERY
def test_a_nan_in_one_member_is_never_hidden(metric: Metric) -> None:
    prediction, truth, _ = batch()
    prediction[2, 3, 1, 0, 5, 5] = torch.nan
    first, second = metric.close(metric.statistics(prediction, truth, None).sum(0))
    assert second.isnan()
    assert first.isfinite() or metric.name in UNDEFINED


@EVERY
def test_the_order_of_members_does_not_matter(metric: Metric) -> None:
    prediction, truth, valid = batch()
    turned = prediction[:, [3, 1, 4, 0, 2]], truth, valid
    torch.testing.assert_close(metric.statistics(*turned), metric.statistics(prediction, truth, valid))


@EVERY
def test_everything_stays_on_the_device(metric: Metric) -> None:
    members = torch.empty(B, M, K, C, H, W, device="meta")
    valid = torch.empty(B, K, C, H, W, dtype=torch.bool, device="meta")
    assert metric.statistics(members, members[:, 0], valid).device.type == "meta"


@EVERY
def test_it_says_what_it_is(metric: Metric) -> None:
    assert metric.unit
    assert metric.of_members
    assert metric.better in ("less", "more", "one")


def test_a_single_forecast_is_scored_fairly() -> None:
    """Its CRPS is its mean absolute error, beside ensembles of any size."""
    prediction, truth, valid = batch()
    scores = Scores([*ALL, MAE()], K)
    scores.update(prediction[:, 0], truth, valid)
    values = scores.by_lead()
    for name in ("crps", "crps_ensemble"):
        np.testing.assert_allclose(values[name], values["mae"], rtol=1e-12)
    assert values["spread_error"] == [0.0, 0.0]
    assert {name for name in values if not np.isfinite(values[name]).all()} <= UNDEFINED


def test_other_metrics_take_the_mean_of_the_members() -> None:
    prediction, truth, valid = batch()
    ensemble, mean = Scores([MAE()], K), Scores([MAE()], K)
    ensemble.update(prediction, truth, valid)
    mean.update(prediction.mean(1), truth, valid)
    assert torch.equal(ensemble.sums, mean.sums)


def test_fair_scores_do_not_depend_on_the_number_of_members() -> None:
    """On average over draws of members from the same law, 3 and 60 of them score alike; unfair ones do not."""
    truth = torch.rand(1, 1, 1, 150, 150, generator=torch.Generator().manual_seed(1))
    values = {}
    for count in (3, 60):
        noise = torch.rand(1, count, 1, 1, 150, 150, generator=torch.Generator().manual_seed(count))
        spec = FrameSpec(channels=1, height=150, width=150)
        names = ["crps", "crps_ensemble", "brier_fair", "brier"]
        metrics = select_metrics(names, spec=spec, thresholds=[0.6], members=count)
        values[count] = [float(metric.close(metric.statistics(noise, truth, None).sum(0))) for metric in metrics]
    few, many = np.array(values[3]), np.array(values[60])
    assert few[[0, 2]] == pytest.approx(many[[0, 2]], rel=0.02)
    assert (few[[1, 3]] > 1.2 * many[[1, 3]]).all()


def test_white_noise_is_found_out_on_means_of_areas() -> None:
    """The trap: members of white noise have the pixel scores of those whose noise is as wide as the error."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(1, 21, 1, 1, 8, 8, generator=generator).repeat_interleave(16, -1).repeat_interleave(16, -2)
    white = torch.randn(1, 20, 1, 1, 128, 128, generator=generator)
    spec = FrameSpec(channels=1, height=128, width=128)
    metrics = select_metrics(["crps", "crps/16px", "spread_error/16px", "spectrum"], spec=spec)
    truth, forecasts = 0.5 + 0.1 * wide[:, 20], (0.5 + 0.1 * wide[:, :20], 0.5 + 0.1 * white)
    right, wrong = ([float(m.close(m.statistics(one, truth, None).sum(0))) for m in metrics] for one in forecasts)
    assert wrong[0] == pytest.approx(right[0], rel=0.25)
    assert wrong[1] > 1.3 * right[1]
    assert wrong[2] < 0.2
    assert right[2] == pytest.approx(1, abs=0.25)
    assert wrong[3] > 3


def test_ranks_of_equal_members_are_drawn_evenly() -> None:
    """Dry members and a dry truth have any rank; without lots, all would fall into the first bin."""
    dry = torch.zeros(1, 9, 1, 1, 200, 200)
    counts = RankHistogram(9).statistics(dry, dry[:, 0], None)[0, 0]
    assert counts.sum() == 40_000
    assert counts.min() > 3_700
    assert not RankHistogram(9, wet=0.1).statistics(dry, dry[:, 0], None).any()


def test_an_ensemble_of_another_size_fills_the_same_bins() -> None:
    generator = torch.Generator().manual_seed(0)
    members = torch.rand(1, 4, 1, 1, 300, 300, generator=generator)
    truth = torch.rand(1, 1, 1, 300, 300, generator=generator)
    counts = RankHistogram(20).statistics(members, truth, None)[0, 0]
    assert len(counts) == 21
    assert counts.std() / counts.mean() < 0.05


def test_names() -> None:
    with pytest.raises(UsageError, match="did you mean crps"):
        select_metrics(["crsp"], spec=SPEC)
    with pytest.raises(UsageError, match="metric brier: got no threshold"):
        select_metrics(["brier"], spec=SPEC)
    with pytest.raises(UsageError, match="metric crps/64px"):
        select_metrics(["crps/64px"], spec=SPEC)
    names = [metric.name for metric in select_metrics("ensemble", spec=SPEC, thresholds=[15.0], scales=[4])]
    assert {"crps", "crps/16px", "spread_error/16px", "brier_fair@15/16px", "pfss@15/4px", "mae"} <= set(names)
    small = SPEC.model_copy(update={"height": 8, "width": 8})
    assert "crps/16px" not in [metric.name for metric in select_metrics("ensemble", spec=small)]
