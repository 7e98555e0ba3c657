"""Order, dropping rule and statistics of an interleaved measurement: pure functions of the raw samples.

Every round measures every implementation once, in an order that is rotated from round to round. A pair is two samples of
one round. The rule by which pairs are dropped is fixed here, before anything is measured: a small matrix product (the
calibration) is timed just before and just after each sample, and where one of a pair's four took more than `LIMIT` times
the median of all of them, the machine was busy with something else, and the pair does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from framecast.errors import UsageError

LIMIT = 1.25
"""Time of a calibration over the median of all, above which its pair is dropped."""
Name = TypeVar("Name")


class TimeSample(BaseModel):
    """Time of one call, seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contender: str
    """Name of the implementation."""
    round: int
    wall: float
    cpu: float
    before: float
    """Time of the calibration just before, seconds."""
    after: float
    """Time of the calibration just after, seconds."""


class Ratio(BaseModel):
    """Time of the baseline over that of an implementation: median, lowest and highest of the pairs that count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall: float
    wall_low: float
    wall_high: float
    cpu: float
    cpu_low: float
    cpu_high: float
    pairs: int
    dropped: int


def rotate(implementations: Sequence[Name], number: int) -> list[Name]:
    """Order of round `number`: each implementation comes first, second, ... equally often."""
    first = number % len(implementations)
    return [*implementations[first:], *implementations[:first]]


def compute_threshold(samples: Sequence[TimeSample]) -> float:
    """Longest time of a calibration with which a pair counts, seconds."""
    return LIMIT * median([time for sample in samples for time in (sample.before, sample.after)])


def select_pairs(
    samples: Sequence[TimeSample], baseline: str, other: str
) -> tuple[list[tuple[TimeSample, TimeSample]], int]:
    """Select the pairs (baseline, other) that count; and the number of those that were dropped."""
    threshold = compute_threshold(samples) if samples else 0.0
    first = {sample.round: sample for sample in samples if sample.contender == baseline}
    second = {sample.round: sample for sample in samples if sample.contender == other}
    pairs = [(first[number], second[number]) for number in sorted(first.keys() & second.keys())]
    valid = [pair for pair in pairs if all(max(sample.before, sample.after) <= threshold for sample in pair)]
    return valid, len(pairs) - len(valid)


def compute_ratio(samples: Sequence[TimeSample], baseline: str, other: str) -> Ratio | None:
    """Compute the ratio of an implementation; None where no pair counts.

    Args:
        samples: raw samples of all implementations.
        baseline: name of the implementation whose time is divided.
        other: name of the implementation by whose time it is divided.
    """
    pairs, dropped = select_pairs(samples, baseline, other)
    if not pairs:
        return None
    wall = sorted(a.wall / b.wall for a, b in pairs)
    cpu = sorted(a.cpu / b.cpu for a, b in pairs)
    return Ratio(
        wall=median(wall),
        wall_low=wall[0],
        wall_high=wall[-1],
        cpu=median(cpu),
        cpu_low=cpu[0],
        cpu_high=cpu[-1],
        pairs=len(pairs),
        dropped=dropped,
    )


def has_enough_pairs(samples: Sequence[TimeSample], names: Sequence[str], count: int) -> bool:
    """Whether every implementation but the first has `count` pairs with the first that count."""
    return all(len(select_pairs(samples, names[0], other)[0]) >= count for other in names[1:])


def compute_median_seconds(samples: Sequence[TimeSample], name: str) -> tuple[float, float]:
    """Median wall and CPU seconds of an implementation over its undisturbed samples; over all, where all are disturbed.

    Raises:
        UsageError: the implementation has no sample.
    """
    measured = [sample for sample in samples if sample.contender == name]
    if not measured:
        raise UsageError("contender", got=name, expected="one that was measured")
    threshold = compute_threshold(samples)
    undisturbed = [sample for sample in measured if max(sample.before, sample.after) <= threshold] or measured
    return median([sample.wall for sample in undisturbed]), median([sample.cpu for sample in undisturbed])
