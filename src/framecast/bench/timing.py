"""Timing: calls between calibrations, and rounds in which implementations take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from framecast.bench.implementations import Implementation
from framecast.bench.ratios import TimeSample, has_enough_pairs, round_order
from framecast.bench.settings import Task
from framecast.bench.workload import Workload

CALIBRATION_SIDE, CALIBRATION_REPEATS = 1024, 3
ROOF_SIDE, ROOF_REPEATS = 2048, 5


def time_call(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of a call; CPU seconds are those of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def _product(side: int, repeats: int) -> list[float]:
    """Seconds of each of some products of two square matrices, float32."""
    left, right = torch.full((side, side), 0.5), torch.full((side, side), 0.25)
    out = torch.empty(side, side)
    return [time_call(lambda: torch.mm(left, right, out=out))[0] for _ in range(repeats)]


def calibrate() -> float:
    """Seconds that a small matrix product takes just now; the quickest of three, so that one hiccup is no alarm."""
    return min(_product(CALIBRATION_SIDE, CALIBRATION_REPEATS))


def take_sample(contender: str, number: int, call: Callable[[], object]) -> TimeSample:
    """Time a call between two calibrations."""
    before = calibrate()
    wall, cpu = time_call(call)
    return TimeSample(contender=contender, round=number, wall=wall, cpu=cpu, before=before, after=calibrate())


def measure_roof() -> float:
    """What a large matrix product reaches here and now, floating-point operations per second, float32."""
    return 2 * ROOF_SIDE**3 / min(_product(ROOF_SIDE, ROOF_REPEATS))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads inside, as many as before outside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


MOST_ROUNDS = 2
"""At most so many times the wanted pairs are tried where pairs are dropped."""


def measure_rounds(
    found: Sequence[Implementation],
    given: Workload,
    task: Task,
    wanted: int,
    say: Callable[[str], None] = lambda text: None,
) -> list[TimeSample]:
    """Time every contender once a round, after one untimed call of each, until there are enough pairs that count.

    Args:
        found: contenders; pairs are counted with the first.
        given: what they compute.
        task: a training step or a forecast.
        wanted: pairs for each contender.
        say: gets a note before each round.
    """
    names = [contender.name for contender in found]
    for contender in found:
        say(f"warming up {contender.name}")
        _call(contender, given, task)()
    samples: list[TimeSample] = []
    for number in range(MOST_ROUNDS * wanted):
        say(f"round {number + 1}")
        turn = round_order(found, number)
        samples += [take_sample(contender.name, number, _call(contender, given, task)) for contender in turn]
        if has_enough_pairs(samples, names, wanted) and number + 1 >= wanted:
            break
    return samples


def _call(contender: Implementation, given: Workload, task: Task) -> Callable[[], object]:
    return lambda: contender.train_step(given) if task == "train" else contender.predict(given)
