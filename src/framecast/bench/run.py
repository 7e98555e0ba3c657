"""Run of a benchmark: equivalence, time and memory, part by part, each written as soon as it is measured."""

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
from framecast.bench.ratios import rotate
from framecast.bench.results import (
    AgreementResult,
    MemoryResult,
    Results,
    Stamp,
    find_current,
    make_stamp,
    read_results,
    shorten_names,
    summarise_times,
)
from framecast.bench.scaling import ScalingPoint, list_points, measure_scaling
from framecast.bench.settings import Setting, Task
from framecast.bench.timing import measure_roof, measure_rounds, using_threads
from framecast.bench.workload import make_workload
from framecast.errors import UsageError
from framecast.models.cost import count_cost
from framecast.progress import show_progress

What = Literal["time", "memory"]
Notify = Callable[[str], None]


class BenchOptions(NamedTuple):
    """Options of a benchmark."""

    setting: Setting
    models: Sequence[str]
    """Names of the networks."""
    tasks: Sequence[Task]
    batches: Sequence[int] | None
    """Sequences at a time; None for those of the setting."""
    contenders: Sequence[str]
    """Names of framecast's implementations, or import paths; the first is the baseline."""
    out: Path
    """JSON file that results are read from and added to."""
    what: Sequence[What] = ("time", "memory")
    threads: int = 2
    pairs: int = 5
    """Number of pairs of each implementation that must count."""
    minutes: float | None = None
    """Time after which no part is begun; one that was begun is finished."""
    again: bool = False
    """Whether parts are measured again that were measured with this code."""
    quiet: bool = False
    processes: int = PROCESSES
    """Number of processes that measure the memory of each implementation."""


class _Measurement(NamedTuple):
    """One part that is still to be measured."""

    title: str
    add_to: Callable[[Results, Notify], Results]
    """Measures the part, and gives results that it is added to."""


def run_bench(options: BenchOptions) -> tuple[Results, list[str]]:
    """Measure agreement, time and memory of the parts that the file does not have yet.

    Args:
        options: sizes, networks, implementations and the file.

    Returns:
        all results in the file, and the titles of the parts for which there was no time.

    Raises:
        WrongNumbers: an implementation computes other numbers; nothing of that network was timed.
        UsageError: an unknown network or implementation.
    """
    _check(options)
    stamp = make_stamp(options.contenders, options.threads)
    return _measure_all(options, list(_list_measurements(options, stamp)))


def run_scaling(options: BenchOptions, *, quick: bool = False) -> tuple[Results, list[str]]:
    """Measure how time and memory grow with each size, of the parts that the file does not have yet.

    Args:
        options: networks, implementations and the file; its setting and batches are not used.
        quick: whether sizes are small.

    Returns:
        all results in the file, and the titles of the parts for which there was no time.

    Raises:
        UsageError: an unknown network or implementation.
    """
    _check(options)
    stamp = make_stamp(options.contenders, options.threads)
    return _measure_all(options, list(_list_scaling_measurements(options, stamp, quick)))


def _check(options: BenchOptions) -> None:
    shorten_names(options.contenders)
    for model in options.models:
        options.setting.make_config(model)
    numbers = {"--threads": [options.threads], "--pairs": [options.pairs], "--batch-sizes": options.batches or ()}
    for flag, values in numbers.items():
        if any(value < 1 for value in values):
            raise UsageError(flag, got=min(values), expected="at least 1")


def _measure_all(options: BenchOptions, measurements: list[_Measurement]) -> tuple[Results, list[str]]:
    results, began = read_results(options.out), time.monotonic()
    total = max(1, len(measurements))
    with using_threads(options.threads), show_progress("measuring", total, quiet=options.quiet) as show:
        for number, measurement in enumerate(measurements):
            if options.minutes is not None and time.monotonic() - began > 60 * options.minutes:
                return results, [later.title for later in measurements[number:]]
            notify = partial(_show_note, show.update, number, measurement.title)
            notify("")
            results = measurement.add_to(results, notify)
            results.write(options.out)
            show.update(number + 1, measurement.title)
    return results, []


def _show_note(update: Callable[[int, str], None], number: int, title: str, note: str) -> None:
    update(number, f"{title} {note}".strip())


def _list_measurements(options: BenchOptions, stamp: Stamp) -> Iterator[_Measurement]:
    """Network by network: agreement, then time, then memory; only those that the file does not have."""
    results, setting, again = read_results(options.out), options.setting, options.again
    names = shorten_names(options.contenders)
    for model in options.models:
        workloads = [(task, batch) for task in options.tasks for batch in options.batches or setting.get_batches(task)]
        untimed = [
            (task, batch)
            for task, batch in workloads
            if "time" in options.what and (again or not _is_timed(results, options, model, task, batch, stamp, names))
        ]
        agreement = find_current(results.agreements, _make_key(setting, model), setting, stamp)
        if untimed and (again or agreement is None or [gate.contender for gate in agreement.gates] != names):
            yield _Measurement(f"{model} agreement", partial(_add_agreement, options, stamp, model))
        for task, batch in untimed:
            title = f"{model} {task} batch {batch}, time"
            yield _Measurement(title, partial(_add_time, options, stamp, model, task, batch))
        for task, batch in workloads if "memory" in options.what else []:
            memory = find_current(results.memory, _make_key(setting, model, task, batch), setting, stamp)
            if again or memory is None or list(memory.peaks) != names:
                title = f"{model} {task} batch {batch}, memory"
                yield _Measurement(title, partial(_add_memory, options, stamp, model, task, batch))


def _make_key(setting: Setting, model: str, task: str | None = None, batch: int | None = None) -> tuple[object, ...]:
    return setting.name, model, task, batch, None, None, None


def _is_timed(
    results: Results, options: BenchOptions, model: str, task: Task, batch: int, stamp: Stamp, names: list[str]
) -> bool:
    key = _make_key(options.setting, model, task, batch)
    part = find_current(results.times, key, options.setting, stamp)
    if part is None or part.contenders != names:
        return False
    return all(ratio is not None and ratio.pairs >= options.pairs for ratio in part.ratios.values())


def _add_agreement(options: BenchOptions, stamp: Stamp, model: str, results: Results, notify: Notify) -> Results:
    gates = check_equivalence(options.contenders, options.setting, model)
    return results.with_part(AgreementResult(setting=options.setting, model=model, stamp=stamp, gates=gates))


def _add_time(
    options: BenchOptions, stamp: Stamp, model: str, task: Task, batch: int, results: Results, notify: Notify
) -> Results:
    setting = options.setting
    implementations = make_implementations(options.contenders, setting, model, shared=True)
    workload = make_workload(setting, model, batch)
    roof = measure_roof()
    samples = measure_rounds(implementations, workload, task, options.pairs, notify)
    height, width = setting.size
    cost = count_cost(setting.make_config(model), 1, height, width, patch=setting.patch, frames=setting.frames)
    part = summarise_times(
        setting,
        model,
        task,
        batch,
        stamp=stamp,
        multiply_adds=cost.multiply_adds,
        roof=roof,
        samples=samples,
        contenders=shorten_names(options.contenders),
    )
    return results.with_part(part)


def _add_memory(
    options: BenchOptions, stamp: Stamp, model: str, task: Task, batch: int, results: Results, notify: Notify
) -> Results:
    setting = options.setting
    peaks: dict[str, list[int]] = {name: [] for name in shorten_names(options.contenders)}
    pairs = list(zip(peaks, options.contenders, strict=True))
    for number in range(options.processes):
        for name, path in rotate(pairs, number):
            notify(f"{name}, process {number + 1}")
            job = Job(setting=setting, model=model, task=task, batch=batch, contender=path, threads=options.threads)
            peaks[name].append(run_alone(job).peak)
    part = MemoryResult(setting=setting, model=model, task=task, batch=batch, stamp=stamp, peaks=peaks)
    return results.with_part(part)


def _list_scaling_measurements(options: BenchOptions, stamp: Stamp, quick: bool) -> Iterator[_Measurement]:
    results = read_results(options.out)
    names = dict(zip(options.contenders, shorten_names(options.contenders), strict=True))
    for point in list_points(options.models, options.tasks, options.contenders, quick=quick):
        name = names[point.contender]
        key = (point.setting.name, point.model, point.task, point.batch, name, point.axis, point.value)
        if options.again or find_current(results.growth, key, point.setting, stamp) is None:
            title = f"{point.model} {point.task} {point.axis} {point.value}, {name}"
            yield _Measurement(title, partial(_add_scaling, point, stamp, name))


def _add_scaling(point: ScalingPoint, stamp: Stamp, name: str, results: Results, notify: Notify) -> Results:
    return results.with_part(measure_scaling(point, stamp, name))


def make_sheets(results: Results, options: BenchOptions, *, growth: bool = False) -> list[tables.Sheet]:
    """Make the tables of a setting that have rows.

    Args:
        results: measurements.
        options: whose setting is shown.
        growth: whether the table of `run_scaling` is made instead.
    """
    name = options.setting.name
    if growth:
        return [tables.tabulate_scaling(results)]
    sheets = [
        tables.tabulate_agreement(results, name),
        tables.tabulate_speed(results, name),
        tables.tabulate_memory(results, name),
    ]
    return [sheet for sheet in sheets if sheet.rows]
