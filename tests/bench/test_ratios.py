"""Order, dropping rule and statistics of pairs."""

from statistics import median

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.bench import timing
from framecast.bench.implementations import Implementation
from framecast.bench.ratios import (
    LIMIT,
    TimeSample,
    compute_median_seconds,
    compute_ratio,
    compute_threshold,
    has_enough_pairs,
    rotate,
    select_pairs,
)
from framecast.bench.settings import SETTINGS
from framecast.bench.workload import Workload
from framecast.errors import UsageError

NOTHING = Workload(SETTINGS["quick"], "mim", torch.zeros(1), torch.zeros(1))
times = st.floats(0.01, 100)
calm = st.lists(st.tuples(times, times), min_size=1, max_size=9)


def samples(seconds_of_pairs, calibrations=None) -> list[TimeSample]:
    """A is the baseline, B the other; CPU seconds are twice the wall seconds of A and three times those of B."""
    found = []
    for number, (a, b) in enumerate(seconds_of_pairs):
        before = 1.0 if calibrations is None else calibrations[number]
        found.append(TimeSample(contender="A", round=number, wall=a, cpu=2 * a, before=before, after=1.0))
        found.append(TimeSample(contender="B", round=number, wall=b, cpu=3 * b, before=1.0, after=1.0))
    return found


@settings(max_examples=30)
@given(
    st.permutations(["plain", "direct", "fast", "low"]).flatmap(lambda p: st.integers(1, 4).map(lambda n: p[:n])),
    st.integers(0, 50),
)
def test_every_contender_takes_every_place_equally_often(names: list[str], start: int) -> None:
    turns = [rotate(names, start + number) for number in range(len(names))]
    for turn in turns:
        assert sorted(turn) == sorted(names)
    for place in range(len(names)):
        assert sorted(turn[place] for turn in turns) == sorted(names)


@settings(max_examples=40)
@given(calm, st.randoms())
def test_ratios_are_of_pairs_and_do_not_depend_on_the_order_of_samples(found, random) -> None:
    given_samples = samples(found)
    result = compute_ratio(given_samples, "A", "B")
    each = [a / b for a, b in found]
    assert result.wall == pytest.approx(median(each))
    assert (result.wall_low, result.wall_high) == pytest.approx((min(each), max(each)))
    assert result.cpu == pytest.approx(median(each) * 2 / 3)
    assert result.cpu_low <= result.cpu <= result.cpu_high
    assert (result.pairs, result.dropped) == (len(found), 0)
    random.shuffle(given_samples)
    assert compute_ratio(given_samples, "A", "B") == result


@settings(max_examples=40)
@given(calm, st.floats(1.01, 50))
def test_a_machine_that_is_slower_throughout_changes_nothing(found, slower: float) -> None:
    slowed = [
        s.model_copy(update={n: getattr(s, n) * slower for n in ("wall", "cpu", "before", "after")})
        for s in samples(found)
    ]
    first, second = compute_ratio(samples(found), "A", "B"), compute_ratio(slowed, "A", "B")
    assert second.wall == pytest.approx(first.wall)
    assert second.dropped == first.dropped == 0


@settings(max_examples=40)
@given(st.lists(st.booleans(), min_size=3, max_size=12))
def test_disturbed_pairs_are_dropped_and_counted(disturbed: list[bool]) -> None:
    """The rule is about calibrations only: a pair whose own times are wild is kept."""
    found = samples([(9.0 if bad else 4.0, 2.0) for bad in disturbed], [1.3 if bad else 1.2 for bad in disturbed])
    assert compute_threshold(found) == LIMIT
    kept, dropped = select_pairs(found, "A", "B")
    assert [a.round for a, _ in kept] == [number for number, bad in enumerate(disturbed) if not bad]
    assert dropped == sum(disturbed)
    result = compute_ratio(found, "A", "B")
    assert (result is None) == all(disturbed)
    if result is not None:
        assert result.wall == result.wall_low == result.wall_high == 2.0
        assert (result.pairs, result.dropped) == (len(kept), dropped)
        assert compute_median_seconds(found, "A")[0] == 4.0
    assert has_enough_pairs(found, ["A", "B"], len(kept))
    assert not has_enough_pairs(found, ["A", "B"], len(kept) + 1)


def test_seconds_of_nobody() -> None:
    with pytest.raises(UsageError, match="was measured"):
        compute_median_seconds(samples([(1.0, 1.0)]), "C")


class Fake(Implementation):
    def __init__(self, name: str, said: list[str]) -> None:
        self.name, self.said = name, said

    def train_step(self, given) -> float:
        self.said.append(self.name)
        return 0.0

    def predict(self, given):
        self.said.append(self.name.lower())
        return given.frames

    def compute_gradients(self, given):
        raise NotImplementedError

    def prime(self) -> None:
        raise NotImplementedError


def measured(monkeypatch, calibrations, wanted: int, names="AB", task="train") -> tuple[str, list[TimeSample]]:
    said: list[str] = []
    reading = iter(calibrations)
    monkeypatch.setattr("framecast.bench.timing.calibrate", lambda: next(reading))
    found = timing.measure_rounds([Fake(name, said) for name in names], NOTHING, task, wanted)
    return "".join(said), found


def test_contenders_take_turns_after_one_untimed_call(monkeypatch) -> None:
    said, found = measured(monkeypatch, iter(lambda: 1.0, None), 3, "ABC")
    assert said == "ABC" + "ABC" + "BCA" + "CAB"
    assert [sample.contender for sample in found] == list("ABCBCACAB")
    assert measured(monkeypatch, iter(lambda: 1.0, None), 1, "AB", "inference")[0] == "ab" + "ab"


def test_dropped_pairs_are_made_up_for(monkeypatch) -> None:
    quiet = [1.0] * 4
    said, found = measured(monkeypatch, [*quiet, 1.0, 1.0, 5.0, 1.0, *quiet, *quiet], 3)
    assert said == "AB" + "AB" + "BA" + "AB" + "BA"
    assert compute_ratio(found, "A", "B").dropped == 1


def test_a_busy_machine_does_not_hold_it_for_ever(monkeypatch) -> None:
    _, found = measured(monkeypatch, [1.0, 1.0, 1.0, 9.0] * 6, 3)
    assert len(found) == 2 * 3 * timing.MOST_ROUNDS
    assert compute_ratio(found, "A", "B") is None
