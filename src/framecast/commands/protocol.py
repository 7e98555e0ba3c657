"""Scores by a published protocol: a model beside baselines on its test windows, above the published rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from framecast import files, kernels
from framecast.data import DataConfig, DataSet, open_data
from framecast.devices import resolve_device
from framecast.errors import UsageError
from framecast.evaluation.predictors import choose_baselines, make_baselines, make_model
from framecast.evaluation.prepare import ALL_TEST
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.seen_frames import describe_seen_frames
from framecast.evaluation.suite import EvaluationOptions, EvaluationSuite, name_folder
from framecast.evaluation.tables import ARROWS
from framecast.forecasting.context import is_baseline
from framecast.forecasting.data_checks import check_values
from framecast.forecasting.model_folder import load
from framecast.forecasting.predictor import Predictor
from framecast.json_files import json_safe, write_json
from framecast.metrics import Metric, select_metrics
from framecast.models import ModelConfig
from framecast.protocols import Column, Protocol, find_protocol, list_protocols, open_protocol
from framecast.recipe.recipe import recipe_of_run
from framecast.runs.folder import RunFolder, write_folder
from framecast.trained import find_model, find_name

BASELINES = ("persistence", "mean")
"""Baselines beside the model, where nobody names others."""


class ProtocolScores(NamedTuple):
    """Scores by a protocol, and the published ones."""

    protocol: Protocol
    board: Scoreboard

    @property
    def is_limited(self) -> bool:
        """Whether only some of the test windows were scored."""
        return self.board.sequences < self.board.dataset.count("test")

    @property
    def rows(self) -> dict[str, dict[str, float]]:
        """{forecast: {column: score}}, as the protocol reduces lead times and thresholds."""
        return {
            forecast: {column.name: reduce_column(column, by_metric) for column in self.protocol.columns}
            for forecast, by_metric in _sum_statistics(self.board).items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Turn into plain numbers, for JSON; NaN becomes null."""
        return {
            "protocol": self.protocol.model_dump(mode="json"),
            "windows": self.board.sequences,
            "limited": self.is_limited,
            "rows": json_safe(self.rows),
            "notes": list(self.board.dataset.notes),
        }

    def print(self, console: Console, *, quiet: bool = False) -> None:
        """Print what was done, the own rows, and below them the published ones with their source."""
        describe_protocol(self.protocol, console)
        for note in () if quiet else self.board.dataset.notes:
            console.print(note, style="dim", markup=False)
        if self.is_limited:
            scored = f"{self.board.sequences} of {self.board.dataset.count('test')}"
            console.print(f"only {scored} test windows: no score by the protocol", style="bold", markup=False)
        _print_tables(self.protocol, console, self.rows, f"here, on {self.board.sequences} windows")


def score_protocol(
    name: str,
    run: str,
    folder: str,
    *,
    baselines: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 8,
    out: Path | None = None,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
    quiet: bool = False,
) -> tuple[ProtocolScores, Path]:
    """Score a model and baselines on the test windows of a protocol.

    Args:
        name: of the protocol.
        run: a run's folder, a model's folder, or the name of a trained model or a baseline.
        folder: where the published files are.
        baselines: to score beside it; by default persistence and the mean of the context.
        limit: number of windows, at most; the scores are then none of the protocol.
        batch_size: windows at a time.
        out: a new folder; by default a numbered one in the run's.
        device: "auto", or a device of torch.
        precision: precision of the kernels, as `set_precision` takes it; by default the run's.
        model: configuration class of a network that is not framecast's.
        quiet: whether to show no progress.

    Returns:
        the scores, and the folder.

    Raises:
        UsageError: an unknown protocol or baseline, or `out` exists.
        InputError: published files that are not there or not as published, or that do not fit the model.
        CheckpointError: no model in the folder, or a damaged one.
    """
    protocol = find_protocol(name)
    source = open_protocol(protocol, folder)
    if out is not None:
        files.check_new(out)
    known, run, device = run, find_model(run), resolve_device(device)
    config = DataConfig(source=str(folder)).model_copy(update=ALL_TEST)
    dataset = open_data(config, context=protocol.context, horizon=protocol.horizon, seed=0, source=source)
    dataset = replace(dataset, notes=tuple(source.notes))
    predictors: dict[str, Predictor] = {}
    chosen = list(BASELINES if baselines is None else baselines)
    if is_baseline(run):
        chosen = [run, *chosen]
    else:
        predictors, seen = _load_model(run, dataset, device, precision, model)
        dataset = dataset if seen is None else replace(dataset, notes=(*dataset.notes, seen))
    own = make_baselines(choose_baselines(chosen, dataset, None), dataset, None)
    metrics = select_metrics(protocol.metrics, spec=dataset.spec, thresholds=protocol.thresholds)
    options = EvaluationOptions(limit=limit, batch_size=batch_size)
    suite = EvaluationSuite({**predictors, **own}, dataset, "test", "test", metrics, options, device, tuple(own))
    board = suite.score(quiet=quiet)
    scores = ProtocolScores(protocol, board)
    return scores, write_folder(partial(_write, suite, scores), out, *name_folder(known, f"protocol-{name}"))


def _load_model(
    run: str, dataset: DataSet, device: str, precision: str | None, model: type[ModelConfig] | None
) -> tuple[dict[str, Predictor], str | None]:
    """Load a model, and find what of the test windows it was trained on."""
    forecaster, recipe = load(run, model=model), recipe_of_run(run, model)
    kernels.set_precision(precision or recipe.train.precision)
    check_values(forecaster.spec, dataset.spec)
    name = find_name(run) or forecaster.name
    return make_model(forecaster, name, None, device, to_dbz=False), describe_seen_frames(
        RunFolder(run), dataset, "test"
    )


def reduce_column(column: Column, by_metric: Mapping[str, tuple[Metric, Any]]) -> float:
    """Reduce statistics to the one number of a column.

    Args:
        column: which metric, and how lead times and thresholds are brought together.
        by_metric: {name: (metric, its sums over windows by lead time, (K, S))}.

    Raises:
        UsageError: a protocol whose column has no metric.
    """
    names = [name for name in by_metric if name == column.metric or name.partition("@")[0] == column.metric]
    if not names:
        raise UsageError(f"column {column.name}", got=column.metric, expected=f"one of {', '.join(by_metric)}")
    values = []
    for name in names:
        metric, sums = by_metric[name]
        closed = metric.close(sums.sum(dim=0, keepdim=True) if column.over_leads == "pooled" else sums)
        values.append(float(closed[~closed.isnan()].mean()))
    return column.factor * sum(values) / len(values)


def describe_protocol(protocol: Protocol, console: Console) -> None:
    """Print the title, the splits, and what decides whether scores can be compared."""
    console.print(f"{protocol.name}: {protocol.title}", style="bold", markup=False, highlight=False)
    for split, text in protocol.splits.items():
        console.print(f"{split}: {text}", markup=False, highlight=False)
    for note in protocol.notes:
        console.print(note, style="dim", markup=False, highlight=False)


def print_protocols(console: Console) -> None:
    """Print the names of all protocols with their titles."""
    table = Table(box=None, show_header=False)
    for name, protocol in list_protocols().items():
        table.add_row(Text(name), Text(protocol.title))
    console.print(table)
    console.print(
        "framecast protocol NAME RUN --data DIR scores a run; framecast protocol NAME shows published scores."
    )


def print_protocol(protocol: Protocol, console: Console) -> None:
    """Print a protocol, where its files come from, and its published rows."""
    describe_protocol(protocol, console)
    for file in protocol.files:
        md5 = f", md5 {file.md5}" if file.md5 else ""
        console.print(f"needs {file.path} from {file.origin}{md5}", markup=False, highlight=False, soft_wrap=True)
    _print_tables(protocol, console, {}, "")


def _sum_statistics(board: Scoreboard) -> dict[str, dict[str, tuple[Metric, Any]]]:
    """Sum the statistics over windows: {forecast: {metric: (metric, (K, S))}}."""
    return {
        forecast: {metric.name: (metric, rows.sum(dim=0)) for metric, rows in scores.by_sequence()}
        for forecast, scores in board.scores.items()
    }


def _print_tables(protocol: Protocol, console: Console, rows: Mapping[str, Mapping[str, float]], where: str) -> None:
    """Print one table with the own rows first, then those of each source under its name."""
    table = Table(box=None)
    table.add_column("")
    metrics = select_metrics(protocol.metrics, spec=protocol.spec, thresholds=protocol.thresholds)
    better = {key: metric.better for metric in metrics for key in (metric.name, metric.name.partition("@")[0])}
    for column in protocol.columns:
        table.add_column(f"{column.name} {ARROWS[better[column.metric]]}", justify="right")
    names = [column.name for column in protocol.columns]
    for forecast, scores in rows.items():
        table.add_row(Text(forecast, style="bold"), *(f"{scores[name]:.4g}" for name in names))
    for number, published in enumerate(protocol.published, 1):
        table.add_row(Text(f"published [{number}]", style="dim"))
        for network, values in published.rows.items():
            given = dict(zip(published.columns, values, strict=True))
            cells = ["" if given.get(name) is None else f"{given[name]:g}" for name in names]
            table.add_row(Text(f"  {network}"), *cells)
    console.print(f"Scores {where}".rstrip(), markup=False, highlight=False)
    console.print(table)
    for number, published in enumerate(protocol.published, 1):
        console.print(f"[{number}] {published.source}; {published.setting}", markup=False, highlight=False)
    if not protocol.published:
        console.print("No published rows are shown for this protocol; its notes say why.", markup=False)


def _write(suite: EvaluationSuite, scores: ProtocolScores, folder: Path) -> None:
    """Write what an evaluation writes, and protocol.json with the rows of the protocol."""
    suite.write(scores.board, folder)
    write_json(folder / "protocol.json", scores.as_dict())
