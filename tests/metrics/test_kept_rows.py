"""Rows of scores that are kept: memory for what was scored alone, and the same sums however they are divided."""

import pickle

import torch

from framecast.metrics import Scores, select_metrics
from framecast.types import FrameSpec

METRICS = select_metrics(
    ("mse", "csi"), spec=FrameSpec(channels=1, height=6, width=6, units="dBZ", low=0, high=70), thresholds=(20.0,)
)


def batch(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    prediction, truth = (torch.rand(1, 4, 1, 6, 6, generator=generator, dtype=torch.float64) for _ in "pt")
    return prediction, truth


def test_a_part_takes_the_memory_of_what_it_scored() -> None:
    """Ten windows of a hundred thousand, as one of many workers has them."""
    part = Scores(METRICS, 4, keep=100_000)
    for number in range(10):
        part.update(*batch(number), positions=[number * 10_000])
    assert len(pickle.dumps(part)) < 100_000
    assert part.rows is not None
    assert part.rows.shape[0] == 100_000
    assert part.samples == 10


def test_parts_merged_in_any_order_and_reduced_in_slices_give_the_bits_of_one(monkeypatch) -> None:
    monkeypatch.setattr("framecast.metrics.aggregation.REDUCED", 3)
    whole = Scores(METRICS, 4, keep=11)
    parts = [Scores(METRICS, 4, keep=11) for _ in range(3)]
    for number in range(11):
        whole.update(*batch(number))
        with torch.inference_mode():
            parts[number % 3].update(*batch(number), positions=[number])
    dense = [part.rows.clone() for part in parts]
    slices = iter([rows[at : at + 3] for at in range(0, 11, 3)] for rows in dense[1:])
    others = list(zip(*slices, strict=True))
    calls = iter(others)
    parts[0].reduce(lambda own: own + sum(next(calls)))
    assert torch.equal(parts[0].rows, whole.rows)
    merged = Scores(METRICS, 4, keep=11)
    for part in (parts[2], parts[1]):
        merged.merge(part)
    merged.merge(Scores.from_rows(METRICS, 4, dense[0]))
    assert torch.equal(merged.rows, whole.rows)
    assert torch.equal(merged.sums, whole.sums)
    merged.update(*batch(0), positions=[0])
    assert merged.samples == 12
