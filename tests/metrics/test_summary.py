"""What is said of forecasts side by side."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from framecast.metrics import (
    CSI,
    MSE,
    SSIM,
    FrequencyBias,
    Scores,
    Summary,
    bootstrap_interval,
    compute_skill,
    resample,
    summarise,
)

N, K = 8, 2


def found() -> tuple[dict[str, Scores], dict[str, dict[str, Summary]]]:
    generator = torch.Generator().manual_seed(2)
    truth = torch.rand(N, K, 1, 9, 9, generator=generator)
    valid = torch.ones(truth.shape, dtype=torch.bool)
    valid[3, 1] = False
    valid[4, 0, 0, :5] = False
    scores = {}
    for name, noise in (("model", 0.1), ("persistence", 0.3), ("mean", 0.5)):
        prediction = truth + noise * torch.randn(truth.shape, generator=generator)
        scores[name] = Scores([MSE(), CSI(0.5), FrequencyBias(0.5), SSIM()], K, keep=N)
        scores[name].update(prediction, truth, valid)
    return scores, summarise(scores, ["persistence", "extrapolation"], block=2, seed=4)


SCORES, FOUND = found()


@pytest.mark.parametrize("name", ["mse", "csi@0.5", "ssim"])
def test_scores_are_those_of_scores_with_their_intervals(name: str) -> None:
    for forecast, scores in SCORES.items():
        summary = FOUND[forecast][name]
        assert summary.score.mean == scores.mean()[name]
        assert summary.score.by_lead == scores.by_lead()[name]
        drawn = resample(scores, block=2, seed=4)[name]
        assert summary.score.mean_interval == tuple(bootstrap_interval(drawn.mean).tolist())
        assert list(zip(*summary.score.by_lead_interval, strict=True)) == [
            tuple(end) for end in bootstrap_interval(drawn.by_lead).tolist()
        ]
        assert summary.score.mean_interval[0] < summary.score.mean < summary.score.mean_interval[1]


def test_samples_are_beside_every_score() -> None:
    summary = FOUND["model"]["csi@0.5"]
    assert summary.pixels == [N * 81 - 45, (N - 1) * 81]
    assert summary.sequences == [N, N - 1]
    assert FOUND["model"]["ssim"].sequences == [N - 1, N - 1]  # one has no window that is whole
    assert sum(part[1] for part in summary.counts.values()) == summary.pixels[1]
    assert FOUND["model"]["mse"].counts == {}


def test_skill_over_what_was_scored() -> None:
    mse = {name: scores.mean()["mse"] for name, scores in SCORES.items()}
    ours = FOUND["model"]["mse"].skill
    assert set(ours) == {"persistence"}
    assert ours["persistence"].mean == pytest.approx(1 - mse["model"] / mse["persistence"], rel=1e-12)
    csi = {name: scores.by_lead()["csi@0.5"] for name, scores in SCORES.items()}
    expected = [(a - b) / (1 - b) for a, b in zip(csi["mean"], csi["persistence"], strict=True)]
    assert FOUND["mean"]["csi@0.5"].skill["persistence"].by_lead == pytest.approx(expected, rel=1e-12)
    assert all(not summary.skill for summary in FOUND["persistence"].values())
    assert FOUND["model"]["bias@0.5"].skill == {}


def test_skill_is_drawn_in_pairs() -> None:
    """The same sequences for both: what they have in common does not widen the interval."""
    drawn = [resample(SCORES[name], block=2, seed=4)["mse"].mean for name in ("model", "persistence")]
    pairs: Tensor = compute_skill(*drawn, 0.0)
    assert FOUND["model"]["mse"].skill["persistence"].mean_interval == tuple(bootstrap_interval(pairs).tolist())
    assert torch.corrcoef(torch.stack(drawn))[0, 1] > 0.1


def test_as_dict_is_plain() -> None:
    said = FOUND["model"]["csi@0.5"].as_dict()
    assert {"unit", "better", "mean", "mean_interval", "by_lead", "by_lead_interval", "pixels", "skill"} <= set(said)
    assert said["counts"]["hits"] == SCORES["model"].counts()["csi@0.5"]["hits"]
    assert len(said["skill"]["persistence"]["by_lead"]) == K
