"""All of a measurement: agreement, time, memory, part by part, each written as soon as it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from framecast.bench import tables
from framecast.bench.clock import roof, threads
from framecast.bench.contender import contenders
from framecast.bench.gate import gate
from framecast.bench.growth import Point, grow, points
from framecast.bench.memory import PROCESSES, Job, alone
from framecast.bench.problem import problem
from framecast.bench.ratios import order
from framecast.bench.results import Agreement, Memory, Results, Stamp, current, labels, read, stamp, times
from framecast.bench.rounds import measure
from framecast.bench.settings import Setting, Task
from framecast.cost import cost
from framecast.errors import UsageError
from framecast.progress import progress

What = Literal["time", "memory"]
Say = Callable[[str], None]


class Plan(NamedTuple):
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


def run(plan: Plan) -> tuple[Results, list[str]]:
    """Measure what is not in the file yet.

    Returns:
        all that is in the file now, and the parts for which there was no time.

    Raises:
        WrongNumbers: a contender computes something else; nothing of that network was timed.
        UsageError: an unknown network or contender.
    """
    _check(plan)
    mark = stamp(plan.contenders, plan.threads)
    return _do(plan, list(_parts(plan, mark)))


def run_growth(plan: Plan, *, quick: bool = False) -> tuple[Results, list[str]]:
    """Measure how cost grows; as `run`.

    Args:
        plan: its setting and batches are not used.
        quick: small sizes only.
    """
    _check(plan)
    mark = stamp(plan.contenders, plan.threads)
    return _do(plan, list(_growth_parts(plan, mark, quick)))


def _check(plan: Plan) -> None:
    labels(plan.contenders)
    for model in plan.models:
        plan.setting.config(model)
    numbers = {"--threads": [plan.threads], "--pairs": [plan.pairs], "--batches": plan.batches or ()}
    for what, found in numbers.items():
        if any(number < 1 for number in found):
            raise UsageError(what, got=min(found), expected="at least 1")


def _do(plan: Plan, parts: list[_Work]) -> tuple[Results, list[str]]:
    results, began = read(plan.out), time.monotonic()
    with threads(plan.threads), progress("measuring", max(1, len(parts)), quiet=plan.quiet) as show:
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


def _parts(plan: Plan, mark: Stamp) -> Iterator[_Work]:
    """Network by network: agreement, then time, then memory; only what is not there yet."""
    known, setting = read(plan.out), plan.setting
    names = labels(plan.contenders)
    for model in plan.models:
        workloads = [(task, batch) for task in plan.tasks for batch in plan.batches or setting.batches(task)]
        untimed = [
            (task, batch)
            for task, batch in workloads
            if "time" in plan.what and (plan.again or not _timed(known, plan, model, task, batch, mark, names))
        ]
        agreed = current(known.agreements, _key(setting, model), setting, mark)
        if untimed and (plan.again or agreed is None or [g.contender for g in agreed.gates] != names):
            yield _Work(f"{model} agreement", partial(_agree, plan, mark, model))
        for task, batch in untimed:
            yield _Work(f"{model} {task} batch {batch}, time", partial(_time, plan, mark, model, task, batch))
        for task, batch in workloads if "memory" in plan.what else []:
            held = current(known.memory, _key(setting, model, task, batch), setting, mark)
            if plan.again or held is None or list(held.peaks) != names:
                yield _Work(f"{model} {task} batch {batch}, memory", partial(_hold, plan, mark, model, task, batch))


def _key(setting: Setting, model: str, task: str | None = None, batch: int | None = None) -> tuple[object, ...]:
    return setting.name, model, task, batch, None, None, None


def _timed(known: Results, plan: Plan, model: str, task: Task, batch: int, mark: Stamp, names: list[str]) -> bool:
    part = current(known.times, _key(plan.setting, model, task, batch), plan.setting, mark)
    if part is None or part.contenders != names:
        return False
    return all(found is not None and found.pairs >= plan.pairs for found in part.ratios.values())


def _agree(plan: Plan, mark: Stamp, model: str, results: Results, say: Say) -> Results:
    gates = gate(plan.contenders, plan.setting, model)
    return results.plus(Agreement(setting=plan.setting, model=model, stamp=mark, gates=gates))


def _time(plan: Plan, mark: Stamp, model: str, task: Task, batch: int, results: Results, say: Say) -> Results:
    setting = plan.setting
    found = contenders(plan.contenders, setting, model, shared=True)
    given = problem(setting, model, batch)
    reached = roof()
    samples = measure(found, given, task, plan.pairs, say)
    height, width = setting.size
    config = setting.config(model)
    work = cost(config, 1, height, width, patch=setting.patch, frames=setting.frames).multiply_adds
    part = times(
        setting,
        model,
        task,
        batch,
        stamp=mark,
        multiply_adds=work,
        roof=reached,
        samples=samples,
        contenders=labels(plan.contenders),
    )
    return results.plus(part)


def _hold(plan: Plan, mark: Stamp, model: str, task: Task, batch: int, results: Results, say: Say) -> Results:
    peaks: dict[str, list[int]] = {name: [] for name in labels(plan.contenders)}
    pairs = list(zip(peaks, plan.contenders, strict=True))
    for number in range(plan.processes):
        for name, path in order(pairs, number):
            say(f"{name}, process {number + 1}")
            job = Job(setting=plan.setting, model=model, task=task, batch=batch, contender=path, threads=plan.threads)
            peaks[name].append(alone(job).peak)
    return results.plus(Memory(setting=plan.setting, model=model, task=task, batch=batch, stamp=mark, peaks=peaks))


def _growth_parts(plan: Plan, mark: Stamp, quick: bool) -> Iterator[_Work]:
    known, names = read(plan.out), dict(zip(plan.contenders, labels(plan.contenders), strict=True))
    for point in points(plan.models, plan.tasks, plan.contenders, quick=quick):
        name = names[point.contender]
        wanted = (point.setting.name, point.model, point.task, point.batch, name, point.axis, point.value)
        if plan.again or current(known.growth, wanted, point.setting, mark) is None:
            title = f"{point.model} {point.task} {point.axis} {point.value}, {name}"
            yield _Work(title, partial(_grow, point, mark, name))


def _grow(point: Point, mark: Stamp, name: str, results: Results, say: Say) -> Results:
    return results.plus(grow(point, mark, name))


def sheets(results: Results, plan: Plan, *, growth: bool = False) -> list[tables.Sheet]:
    """The tables of a plan's setting that have rows."""
    name = plan.setting.name
    if growth:
        return [tables.growth(results)]
    found = [tables.agreement(results, name), tables.speed(results, name), tables.memory(results, name)]
    return [sheet for sheet in found if sheet.rows]
