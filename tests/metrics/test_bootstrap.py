"""Intervals: drawn as said, the same for one seed, the same for any number of processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from framecast.errors import UsageError
from framecast.metrics import CSI, MAE, SSE, Metric, Scores, bootstrap_interval, compute_skill, resample

N, K = 9, 3
METRICS: list[Metric] = [SSE(), CSI(0.5), MAE()]


def sequences(number: int = N) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    truth = torch.rand(number, K, 1, 6, 5, generator=generator)
    prediction = truth + 0.3 * torch.randn(truth.shape, generator=generator)
    return prediction, truth, torch.rand(truth.shape, generator=generator) < 0.8


def scored(batch: tuple[Tensor, Tensor, Tensor], keep: int = N) -> Scores:
    scores = Scores(METRICS, K, keep=keep)
    scores.update(*batch)
    return scores


def test_every_draw_is_the_score_of_the_sequences_drawn() -> None:
    batch = sequences()
    drawn = resample(scored(batch), block=2, draws=20, seed=3)
    times = np.random.default_rng([0xB007, 3]).multinomial(5, [0.2] * 5, size=20)  # blocks 01 23 45 67 8
    assert times.sum() == 5 * 20
    for draw in range(20):
        members = [row for row in range(N) for _ in range(times[draw, row // 2])]
        expected = scored(tuple(part[members] for part in batch), keep=0)
        for name, values in expected.by_lead().items():
            assert drawn[name].by_lead[draw].tolist() == pytest.approx(values, rel=1e-12)
            assert float(drawn[name].mean[draw]) == pytest.approx(expected.mean()[name], rel=1e-12)


def test_one_seed_one_interval() -> None:
    scores = scored(sequences())
    first, again, other = (resample(scores, seed=seed)["sse"] for seed in (0, 0, 1))
    assert torch.equal(first.by_lead, again.by_lead)
    assert not torch.equal(first.by_lead, other.by_lead)


@pytest.mark.parametrize("world", [2, 4])
def test_processes_change_no_bit(world: int) -> None:
    batch = sequences()
    alone = scored(batch)
    parts = []
    for rank in range(world):
        part = Scores(METRICS, K, keep=N)
        for row in range(rank, N, world):
            part.update(*(values[row : row + 1] for values in batch), positions=[row])
        parts.append(part)
    merged = Scores(METRICS, K, keep=N)
    for part in parts:
        merged.merge(part)
    total = sum(part.rows for part in parts[1:]) + parts[0].rows
    parts[-1].reduce(lambda rows: total)
    for other in (parts[-1], merged):
        assert torch.equal(other.sums, alone.sums)
        for name, values in resample(other).items():
            assert torch.equal(values.mean, resample(alone)[name].mean)
    assert parts[-1].samples == N


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    truth = torch.zeros(400, 1, 1, 1, 1, dtype=torch.float64)
    prediction = torch.rand(truth.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scores = Scores([MAE()], 1, keep=400)
    scores.update(prediction, truth)
    low, high = bootstrap_interval(resample(scores, draws=4000)["mae"].mean).tolist()
    error = float(prediction.std()) / 400**0.5
    assert (low, high) == pytest.approx(
        (float(prediction.mean()) - 1.96 * error, float(prediction.mean()) + 1.96 * error), abs=0.15 * error
    )
    narrow = bootstrap_interval(resample(scores, draws=4000)["mae"].mean, level=0.5)
    assert float(narrow[1] - narrow[0]) == pytest.approx(2 * 0.674 * error, rel=0.1)


def test_sequences_that_are_alike_need_blocks() -> None:
    """Ten copies of each of eight sequences: taken one by one, they claim more than there is."""
    batch = tuple(part.repeat_interleave(10, 0) for part in sequences(8))
    scores = scored(batch, keep=80)
    single, blocked = (bootstrap_interval(resample(scores, block=block)["sse"].mean) for block in (1, 10))
    honest = bootstrap_interval(resample(scored(sequences(8), keep=8))["sse"].mean)
    assert torch.allclose(blocked, honest)
    assert (blocked[1] - blocked[0]) > 2 * (single[1] - single[0])


def test_blocks_by_name_are_those_in_a_row_and_any_others() -> None:
    scores = scored(sequences())
    row, named = (resample(scores, block=block, draws=50)["sse"] for block in (2, [0, 0, 7, 7, 8, 8, 30, 30, 31]))
    assert torch.equal(row.mean, named.mean)
    apart = resample(scores, block=[0, 1, 0, 1, 2, 2, 3, 3, 4], draws=50)["sse"]
    assert not torch.equal(apart.mean, named.mean)
    with pytest.raises(UsageError, match="one for each sequence"):
        resample(scores, block=[0, 1])


def test_draws_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resample(scored(sequences()), draws=100)
    monkeypatch.setattr("framecast.metrics.bootstrap.PIECE", 50)
    for name, found in resample(scored(sequences()), draws=100).items():
        torch.testing.assert_close(found.by_lead, whole[name].by_lead, rtol=1e-13, atol=0, equal_nan=True)
        assert found.mean.shape == (100,)


def test_too_few_blocks_have_no_interval() -> None:
    assert resample(scored(sequences()), block=N)["sse"].mean.isnan().all()
    assert bootstrap_interval(resample(scored(sequences()), block=N)["sse"].mean).isnan().all()


def test_draws_without_an_event_are_left_out() -> None:
    truth = torch.zeros(3, 1, 1, 2, 2)
    truth[0] = 1
    scores = Scores([CSI(0.5)], 1, keep=3)
    scores.update(truth, truth)
    drawn = resample(scores)["csi@0.5"]
    assert drawn.mean.isnan().any()
    assert bootstrap_interval(drawn.mean).tolist() == [1.0, 1.0]


def test_a_broken_forecast_has_no_interval() -> None:
    prediction, truth, valid = sequences()
    prediction[0, 1], valid[0, 1] = torch.nan, True
    drawn = resample(scored((prediction, truth, valid)))["sse"]
    assert bootstrap_interval(drawn.mean).isnan().all()
    assert bootstrap_interval(drawn.by_lead).isnan().tolist() == [[False, True, False]] * 2


def test_skill() -> None:
    values, reference = (
        torch.tensor([0.1, 0.4, 0.2, 0.0], dtype=torch.float64),
        torch.tensor([0.2, 0.2, 0.2, 0.0], dtype=torch.float64),
    )
    assert compute_skill(values, reference, 0.0).tolist() == pytest.approx([0.5, -1.0, 0.0, float("nan")], nan_ok=True)
    assert compute_skill(values, reference, 1.0).tolist() == pytest.approx([-0.125, 0.25, 0.0, 0.0])


def test_counts_and_pixels() -> None:
    prediction, truth, valid = sequences()
    scores = scored((prediction, truth, valid), keep=0)
    assert scores.pixels == valid.sum((0, 2, 3, 4)).tolist()
    counts = scores.counts()
    assert set(counts) == {"csi@0.5"}
    assert counts["csi@0.5"]["hits"] == ((truth >= 0.5) & (prediction >= 0.5) & valid).sum((0, 2, 3, 4)).tolist()
    assert np.sum(list(counts["csi@0.5"].values()), axis=0).tolist() == scores.pixels


def test_what_cannot_be() -> None:
    with pytest.raises(UsageError, match="got sums only"):
        resample(scored(sequences(), keep=0))
    with pytest.raises(UsageError, match="block, draws, seed"):
        resample(scored(sequences()), block=0)
    for positions in ([0, N], [0], [-1, 0]):
        with pytest.raises(UsageError, match="2 positions from 0 to 8"):
            Scores(METRICS, K, keep=N).update(*(part[:2] for part in sequences()), positions=positions)
