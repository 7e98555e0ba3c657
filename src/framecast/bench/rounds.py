"""The interleaved measurement of one workload: A B C, B C A, C A B, ... in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from framecast.bench.clock import sample
from framecast.bench.contender import Contender
from framecast.bench.problem import Problem
from framecast.bench.ratios import Sample, enough, order
from framecast.bench.settings import Task

MOST_ROUNDS = 2
"""At most so many times the wanted pairs are tried where pairs are dropped."""


def measure(
    found: Sequence[Contender],
    given: Problem,
    task: Task,
    wanted: int,
    say: Callable[[str], None] = lambda text: None,
) -> list[Sample]:
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
    samples: list[Sample] = []
    for number in range(MOST_ROUNDS * wanted):
        say(f"round {number + 1}")
        turn = order(found, number)
        samples += [sample(contender.name, number, _call(contender, given, task)) for contender in turn]
        if enough(samples, names, wanted) and number + 1 >= wanted:
            break
    return samples


def _call(contender: Contender, given: Problem, task: Task) -> Callable[[], object]:
    return lambda: contender.train_step(given) if task == "train" else contender.predict(given)
