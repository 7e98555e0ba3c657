"""Scores: summing, reducing, closing, refusing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.metrics import CSI, MAE, MSE, RMSE, SSE, Metric, Scores


def two_leads() -> tuple[Tensor, Tensor]:
    """Errors of 0.1 at the first lead time, of 0.3 at the second."""
    truth = torch.full((2, 2, 1, 3, 3), 0.5, dtype=torch.float64)
    prediction = truth.clone()
    prediction[:, 0] += 0.1
    prediction[:, 1] -= 0.3
    return prediction, truth


def test_by_lead_and_mean() -> None:
    scores = Scores([SSE(), RMSE()], horizon=2)
    scores.update(*two_leads())
    scores.update(*two_leads())
    assert scores.samples == 4
    assert scores.by_lead() == {"sse": pytest.approx([0.09, 0.81]), "rmse": pytest.approx([0.1, 0.3])}
    assert scores.mean() == {"sse": pytest.approx(0.45), "rmse": pytest.approx(0.2)}  # a mean of roots


def test_undefined_lead_times_are_left_out_of_the_mean() -> None:
    truth = torch.zeros(1, 3, 1, 2, 2)
    truth[:, 1] = 1
    prediction = truth.clone()
    prediction[:, 1, ..., 0] = 0
    scores = Scores([CSI(0.5), MAE()], horizon=3)
    scores.update(prediction, truth)
    assert np.isnan(scores.by_lead()["csi@0.5"]).tolist() == [True, False, True]
    assert scores.mean() == {"csi@0.5": 0.5, "mae": pytest.approx(0.5 / 3)}


def test_a_broken_forecast_has_no_mean() -> None:
    prediction, truth = two_leads()
    prediction[0, 1, 0, 0, 0] = torch.nan
    scores = Scores([MSE()], horizon=2)
    scores.update(prediction, truth)
    assert np.isnan(scores.by_lead()["mse"]).tolist() == [False, True]
    assert np.isnan(scores.mean()["mse"])


def test_nothing_seen_is_nan() -> None:
    scores = Scores([MSE(), CSI(0.5)], horizon=2)
    assert scores.samples == 0
    assert np.isnan(list(scores.mean().values())).all()


def test_reduce_adds_up_processes() -> None:
    scores = [Scores([SSE(), CSI(0.5)], horizon=2) for _ in range(3)]
    prediction, truth = two_leads()
    scores[0].update(prediction, truth)
    scores[1].update(truth, truth)  # the third process had no batch
    total = scores[0].sums + scores[1].sums + scores[2].sums
    scores[2].reduce(lambda sums: total)
    assert scores[2].samples == 4
    assert scores[2].by_lead()["sse"] == pytest.approx([0.045, 0.405])


def test_sums_can_be_made_and_added_to_under_inference_mode() -> None:
    with torch.inference_mode():
        scores = Scores([MSE()], horizon=2)
        scores.update(*two_leads())
    prediction, truth = two_leads()
    scores.update(prediction.requires_grad_(), truth)
    assert not scores.sums.requires_grad
    assert scores.samples == 4


def test_merge_refuses_other_metrics() -> None:
    with pytest.raises(UsageError, match=r"scores to merge: got metrics, horizon, kept \(\['mae'\], 2, 0\)"):
        Scores([MSE()], horizon=2).merge(Scores([MAE()], horizon=2))
    with pytest.raises(UsageError, match="scores to merge"):
        Scores([MSE()], horizon=2).merge(Scores([MSE()], horizon=3))


@pytest.mark.parametrize("metrics", [[], [MSE(), MSE()]])
def test_metrics_need_names_of_their_own(metrics: list[Metric]) -> None:
    with pytest.raises(UsageError, match="each with a name of its own"):
        Scores(metrics, horizon=2)


def test_horizon_must_be_positive() -> None:
    with pytest.raises(UsageError, match="horizon: got 0"):
        Scores([MSE()], horizon=0)


def test_unfit_batches_are_refused() -> None:
    scores = Scores([MSE()], horizon=2)
    frames = torch.rand(2, 2, 1, 3, 3)
    with pytest.raises(InputError, match=r"shape of the prediction: got \(2, 1, 1, 3, 3\), expected \(B, 2, C, H, W\)"):
        scores.update(frames[:, :1], frames[:, :1])
    with pytest.raises(InputError, match="shape of the truth"):
        scores.update(frames, frames[:1])
    with pytest.raises(InputError, match=r"dtype of the truth: got torch\.uint8"):
        scores.update(frames, frames.to(torch.uint8))
    with pytest.raises(InputError, match=r"valid: got torch\.float32"):
        scores.update(frames, frames, frames)
    with pytest.raises(InputError, match="valid"):
        scores.update(frames, frames, torch.ones(2, 2, 1, 1, 3, dtype=torch.bool))
    assert scores.samples == 0


class Wrong(Metric):
    name, unit, better, size = "wrong", "1", "more", 2

    def statistics(self, prediction: Tensor, truth: Tensor, valid: Tensor | None) -> Tensor:
        return torch.zeros(len(prediction), 2, 1, dtype=torch.float64)

    def close(self, sums: Tensor) -> Tensor:
        return sums[:, 0]


def test_statistics_of_the_wrong_size_are_refused() -> None:
    with pytest.raises(UsageError, match=r"statistics of metric wrong: got \(2, 2, 1\), expected .* \(2, 2, 2\)"):
        Scores([Wrong()], horizon=2).update(*two_leads())


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, framecast.metrics; print([m for m in ('matplotlib', 'skimage', 'scipy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"
