"""Evaluation of several runs as the members of one ensemble, as of trainings from other seeds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from framecast import files
from framecast.ensembles.joined import JoinedPredictor
from framecast.errors import InputError, UsageError
from framecast.evaluation.prepare import make_metrics, prepare_suite
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import DEFAULT_OPTIONS, EvaluationOptions, EvaluationSuite
from framecast.models import ModelConfig
from framecast.runs.folder import write_folder
from framecast.trained import find_model


def evaluate_joined(
    runs: Sequence[str],
    data: dict[str, Any],
    options: EvaluationOptions = DEFAULT_OPTIONS,
    out: Path | None = None,
    *,
    quiet: bool = False,
    **keywords: Any,
) -> tuple[Scoreboard, Path]:
    """Score the ensemble of several runs, each run alone, and baselines on the same windows; write scores and pictures.

    Args:
        runs: folders of runs or models, or names of trained models or baselines; the first one's data are scored.
        data: fields of a DataConfig; without a source, the runs' own data are used.
        options: split, metrics, lengths and all else.
        out: a new folder; by default a numbered one in runs.
        quiet: whether to show no progress.
        keywords: device, precision and model, as of `prepare_suite`.

    Returns:
        the scores, and the folder.

    Raises:
        UsageError: options that do not fit the data or a model, or `out` exists.
        InputError: data that cannot be read or do not fit a model, runs of other data, or a split without windows.
        CheckpointError: no model in a folder, or a damaged one.
    """
    suite = prepare_joined(runs, data, options, **keywords)
    if out is not None:  # before the scores, so that a folder that exists is refused at once
        files.check_new(out)
    board = suite.score(quiet=quiet)
    return board, write_folder(partial(suite.write, board), out, Path("runs"), f"ensemble-{suite.split_name}")


def prepare_joined(
    runs: Sequence[str],
    data: dict[str, Any],
    options: EvaluationOptions = DEFAULT_OPTIONS,
    *,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
) -> EvaluationSuite:
    """Make one ensemble of several runs, with each of them and the baselines of the first beside it.

    Arguments and errors are those of `evaluate_joined`.
    """
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise UsageError("runs", got=", ".join(runs), expected="two or more, each once")
    names = [Path(run).name for run in runs]
    names = names if len(set(names)) == len(names) else list(runs)
    suites: list[EvaluationSuite] = []
    for run in runs:
        suite = prepare_suite(find_model(run), data, options, device=device, precision=precision, model=model)
        suites.append(suite)
        # the others get the first one's windows, and its baselines are enough
        ours, theirs = suites[0].dataset, suite.dataset
        options = options._replace(baselines=[], context=ours.context, horizon=ours.horizon)
        if (ours.fingerprint, ours.split_hash) != (theirs.fingerprint, theirs.split_hash):
            fix = "--data names the same frames for all"
            raise InputError(run, got="other data or another split", expected=f"those of {runs[0]}", fix=fix)
    first = suites[0]
    members = {name: next(iter(suite.forecasts.values())) for name, suite in zip(names, suites, strict=True)}
    joined = {f"ensemble of {len(runs)} runs": JoinedPredictor(list(members.values()))}
    baselines = {name: first.forecasts[name] for name in first.baselines if name not in members}
    metrics = make_metrics(first.options._replace(members=len(runs)), first.dataset)
    return first._replace(forecasts=joined | members | baselines, metrics=metrics, baselines=tuple(baselines))
