"""Order, dropping rule and statistics of an interleaved measurement: pure functions of the raw samples.

Every round measures every contender once, in an order that is rotated from round to round. A pair is two samples of one
round. The rule by which pairs are dropped is fixed here, before anything is measured: a small matrix product is timed
just before and just after each sample, and where one of the four took more than `LIMIT` times the median of all of the
measurement, the machine was busy with something else, and the pair does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from framecast.errors import UsageError

LIMIT = 1.25
"""A calibration that took longer than so many times the median drops its pair."""
Name = TypeVar("Name")


class TimeSample(BaseModel):
    """One measured call. All times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contender: str
    round: int
    wall: float
    cpu: float
    before: float
    """The calibration just before."""
    after: float
    """The calibration just after."""


class Ratio(BaseModel):
    """How many times faster than the baseline: median, lowest and highest of the pairs that count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall: float
    wall_low: float
    wall_high: float
    cpu: float
    cpu_low: float
    cpu_high: float
    pairs: int
    dropped: int


def round_order(contenders: Sequence[Name], number: int) -> list[Name]:
    """The order of round `number`: each contender comes first, second, ... equally often."""
    turn = number % len(contenders)
    return [*contenders[turn:], *contenders[:turn]]


def calibration_threshold(samples: Sequence[TimeSample]) -> float:
    """The longest calibration that is not suspicious, seconds."""
    return LIMIT * median([time for sample in samples for time in (sample.before, sample.after)])


def valid_pairs(
    samples: Sequence[TimeSample], baseline: str, other: str
) -> tuple[list[tuple[TimeSample, TimeSample]], int]:
    """The pairs (baseline, other) that count, and how many were dropped."""
    longest = calibration_threshold(samples) if samples else 0.0
    first = {sample.round: sample for sample in samples if sample.contender == baseline}
    second = {sample.round: sample for sample in samples if sample.contender == other}
    found = [(first[number], second[number]) for number in sorted(first.keys() & second.keys())]
    kept = [pair for pair in found if all(max(sample.before, sample.after) <= longest for sample in pair)]
    return kept, len(found) - len(kept)


def compute_ratio(samples: Sequence[TimeSample], baseline: str, other: str) -> Ratio | None:
    """How many times faster `other` is than the baseline; None where no pair counts."""
    kept, dropped = valid_pairs(samples, baseline, other)
    if not kept:
        return None
    wall = sorted(a.wall / b.wall for a, b in kept)
    cpu = sorted(a.cpu / b.cpu for a, b in kept)
    return Ratio(
        wall=median(wall),
        wall_low=wall[0],
        wall_high=wall[-1],
        cpu=median(cpu),
        cpu_low=cpu[0],
        cpu_high=cpu[-1],
        pairs=len(kept),
        dropped=dropped,
    )


def has_enough_pairs(samples: Sequence[TimeSample], contenders: Sequence[str], wanted: int) -> bool:
    """Whether every contender but the first has `wanted` pairs with it that count."""
    return all(len(valid_pairs(samples, contenders[0], other)[0]) >= wanted for other in contenders[1:])


def median_seconds(samples: Sequence[TimeSample], contender: str) -> tuple[float, float]:
    """Median wall and CPU seconds of a contender over its undisturbed samples; over all, where there is none.

    Raises:
        UsageError: no sample of this contender.
    """
    own = [sample for sample in samples if sample.contender == contender]
    if not own:
        raise UsageError("contender", got=contender, expected="one that was measured")
    longest = calibration_threshold(samples)
    calm = [sample for sample in own if max(sample.before, sample.after) <= longest] or own
    return median([sample.wall for sample in calm]), median([sample.cpu for sample in calm])
