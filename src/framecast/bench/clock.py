"""Seconds, the calibration beside each sample, and the roof."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from framecast.bench.ratios import Sample

CALIBRATION_SIDE, CALIBRATION_REPEATS = 1024, 3
ROOF_SIDE, ROOF_REPEATS = 2048, 5


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of a call; CPU seconds are those of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def _product(side: int, repeats: int) -> list[float]:
    """Seconds of each of some products of two square matrices, float32."""
    left, right = torch.full((side, side), 0.5), torch.full((side, side), 0.25)
    out = torch.empty(side, side)
    return [timed(lambda: torch.mm(left, right, out=out))[0] for _ in range(repeats)]


def calibration() -> float:
    """Seconds that a small matrix product takes just now; the quickest of three, so that one hiccup is no alarm."""
    return min(_product(CALIBRATION_SIDE, CALIBRATION_REPEATS))


def sample(contender: str, number: int, call: Callable[[], object]) -> Sample:
    """Time a call between two calibrations."""
    before = calibration()
    wall, cpu = timed(call)
    return Sample(contender=contender, round=number, wall=wall, cpu=cpu, before=before, after=calibration())


def roof() -> float:
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
