"""Runs that are compared: whether they may be, on the same data read in the same way, and what each has spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from framecast.errors import UsageError
from framecast.formatting import format_count, format_duration
from framecast.runs.record import Record

TOLERANCE = 0.1
"""Share by which the least and the most that entries spent may differ, for differences of scores to be starred."""


class SpentBudget(NamedTuple):
    """What the entries of a comparison spent."""

    text: str
    """Iterations, time and multiply-adds in words, one line."""
    is_same: bool
    """Whether the entries spent the same, to a tenth."""


def compare_budgets(
    records: Mapping[str, Record], groups: Mapping[str, Sequence[str]], asked: str | None = None
) -> SpentBudget:
    """Compare what entries spent, the mean over the runs of each.

    Entries of a budget of time spent the same if their time is the same; of others one of these has to be: the sequences
    that they were trained on, their time, their multiply-adds. Time is that of the processor where it computed: by the
    clock it is longer where other programs run.

    Args:
        records: {run: its record}.
        groups: {entry: its runs}.
        asked: the budget of time of each entry, in words; None where none was set.
    """
    entries = {name: [records[run] for run in runs] for name, runs in groups.items()}
    is_cpu = all(record.cpu_seconds is not None for record in records.values())
    seconds = {
        name: _average((record.cpu_seconds or 0.0) if is_cpu else record.seconds for record in runs)
        for name, runs in entries.items()
    }
    sequences = {name: _average(_count_sequences(record) for record in runs) for name, runs in entries.items()}
    operations = {name: _average(count_operations(record) for record in runs) for name, runs in entries.items()}
    kinds = [seconds] if asked is not None else [sequences, seconds, operations]
    is_same = any(_is_same(spent.values()) for spent in kinds)
    clock = "of the processor" if is_cpu else "by the clock"
    spent = "; ".join(
        f"{name} {format_duration(seconds[name])} {clock} and {format_count(operations[name])} multiply-adds"
        for name in entries
    )
    outcome = "" if is_same else f"; more than {100 * TOLERANCE:.0f} % apart, so no difference has a star"
    return SpentBudget(f"{_describe_plan(records, asked, is_same=is_same)}; spent: {spent}{outcome}", is_same)


def count_operations(record: Record) -> float:
    """Count the multiply-adds of a training: forward, and twice as many backward, for each sequence."""
    return 3.0 * record.cost().multiply_adds * _count_sequences(record)


def _count_sequences(record: Record) -> float:
    return float(record.iterations * record.recipe.train.batch_size)


def _average(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def _is_same(values: Iterable[float]) -> bool:
    values = list(values)
    return max(values) <= (1 + TOLERANCE) * min(values)


def _describe_plan(records: Mapping[str, Record], asked: str | None, *, is_same: bool) -> str:
    """Describe in words what each run was to do, and how long that took by the clock."""
    if asked is not None:
        return f"{'Same budget' if is_same else 'Budgets differ'}: {asked}"
    iterations = {
        name: f"{record.iterations} iterations of {record.recipe.train.batch_size}" for name, record in records.items()
    }
    times = [record.seconds for record in records.values()]
    time = f"in {format_duration(min(times))} to {format_duration(max(times))} of iterations"
    if len(set(iterations.values())) == 1:
        return f"Same budget: {next(iter(iterations.values()))} sequences each, {time}"
    return f"Budgets differ: {'; '.join(f'{name} {text} sequences' for name, text in iterations.items())}; {time}"


def check_same(records: dict[str, Record]) -> None:
    """Check that the scores of runs may stand in one table.

    Raises:
        UsageError: data, split, context, horizon or the reading of frames differ.
    """
    (first, reference), *others = records.items()
    for name, other in others:
        pairs = {
            "hash of the data": (reference.data["fingerprint"], other.data["fingerprint"]),
            "context and horizon": _format_windows(reference, other),
            "hash of the split": (reference.data["split"], other.data["split"]),
            **_pair_settings(reference, other),
        }
        for what, (ours, theirs) in pairs.items():
            if ours != theirs:
                fix = f"train them on the same data with the same settings{_describe_differences(reference, other)}"
                raise UsageError(f"{what} of {name}", got=theirs, expected=f"{ours}, as of {first}", fix=fix)


def _describe_differences(reference: Record, other: Record) -> str:
    """Describe in words the settings of the data that differ."""
    ours, theirs = (record.recipe.data.model_dump(mode="json") for record in (reference, other))
    differences = [f"data.{key}: {theirs[key]} and {ours[key]}" for key in ours if ours[key] != theirs[key]]
    return f" ({'; '.join(differences)})" if differences else ""


def _pair_settings(reference: Record, other: Record) -> dict[str, tuple[Any, Any]]:
    """Pair the settings of two runs that turn the values of a file into frames, by name."""
    ours, theirs = reference.data["spec"], other.data["spec"]
    frames = {f"{key} of the frames": (ours.get(key), theirs.get(key)) for key in sorted(ours.keys() | theirs.keys())}
    fields = ("variable", "colour", "shrink", "missing", "scale", "z_r")
    read = {f"data.{key}": (getattr(reference.recipe.data, key), getattr(other.recipe.data, key)) for key in fields}
    return frames | read


def _format_windows(*records: Record) -> tuple[str, ...]:
    return tuple(f"{record.recipe.context} + {record.recipe.horizon}" for record in records)
