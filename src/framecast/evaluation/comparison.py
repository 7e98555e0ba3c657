"""Runs side by side: refused where the data differ, scored on the same windows, budgets said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from framecast.errors import InputError, UsageError
from framecast.evaluation.prepare import prepare_suite
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import DEFAULT_OPTIONS, EvaluationOptions, EvaluationSuite
from framecast.evaluation.tables import format_interval, mark_significant
from framecast.files import json_safe
from framecast.forecasting.baselines import BASELINES
from framecast.formatting import format_duration, format_number
from framecast.metrics import Estimate, Paired
from framecast.metrics.summary import Estimates
from framecast.recipe.recipe import foreign
from framecast.runs.record import Record, describe_network, read_record


@dataclass(frozen=True)
class Comparison:
    """Runs, scored.

    Args:
        records: of each run, by its name here.
        groups: by name of an entry, the names of its runs: they differ in nothing but the seed.
        match: forecasts of all runs and of the baselines, and the windows.
        board: scores of each run and baseline.
        budget: what each run was given, in words.
    """

    records: dict[str, Record]
    groups: dict[str, list[str]]
    match: EvaluationSuite
    board: Scoreboard
    budget: str

    @property
    def reference(self) -> str:
        """The entry that differences are formed from: the one named first."""
        return next(iter(self.groups))

    @property
    def styles(self) -> dict[str, int]:
        """Of each run, the place of its entry: runs of one entry are drawn alike."""
        return {run: place for place, runs in enumerate(self.groups.values()) for run in runs}

    @cached_property
    def paired(self) -> Paired:
        """Entries, then baselines."""
        scores = {name: [self.board.scores[run] for run in runs] for name, runs in self.groups.items()}
        scores |= {name: [one] for name, one in self.board.scores.items() if name not in self.records}
        return Paired(scores, block=self.board.groups, seed=self.board.seed)

    @cached_property
    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """{entry or baseline: {metric: mean over its runs}}."""
        return self.paired.estimates()

    @cached_property
    def differences(self) -> dict[str, dict[str, Estimate]]:
        """{other entry: {metric: its score less the reference's}}."""
        found = self.paired.differences(self.reference)
        return {name: one for name, one in found.items() if name in self.groups}

    def as_dict(self) -> dict[str, Any]:
        """Everything in plain numbers; NaN becomes null."""
        return {
            "budget": self.budget,
            "reference": self.reference,
            "entries": self.groups,
            "runs": {name: _facts(record) for name, record in self.records.items()},
            "estimates": _plain(self.estimates),
            "spread": json_safe(self.paired.spread()),
            "differences": _plain(self.differences),
            **self.board.as_dict(),
        }

    def print(self, console: Console) -> None:
        """Budget and cost of the entries, their scores, and the differences from the first."""
        for line in (self.budget, self.board.about_samples(), self.board.about_intervals(), "Means over lead times"):
            console.print(line, markup=False, highlight=False)
        console.print(_table(self.estimates, [self._cost(name) for name in self.estimates]))
        if self.differences:
            console.print(f"Less {self.reference}, on the same draws; * the interval does not hold 0")
            console.print(_table(self.differences, [], starred=True))

    def _cost(self, name: str) -> str:
        """Runs, parameters and time of an entry; nothing for a baseline."""
        if name not in self.groups:
            return ""
        records = [self.records[run] for run in self.groups[name]]
        time = format_duration(sum(record.seconds for record in records) / len(records))
        return f"{len(records)} run{'s' if len(records) > 1 else ''}\n{records[0].cost().parameters:,}\n{time}"


def compare_runs(
    runs: Sequence[str | Path],
    question: EvaluationOptions = DEFAULT_OPTIONS,
    *,
    device: str = "auto",
    budget: str | None = None,
    models: Sequence[str] = (),
    quiet: bool = False,
) -> Comparison:
    """Score several runs on the same windows.

    Args:
        runs: folders; the first is what the others are compared with. Runs that differ in their seed only are one entry.
        question: what is to be scored; all but the split is as for `evaluate`.
        device: where to compute.
        budget: what each run was given, where that is known better than from the runs.
        models: `package.module:Class` of networks that are not framecast's own and that the user trusts.
        quiet: whether to show no progress.

    Raises:
        UsageError: fewer than two runs, other data, splits, context or horizon.
        InputError: the data have changed since.
        CheckpointError: a run has no model.
    """
    records = _named([read_record(run, models) for run in runs])
    _check_same(records)
    matches: list[EvaluationSuite] = []
    for record in records.values():
        asked = question._replace(baselines=()) if matches else question  # the baselines stand beside once
        run, kind = str(record.folder.path), foreign(record.recipe)
        matches.append(prepare_suite(run, {}, asked, device=device, precision="auto", model=kind))
    first = next(iter(records.values()))
    now, then = matches[0].dataset.fingerprint, first.data["fingerprint"]
    if now != then:
        fix = "compare where the data are as they were in training"
        raise InputError(first.source, got=f"hash {now}", expected=f"{then}, as trained", fix=fix)
    forecasts = {name: next(iter(match.forecasts.values())) for name, match in zip(records, matches, strict=True)}
    beside = dict(list(matches[0].forecasts.items())[1:])
    match = matches[0]._replace(forecasts=forecasts | beside)
    return Comparison(records, _grouped(records), match, match.score(quiet=quiet), budget or _budget(records))


def _named(records: Sequence[Record]) -> dict[str, Record]:
    runs = [str(record.folder.path) for record in records]
    if len({record.folder.path.resolve() for record in records}) < max(2, len(records)):
        raise UsageError("runs", got=", ".join(runs), expected="two or more, each once")
    names = [record.name for record in records]
    clear = len(set(names)) == len(names) and not set(names) & set(BASELINES)
    return dict(zip(names if clear else [f"run {run}" for run in runs], records, strict=True))


def _check_same(records: dict[str, Record]) -> None:
    """Whether scores of these runs may stand in one table."""
    (first, one), *others = records.items()
    for name, other in others:
        pairs = {
            "hash of the data": (one.data["fingerprint"], other.data["fingerprint"]),
            "context and horizon": _frames(one, other),
            "hash of the split": (one.data["split"], other.data["split"]),
            **_settings(one, other),
        }
        for what, (ours, theirs) in pairs.items():
            if ours != theirs:
                fix = f"train them on the same data with the same settings{_differing(one, other)}"
                raise UsageError(f"{what} of {name}", got=theirs, expected=f"{ours}, as of {first}", fix=fix)


def _differing(one: Record, other: Record) -> str:
    """Which settings of the data are not alike, in words."""
    ours, theirs = (record.recipe.data.model_dump(mode="json") for record in (one, other))
    found = [f"data.{key}: {theirs[key]} and {ours[key]}" for key in ours if ours[key] != theirs[key]]
    return f" ({'; '.join(found)})" if found else ""


def _settings(one: Record, other: Record) -> dict[str, tuple[Any, Any]]:
    """By name, what makes a frame of a file's values."""
    ours, theirs = one.data["spec"], other.data["spec"]
    frames = {f"{key} of the frames": (ours.get(key), theirs.get(key)) for key in sorted(ours.keys() | theirs.keys())}
    fields = ("variable", "colour", "shrink", "missing", "scale", "z_r")
    read = {f"data.{key}": (getattr(one.recipe.data, key), getattr(other.recipe.data, key)) for key in fields}
    return frames | read


def _frames(*records: Record) -> tuple[str, ...]:
    return tuple(f"{record.recipe.context} + {record.recipe.horizon}" for record in records)


def _grouped(records: dict[str, Record]) -> dict[str, list[str]]:
    """Runs that differ in nothing but the seed together; named by the network where that tells them apart."""
    alike: dict[str, list[str]] = {}
    for name, record in records.items():
        alike.setdefault(_kind(record), []).append(name)
    groups: list[list[str]] = []
    for runs in alike.values():
        seeds = {records[run].recipe.seed for run in runs}
        groups += [runs] if len(seeds) == len(runs) else [[run] for run in runs]
    models = [str(records[group[0]].recipe.model.name) for group in groups]  # type: ignore[attr-defined]
    clear = len(set(models)) == len(models) and any(len(group) > 1 for group in groups)
    return dict(zip(models if clear else [group[0] for group in groups], groups, strict=True))


def _kind(record: Record) -> str:
    """What runs of one entry share: the recipe but for the seed, and how far they got."""
    identity = {key: value for key, value in record.recipe.identity().items() if key != "seed"}
    got = record.iterations if record.recipe.validate_.patience is None else None
    return json.dumps([identity, got])


def _budget(records: dict[str, Record]) -> str:
    """What each run was given."""
    given = {name: f"{one.iterations} iterations of {one.recipe.train.batch_size}" for name, one in records.items()}
    seconds = [record.seconds for record in records.values()]
    time = f"in {format_duration(min(seconds))} to {format_duration(max(seconds))} of iterations"
    if len(set(given.values())) == 1:
        return f"Same budget: {next(iter(given.values()))} sequences each, {time}"
    return f"Budgets differ: {'; '.join(f'{name} {text} sequences' for name, text in given.items())}; {time}"


def _facts(record: Record) -> dict[str, Any]:
    return {
        "folder": str(record.folder.path),
        "network": describe_network(record),
        **record.cost()._asdict(),
        "iterations": record.iterations,
        "batch_size": record.recipe.train.batch_size,
        "seconds": record.seconds,
        "seed": record.recipe.seed,
        "weights": record.model.get("sha256"),
        "best": record.model.get("about"),
    }


def _plain(found: Estimates) -> dict[str, Any]:
    return {name: {key: json_safe(one._asdict()) for key, one in inner.items()} for name, inner in found.items()}


def _table(found: Estimates, costs: Sequence[str], *, starred: bool = False) -> Table:
    """A column for each forecast, a row for each metric: the mean and its interval."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in found:
        table.add_column(name, justify="right", overflow="fold")
    if costs:
        table.add_row("cost\nparameters\ntime in iterations", *costs)
    for metric in next(iter(found.values())):
        ours = [one[metric] for one in found.values()]
        stars = [mark_significant(one.mean_interval) if starred else "" for one in ours]
        cells = [
            f"{format_number(one.mean)}{star}\n{format_interval(one.mean_interval)}"
            for one, star in zip(ours, stars, strict=True)
        ]
        table.add_row(metric, *cells)
    return table
