"""Timing: calls between calibrations, and rounds in which implementations take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from framecast.bench.implementations import Implementation
from framecast.bench.ratios import TimeSample, has_enough_pairs, rotate
from framecast.bench.settings import Task
from framecast.bench.workload import Workload

CALIBRATION_SIDE, CALIBRATION_REPEATS = 1024, 3
ROOF_SIDE, ROOF_REPEATS = 2048, 5


def time_call(call: Callable[[], object]) -> tuple[float, float]:
    """Time a call: wall and CPU seconds, the latter of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def _time_products(side: int, repeats: int) -> list[float]:
    """Seconds of each of several products of two square matrices, float32."""
    left, right = torch.full((side, side), 0.5), torch.full((side, side), 0.25)
    out = torch.empty(side, side)
    return [time_call(lambda: torch.mm(left, right, out=out))[0] for _ in range(repeats)]


def calibrate() -> float:
    """Time a small matrix product, seconds; the quickest of three, so that one short disturbance is no alarm."""
    return min(_time_products(CALIBRATION_SIDE, CALIBRATION_REPEATS))


def take_sample(name: str, number: int, call: Callable[[], object]) -> TimeSample:
    """Time a call between two calibrations.

    Args:
        name: of the implementation.
        number: of the round.
        call: computes the workload once.
    """
    before = calibrate()
    wall, cpu = time_call(call)
    return TimeSample(contender=name, round=number, wall=wall, cpu=cpu, before=before, after=calibrate())


def measure_roof() -> float:
    """Measure the speed of a large matrix product, floating-point operations per second, float32."""
    return 2 * ROOF_SIDE**3 / min(_time_products(ROOF_SIDE, ROOF_REPEATS))


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads inside, and restore their number afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


MOST_ROUNDS = 2
"""Number of rounds over that of the requested pairs, at most, where pairs are dropped."""


def measure_rounds(
    implementations: Sequence[Implementation],
    workload: Workload,
    task: Task,
    pairs: int,
    notify: Callable[[str], None] = lambda note: None,
) -> list[TimeSample]:
    """Time every implementation once a round, after one untimed call of each, until enough pairs count.

    Args:
        implementations: timed in turns; pairs are formed with the first.
        workload: batch that they compute.
        task: a training step or a forecast.
        pairs: number of pairs for each implementation.
        notify: called with a note before each round.
    """
    names = [implementation.name for implementation in implementations]
    for implementation in implementations:
        notify(f"warming up {implementation.name}")
        _compute(implementation, workload, task)
    samples: list[TimeSample] = []
    for number in range(MOST_ROUNDS * pairs):
        notify(f"round {number + 1}")
        samples += [
            take_sample(implementation.name, number, partial(_compute, implementation, workload, task))
            for implementation in rotate(implementations, number)
        ]
        if has_enough_pairs(samples, names, pairs) and number + 1 >= pairs:
            break
    return samples


def _compute(implementation: Implementation, workload: Workload, task: Task) -> object:
    return implementation.train_step(workload) if task == "train" else implementation.predict(workload)
