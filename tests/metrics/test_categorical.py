"""Scores of events against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from framecast.errors import UsageError
from framecast.metrics import CSI, FAR, HSS, POD, FrequencyBias, Metric


def score(metric: Metric, prediction: Tensor, truth: Tensor, valid: Tensor | None = None) -> list[float]:
    return metric.close(metric.statistics(prediction, truth, valid).sum(dim=0)).tolist()


def by_hand() -> tuple[Tensor, Tensor]:
    """Two sequences, one lead time, range 0..70: 3 hits, 1 miss, 2 false alarms, 4 correct negatives."""
    truth = torch.tensor([[20, 30, 15, 10, 0], [15, 0, 0, 0, 14]], dtype=torch.float64)
    prediction = torch.tensor([[15, 99, 14, 10, 20], [16, 0, -5, 0, 15]], dtype=torch.float64)
    return (prediction / 70).view(2, 1, 1, 1, 5), (truth / 70).view(2, 1, 1, 1, 5)


def test_pooled_over_sequences() -> None:
    prediction, truth = by_hand()
    metric = CSI(threshold=15.0, low=0.0, high=70.0)
    counts = metric.statistics(prediction, truth, None)
    assert counts.tolist() == [[[2, 1, 1, 1]], [[1, 0, 1, 3]]]
    assert score(metric, prediction, truth) == [3 / 6]  # the mean of the sequences' own would be (2/4 + 1/2) / 2
    assert score(POD(15.0, 0.0, 70.0), prediction, truth) == [3 / 4]
    assert score(FAR(15.0, 0.0, 70.0), prediction, truth) == [2 / 5]
    assert score(FrequencyBias(15.0, 0.0, 70.0), prediction, truth) == [5 / 4]
    expected = 2 * (3 * 4 - 1 * 2) / ((3 + 1) * (1 + 4) + (3 + 2) * (2 + 4))
    assert score(HSS(15.0, 0.0, 70.0), prediction, truth) == [pytest.approx(expected, rel=1e-15)]


def test_pooling_is_not_a_mean_of_ratios() -> None:
    prediction, truth = torch.zeros(2, 2, 1, 1, 1, 4, dtype=torch.float64)
    truth[0] = 1  # 4 hits of 4; then 1 false alarm of 1
    prediction[0] = 1
    prediction[1, ..., 0] = 1
    assert score(CSI(0.5), prediction, truth) == [4 / 5]


def test_names() -> None:
    metrics = CSI(15.0, 0.0, 70.0), POD(0.5), FAR(0.25), HSS(2.5, 0.0, 9.0)
    assert [metric.name for metric in metrics] == ["csi@15", "pod@0.5", "far@0.25", "hss@2.5"]
    assert [metric.better for metric in metrics] == ["more", "more", "less", "more"]


def test_undefined_is_nan() -> None:
    nothing, everything = torch.zeros(1, 1, 1, 2, 2), torch.ones(1, 1, 1, 2, 2)
    for metric in (CSI(0.5), POD(0.5), FAR(0.5), HSS(0.5), FrequencyBias(0.5)):
        assert np.isnan(score(metric, nothing, nothing)).all()
    assert np.isnan(score(POD(0.5), everything, nothing)).all()
    assert score(FAR(0.5), everything, nothing) == [1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_value_at_the_threshold_is_an_event(dtype: torch.dtype) -> None:
    for low, high in [(0.0, 70.0), (-10.0, 85.0), (0.1, 0.9)]:
        for threshold in np.linspace(low, high, 24)[1:].tolist():
            raw = torch.full((1, 1, 1, 1, 1), threshold, dtype=torch.float64)
            at = ((raw - low) / (high - low)).to(dtype)
            assert score(CSI(threshold, low, high), at, at) == [1.0]


def test_a_nan_in_the_forecast_is_not_scored_as_no_event() -> None:
    prediction, truth = by_hand()
    prediction[0, 0, 0, 0, 4] = torch.nan  # was a false alarm
    for metric in (CSI(0.3), FAR(0.3), POD(0.3), HSS(0.3), FrequencyBias(0.3)):
        assert np.isnan(score(metric, prediction, truth)).all()


def test_unusable_thresholds() -> None:
    for threshold in (0.0, 70.5, float("nan")):
        with pytest.raises(UsageError, match="above 0 and not above 70"):
            CSI(threshold, 0.0, 70.0)
    with pytest.raises(UsageError, match="low < high"):
        POD(15.0, 70.0, 70.0)
