"""All of a measurement: agreement, time, memory, part by part, each written as soon as it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from framecast.bench import tables
from framecast.bench.equivalence import check_equivalence
from framecast.bench.implementations import make_implementations
from framecast.bench.peak_memory import PROCESSES, Job, run_alone
from framecast.bench.ratios import round_order
from framecast.bench.results import (
    AgreementResult,
    MemoryResult,
    Results,
    Stamp,
    find_current,
    make_stamp,
    read_results,
    short_names,
    summarise_times,
)
from framecast.bench.scaling import ScalingPoint, list_points, measure_scaling
from framecast.bench.settings import Setting, Task
from framecast.bench.timing import measure_roof, measure_rounds, threads
from framecast.bench.workload import make_workload
from framecast.errors import UsageError
from framecast.models.cost import count_cost
from framecast.progress import show_progress

What = Literal["time", "memory"]
Say = Callable[[str], None]


class BenchOptions(NamedTuple):
    """What is to be measured."""

    setting: Setting
    models: Sequence[str]
    tasks: Sequence[Task]
    batches: Sequence[int] | None
    """None for the setting's own."""
    contenders: Sequence[str]
    """Framecast's own, or import paths; the first is the baseline."""
    out: Path
    what: Sequence[What] = ("time", "memory")
    threads: int = 2
    pairs: int = 5
    minutes: float | None = None
    """No part is begun after so many minutes; one that was begun is finished."""
    again: bool = False
    """Whether parts are measured again that were measured with this code."""
    quiet: bool = False
    processes: int = PROCESSES
    """For the memory of each form."""


class _Work(NamedTuple):
    """One part that is still to be measured."""

    title: str
    do: Callable[[Results, Say], Results]


def run_bench(plan: BenchOptions) -> tuple[Results, list[str]]:
    """Measure what is not in the file yet.

    Returns:
        all that is in the file now, and the parts for which there was no time.

    Raises:
        WrongNumbers: a contender computes something else; nothing of that network was timed.
        UsageError: an unknown network or contender.
    """
    _check(plan)
    mark = make_stamp(plan.contenders, plan.threads)
    return _do(plan, list(_parts(plan, mark)))


def run_scaling(plan: BenchOptions, *, quick: bool = False) -> tuple[Results, list[str]]:
    """Measure how cost grows; as `run`.

    Args:
        plan: its setting and batches are not used.
        quick: small sizes only.
    """
    _check(plan)
    mark = make_stamp(plan.contenders, plan.threads)
    return _do(plan, list(_growth_parts(plan, mark, quick)))


def _check(plan: BenchOptions) -> None:
    short_names(plan.contenders)
    for model in plan.models:
        plan.setting.config(model)
    numbers = {"--threads": [plan.threads], "--pairs": [plan.pairs], "--batches": plan.batches or ()}
    for what, found in numbers.items():
        if any(number < 1 for number in found):
            raise UsageError(what, got=min(found), expected="at least 1")


def _do(plan: BenchOptions, parts: list[_Work]) -> tuple[Results, list[str]]:
    results, began = read_results(plan.out), time.monotonic()
    with threads(plan.threads), show_progress("measuring", max(1, len(parts)), quiet=plan.quiet) as show:
        for number, part in enumerate(parts):
            if plan.minutes is not None and time.monotonic() - began > 60 * plan.minutes:
                return results, [later.title for later in parts[number:]]
            say = partial(_say, show.update, number, part.title)
            say("")
            results = part.do(results, say)
            results.write(plan.out)
            show.update(number + 1, part.title)
    return results, []


def _say(update: Callable[[int, str], None], number: int, title: str, note: str) -> None:
    update(number, f"{title} {note}".strip())


def _parts(plan: BenchOptions, mark: Stamp) -> Iterator[_Work]:
    """Network by network: agreement, then time, then memory; only what is not there yet."""
    known, setting = read_results(plan.out), plan.setting
    names = short_names(plan.contenders)
    for model in plan.models:
        workloads = [(task, batch) for task in plan.tasks for batch in plan.batches or setting.batches(task)]
        untimed = [
            (task, batch)
            for task, batch in workloads
            if "time" in plan.what and (plan.again or not _timed(known, plan, model, task, batch, mark, names))
        ]
        agreed = find_current(known.agreements, _key(setting, model), setting, mark)
        if untimed and (plan.again or agreed is None or [g.contender for g in agreed.gates] != names):
            yield _Work(f"{model} agreement", partial(_agree, plan, mark, model))
        for task, batch in untimed:
            yield _Work(f"{model} {task} batch {batch}, time", partial(_time, plan, mark, model, task, batch))
        for task, batch in workloads if "memory" in plan.what else []:
            held = find_current(known.memory, _key(setting, model, task, batch), setting, mark)
            if plan.again or held is None or list(held.peaks) != names:
                yield _Work(f"{model} {task} batch {batch}, memory", partial(_hold, plan, mark, model, task, batch))


def _key(setting: Setting, model: str, task: str | None = None, batch: int | None = None) -> tuple[object, ...]:
    return setting.name, model, task, batch, None, None, None


def _timed(
    known: Results, plan: BenchOptions, model: str, task: Task, batch: int, mark: Stamp, names: list[str]
) -> bool:
    part = find_current(known.times, _key(plan.setting, model, task, batch), plan.setting, mark)
    if part is None or part.contenders != names:
        return False
    return all(found is not None and found.pairs >= plan.pairs for found in part.ratios.values())


def _agree(plan: BenchOptions, mark: Stamp, model: str, results: Results, say: Say) -> Results:
    gates = check_equivalence(plan.contenders, plan.setting, model)
    return results.plus(AgreementResult(setting=plan.setting, model=model, stamp=mark, gates=gates))


def _time(plan: BenchOptions, mark: Stamp, model: str, task: Task, batch: int, results: Results, say: Say) -> Results:
    setting = plan.setting
    found = make_implementations(plan.contenders, setting, model, shared=True)
    given = make_workload(setting, model, batch)
    reached = measure_roof()
    samples = measure_rounds(found, given, task, plan.pairs, say)
    height, width = setting.size
    config = setting.config(model)
    work = count_cost(config, 1, height, width, patch=setting.patch, frames=setting.frames).multiply_adds
    part = summarise_times(
        setting,
        model,
        task,
        batch,
        stamp=mark,
        multiply_adds=work,
        roof=reached,
        samples=samples,
        contenders=short_names(plan.contenders),
    )
    return results.plus(part)


def _hold(plan: BenchOptions, mark: Stamp, model: str, task: Task, batch: int, results: Results, say: Say) -> Results:
    peaks: dict[str, list[int]] = {name: [] for name in short_names(plan.contenders)}
    pairs = list(zip(peaks, plan.contenders, strict=True))
    for number in range(plan.processes):
        for name, path in round_order(pairs, number):
            say(f"{name}, process {number + 1}")
            job = Job(setting=plan.setting, model=model, task=task, batch=batch, contender=path, threads=plan.threads)
            peaks[name].append(run_alone(job).peak)
    return results.plus(
        MemoryResult(setting=plan.setting, model=model, task=task, batch=batch, stamp=mark, peaks=peaks)
    )


def _growth_parts(plan: BenchOptions, mark: Stamp, quick: bool) -> Iterator[_Work]:
    known, names = read_results(plan.out), dict(zip(plan.contenders, short_names(plan.contenders), strict=True))
    for point in list_points(plan.models, plan.tasks, plan.contenders, quick=quick):
        name = names[point.contender]
        wanted = (point.setting.name, point.model, point.task, point.batch, name, point.axis, point.value)
        if plan.again or find_current(known.growth, wanted, point.setting, mark) is None:
            title = f"{point.model} {point.task} {point.axis} {point.value}, {name}"
            yield _Work(title, partial(_grow, point, mark, name))


def _grow(point: ScalingPoint, mark: Stamp, name: str, results: Results, say: Say) -> Results:
    return results.plus(measure_scaling(point, mark, name))


def make_sheets(results: Results, plan: BenchOptions, *, growth: bool = False) -> list[tables.Sheet]:
    """The tables of a plan's setting that have rows."""
    name = plan.setting.name
    if growth:
        return [tables.tabulate_scaling(results)]
    found = [
        tables.tabulate_agreement(results, name),
        tables.tabulate_speed(results, name),
        tables.tabulate_memory(results, name),
    ]
    return [sheet for sheet in found if sheet.rows]
