"""Comparison of runs on the same windows: scores, differences, costs and budgets; refused where the data differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from framecast.data import MOVING_MNIST
from framecast.data.sources.base import Source
from framecast.data.sources.multi_file_source import open_source
from framecast.errors import InputError, UsageError
from framecast.evaluation.compared_runs import SpentBudget, check_same, compare_budgets, count_operations
from framecast.evaluation.labelled_scores import add_differences, make_dataframe, make_dataset, make_means_table
from framecast.evaluation.prepare import UNCROPPED, prepare_suite
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import DEFAULT_OPTIONS, EvaluationOptions, EvaluationSuite
from framecast.evaluation.tables import format_interval, mark_significant
from framecast.evaluation.verdict import judge_entries
from framecast.forecasting.baselines import is_baseline_name
from framecast.formatting import describe_object, format_duration, format_number, make_html
from framecast.json_files import json_safe
from framecast.metrics import Estimate, Paired, Scores
from framecast.metrics.summary import Estimates
from framecast.plotting.line_styles import choose_styles
from framecast.recipe.foreign import foreign
from framecast.runs.record import Record, describe_network, read_record

if TYPE_CHECKING:
    import pandas
    import xarray

    from framecast.plotting.figure import Figure


@dataclass(frozen=True)
class Comparison:
    """Scored runs, and the entries that they form.

    Args:
        records: {run: its record}, the runs by their names here.
        groups: {entry: its runs}; runs of one entry differ in their seed only.
        suite: forecasts of all runs and of the baselines, and the windows.
        scoreboard: scores of each run and baseline.
        spent: training that each entry had.
    """

    records: dict[str, Record]
    groups: dict[str, list[str]]
    suite: EvaluationSuite
    scoreboard: Scoreboard
    spent: SpentBudget

    @property
    def budget(self) -> str:
        """Training that each entry had, in words."""
        return self.spent.text

    def mark_difference(self, difference: Estimate) -> str:
        """Mark a difference whose interval does not hold 0, if the entries spent the same."""
        return mark_significant(difference.mean_interval) if self.spent.is_same else ""

    @property
    def about_stars(self) -> str:
        """Sentence on the marks of differences."""
        return "* the interval does not hold 0" if self.spent.is_same else "no stars, as budgets differ"

    @property
    def reference(self) -> str:
        """Entry that differences are taken from: the first."""
        return next(iter(self.groups))

    @property
    def styles(self) -> dict[str, int]:
        """Number of the style of each entry, run and baseline: runs have that of their entry."""
        styles = choose_styles(self.estimates)
        return styles | {run: styles[entry] for entry, runs in self.groups.items() for run in runs}

    @cached_property
    def paired(self) -> Paired:
        """Scores of the entries, then of the baselines."""
        return Paired(self._group_scores(), block=self.scoreboard.groups, seed=self.scoreboard.seed)

    def _group_scores(self) -> dict[str, list[Scores]]:
        scores = {name: [self.scoreboard.scores[run] for run in runs] for name, runs in self.groups.items()}
        baselines = {name: [one] for name, one in self.scoreboard.scores.items() if name not in self.records}
        return scores | baselines

    @cached_property
    def verdict(self) -> str | None:
        """Sentences on which entry is the best, and whether it beats the best baseline; None where no score says so."""
        board = self.scoreboard
        return judge_entries(self._group_scores(), board.baselines, block=board.groups, seed=board.seed)

    @cached_property
    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """{entry or baseline: {metric: mean over its runs}}."""
        return self.paired.estimate_scores()

    @cached_property
    def differences(self) -> dict[str, dict[str, Estimate]]:
        """{other entry: {metric: its score less the reference's}}."""
        differences = self.paired.estimate_differences(self.reference)
        return {name: by_metric for name, by_metric in differences.items() if name in self.groups}

    def as_dict(self) -> dict[str, Any]:
        """Turn into plain numbers, for JSON; NaN becomes null."""
        return {
            "budget": self.budget,
            "same_budget": self.spent.is_same,
            "reference": self.reference,
            "entries": self.groups,
            "runs": {name: _list_facts(record) for name, record in self.records.items()},
            "estimates": _as_plain(self.estimates),
            "spread": json_safe(self.paired.measure_spread()),
            "differences": _as_plain(self.differences),
            **self.scoreboard.as_dict(),
            "verdict": self.verdict,
        }

    def to_dataset(self) -> xarray.Dataset:
        """Convert to a Dataset: scores of entries and baselines with intervals, and differences from the first entry.

        The scores are as in `Scoreboard.to_dataset`; `difference` and its ends are NaN for the first entry and baselines.
        """
        metrics, spec = self.suite.metrics, self.suite.dataset.spec
        data = add_differences(make_dataset(self.estimates, metrics, spec), self.differences)
        return data.assign_attrs(budget=self.budget, reference=self.reference, samples=self.scoreboard.about_samples())

    def to_dataframe(self) -> pandas.DataFrame:
        """Convert to a table of pandas, a row for each forecast, metric and lead time."""
        return make_dataframe(self.to_dataset())

    def plot(self, metrics: Sequence[str] = ()) -> Figure:
        """Plot scores against lead time, a panel for each metric; arguments are those of `Scoreboard.plot`."""
        return self.scoreboard.plot(metrics)

    def __repr__(self) -> str:
        entries = ", ".join(self.groups)
        return describe_object("Comparison", [("entries", entries), ("sequences", str(self.scoreboard.sequences))])

    def _repr_html_(self) -> str:
        facts = [("entries", ", ".join(self.groups)), ("budget", self.budget)]
        return make_html("Comparison", facts, make_means_table(self.estimates))

    def print(self, console: Console) -> None:
        """Print budget, scores and costs of the entries, and their differences from the first."""
        about = self.scoreboard.about_samples(), self.scoreboard.about_intervals()
        for line in (*([self.verdict] if self.verdict else []), self.budget, *about, "Means over lead times"):
            console.print(line, markup=False, highlight=False)
        console.print(_make_table(self.estimates, [self._describe_cost(name) for name in self.estimates]))
        if self.differences:
            line = f"Less {self.reference}, on the same draws; {self.about_stars}"
            console.print(line, markup=False, emoji=False, highlight=False)
            console.print(_make_table(self.differences, [], self.mark_difference))

    def _describe_cost(self, name: str) -> str:
        """Describe runs, parameters and time of an entry; empty for a baseline."""
        if name not in self.groups:
            return ""
        records = [self.records[run] for run in self.groups[name]]
        time = format_duration(sum(record.seconds for record in records) / len(records))
        return f"{len(records)} run{'s' if len(records) > 1 else ''}\n{records[0].cost().parameters:,}\n{time}"


def compare_runs(
    runs: Sequence[str | Path],
    options: EvaluationOptions = DEFAULT_OPTIONS,
    *,
    device: str = "auto",
    budget: str | None = None,
    models: Sequence[str] = (),
    quiet: bool = False,
) -> Comparison:
    """Score several runs on the same windows.

    Args:
        runs: folders; the others are compared with the first. Runs that differ in their seed only are one entry.
        options: of the evaluation.
        device: to compute on: auto, cpu, cuda or mps.
        budget: time that each training was given, in words; None where it was not by time.
        models: `package.module:Class` of networks outside framecast that the user trusts.
        quiet: show no progress bar.

    Raises:
        UsageError: fewer than two runs, or they differ in data, split, context or horizon.
        InputError: the data have changed since.
        CheckpointError: a run has no model.
    """
    records = _name_runs([read_record(run, models) for run in runs])
    check_same(records)
    suites: list[EvaluationSuite] = []
    sources = _open_sources(records.values(), whole=options.whole)
    for record, source in zip(records.values(), sources, strict=True):
        run, kind = str(record.folder.path), foreign(record.recipe)
        suites.append(prepare_suite(run, {}, options, source=source, device=device, precision="auto", model=kind))
        options = options._replace(baselines=())  # with the first run, the baselines are in
    first = next(iter(records.values()))
    now, then = suites[0].dataset.fingerprint, first.data["fingerprint"]
    if now != then:
        fix = "compare where the data are as they were in training"
        raise InputError(first.source, got=f"hash {now}", expected=f"{then}, as trained", fix=fix)
    forecasts = {name: next(iter(suite.forecasts.values())) for name, suite in zip(records, suites, strict=True)}
    baselines = dict(list(suites[0].forecasts.items())[1:])
    suite = suites[0]._replace(forecasts=forecasts | baselines)
    groups = _group_runs(records)
    return Comparison(records, groups, suite, suite.score(quiet=quiet), compare_budgets(records, groups, budget))


def _open_sources(records: Iterable[Record], *, whole: bool) -> list[Source | None]:
    """Open the data of each run, once for all runs that read them alike; None for generated data."""
    configs = [record.recipe.data.model_copy(update=UNCROPPED if whole else None) for record in records]
    files = {config.model_dump_json(): config for config in configs if config.source != MOVING_MNIST}
    sources = {key: open_source(config) for key, config in files.items()}
    return [sources.get(config.model_dump_json()) for config in configs]


def _name_runs(records: Sequence[Record]) -> dict[str, Record]:
    runs = [str(record.folder.path) for record in records]
    if len({record.folder.path.resolve() for record in records}) < max(2, len(records)):
        raise UsageError("runs", got=", ".join(runs), expected="two or more, each once")
    names = [record.name for record in records]
    distinct = len(set(names)) == len(names) and not any(map(is_baseline_name, names))
    return dict(zip(names if distinct else [f"run {run}" for run in runs], records, strict=True))


def _group_runs(records: dict[str, Record]) -> dict[str, list[str]]:
    """Group runs that differ in their seed only; groups are named by their networks where these tell them apart."""
    equal: dict[str, list[str]] = {}
    for name, record in records.items():
        equal.setdefault(_identify(record), []).append(name)
    groups: list[list[str]] = []
    for runs in equal.values():
        seeds = {records[run].recipe.seed for run in runs}
        groups += [runs] if len(seeds) == len(runs) else [[run] for run in runs]
    models = [str(records[group[0]].recipe.model.name) for group in groups]  # type: ignore[attr-defined]
    distinct = len(set(models)) == len(models) and any(len(group) > 1 for group in groups)
    return dict(zip(models if distinct else [group[0] for group in groups], groups, strict=True))


def _identify(record: Record) -> str:
    """Identify the entry of a run: its recipe without the seed, and the iterations that it did."""
    identity = {key: value for key, value in record.recipe.identity().items() if key != "seed"}
    # With early stopping the data decide when a run ends, and that differs between seeds.
    iterations = record.iterations if record.recipe.validate_.patience is None else None
    return json.dumps([identity, iterations])


def _list_facts(record: Record) -> dict[str, Any]:
    return {
        "folder": str(record.folder.path),
        "network": describe_network(record),
        **record.cost()._asdict(),
        "iterations": record.iterations,
        "batch_size": record.recipe.train.batch_size,
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "training_multiply_adds": count_operations(record),
        "seed": record.recipe.seed,
        "weights": record.model.get("sha256"),
        "best": record.model.get("about"),
    }


def _as_plain(estimates: Estimates) -> dict[str, Any]:
    return {
        name: {metric: json_safe(estimate._asdict()) for metric, estimate in by_metric.items()}
        for name, by_metric in estimates.items()
    }


def _make_table(estimates: Estimates, costs: Sequence[str], mark: Callable[[Estimate], str] = lambda _: "") -> Table:
    """Make a table, a column for each forecast, a row for each metric: the mean and its interval."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in estimates:
        table.add_column(Text(name), justify="right", overflow="fold")
    if costs:
        table.add_row("cost\nparameters\ntime in iterations", *map(Text, costs))
    for metric in next(iter(estimates.values())):
        row = [by_metric[metric] for by_metric in estimates.values()]
        cells = [f"{format_number(each.mean)}{mark(each)}\n{format_interval(each.mean_interval)}" for each in row]
        table.add_row(Text(metric), *cells)
    return table
