"""evaluate and compare: scores of runs from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from framecast import files
from framecast.api.keywords import READING, Data, resolve_reading, resolve_source, to_plain
from framecast.api.run import Run
from framecast.documents import explain_invalid
from framecast.errors import UsageError
from framecast.evaluation.comparison import Comparison, compare_runs
from framecast.evaluation.joined_runs import prepare_joined
from framecast.evaluation.prepare import EvaluationOptions, prepare_suite
from framecast.evaluation.scoreboard import Scoreboard
from framecast.forecasting.forecaster import Forecaster
from framecast.models import ModelConfig
from framecast.recipe.foreign import foreign
from framecast.runs.folder import write_folder
from framecast.trained import find_model

_LISTS = ("metrics", "thresholds", "baselines", "scales")
_TAKEN = tuple(name for name in EvaluationOptions._fields if name != "room")


def evaluate(
    run: str | PathLike[str] | Forecaster | Sequence[str | PathLike[str] | Forecaster],
    data: Data | None = None,
    *,
    out: str | PathLike[str] | None = None,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
    quiet: bool = False,
    **options: Any,
) -> Scoreboard:
    """Score a model beside baselines, on the same windows; nothing is written unless `out` is given.

    Args:
        run: a run, a model's folder, the name of a trained model or a baseline, or a Forecaster that was loaded from one;
            a list of several, as of trainings from other seeds, is scored as one ensemble, each of them beside it.
        data: path of the frames, or "moving-mnist"; by default the run's own.
        out: new folder for scores.json and pictures; None to write none.
        device: "auto", "cpu", "cuda" or "mps".
        precision: precision of the kernels, as `set_precision` takes it; by default that of the training.
        model: configuration class of a network outside framecast.
        quiet: whether to show no progress.
        options: those of the command: `split`, `metrics`, `thresholds`, `baselines` (a list; [] for none), `context`,
            `horizon`, `limit`, `batch_size`, `scales`, `scale="dBZ"`, `block`, `seed`, `calibrate`, `by_channel`,
            `whole`, `members`, `errors`; and how a file is read, as for `open_frames`.

    Returns:
        the scores: `to_dataset()`, `to_dataframe()`, `plot()`, and `verdict`, the sentence on who wins.

    Raises:
        UsageError: an unknown keyword, or options that do not fit the data or the model.
        InputError: data that cannot be read or do not fit the model, or a split without windows.
        CheckpointError: no model in the folder, or a damaged one.

    Example:
        >>> import framecast, numpy as np
        >>> np.save("waves.npy", np.sin(np.arange(40.0))[:, None, None] * np.ones((40, 16, 16)))
        >>> scores = framecast.evaluate("mean", "waves.npy", baselines=[], context=3, horizon=2, metrics="mae")
        >>> scores.to_dataset()["mean"].dims
        ('forecast', 'metric')
    """
    evaluation, reading = split_options(options)
    fields = reading if data is None else {**reading, "source": resolve_source(data)}
    place: dict[str, Any] = {"device": device, "precision": precision}
    if isinstance(run, Sequence) and not isinstance(run, str):
        suite = prepare_joined([name_run(one) for one in run], fields, evaluation, model=model, **place)
    else:
        kind = foreign(run.recipe) if isinstance(run, Run) and model is None else model
        given = run if isinstance(run, Forecaster) else None  # it may have been changed since: other weights, pace
        suite = prepare_suite(find_model(name_run(run)), fields, evaluation, given=given, model=kind, **place)
    if out is not None:
        files.check_new(Path(out))
    board = suite.score(quiet=quiet)
    if out is not None:
        write_folder(partial(suite.write, board), Path(out), Path("runs"), "evaluation")
    return board


def compare(
    runs: Sequence[str | PathLike[str] | Forecaster],
    *,
    out: str | PathLike[str] | None = None,
    device: str = "auto",
    models: Sequence[str] = (),
    quiet: bool = False,
    **options: Any,
) -> Comparison:
    """Compare runs on the same windows of their data; nothing is written unless `out` is given.

    Args:
        runs: two or more, by path or as `Run`; the others are compared with the first. Runs that differ in their seed
            only are one entry.
        out: new folder for the page and the numbers; None to write none.
        device: "auto", "cpu", "cuda" or "mps".
        models: `package.module:Class` of networks outside framecast that the user trusts.
        quiet: whether to show no progress.
        options: of the evaluation, as for `evaluate`; the data are those of the runs.

    Returns:
        the comparison: `to_dataset()` with scores and differences from the first, `to_dataframe()`, `plot()`.

    Raises:
        UsageError: fewer than two runs, or they differ in data, split, context or horizon; an unknown keyword.
        InputError: the data have changed since.
        CheckpointError: a run has no model.

    Example:
        >>> import framecast
        >>> small = dict(steps=2, patch=8, batch_size=2, moving_mnist={"size": 32, "test": 4}, sequences=2, quiet=True)
        >>> one = framecast.train("convlstm", "moving-mnist", "runs/one", hidden=[4], **small)
        >>> two = framecast.train("predrnn", "moving-mnist", "runs/two", hidden=[4], **small)
        >>> comparison = framecast.compare([one, two], metrics=["mse"], baselines=["mean"])
        >>> list(comparison.estimates)
        ['one', 'two', 'mean']
    """
    if isinstance(runs, str | PathLike):
        raise UsageError("runs", got=fspath(runs), expected="a list of two or more", fix="as in compare([one, two])")
    evaluation, reading = split_options(options)
    if reading:
        expected = "options of the evaluation: the data are those of the runs"
        raise UsageError("keyword", got=", ".join(reading), expected=expected, fix="leave it out")
    if out is not None:
        files.check_new(Path(out))
    trusted = [run.trusted for run in runs if isinstance(run, Run) and run.trusted is not None]
    paths = [Path(name_run(run)) for run in runs]
    comparison = compare_runs(paths, evaluation, device=device, models=[*models, *trusted], quiet=quiet)
    if out is not None:
        from framecast.report.comparison_page import write_comparison

        write_folder(partial(write_comparison, comparison), Path(out), Path("runs"), "compare")
    return comparison


def name_run(run: str | PathLike[str] | Forecaster) -> str:
    """Name what is evaluated: a folder, a trained model or a baseline.

    Raises:
        UsageError: a Forecaster that is in no folder, or something else.
    """
    if isinstance(run, str | PathLike):
        return fspath(run)
    if not isinstance(run, Forecaster):
        expected = "a run, the path of one, a loaded Forecaster, or the name of a trained model or a baseline"
        raise UsageError("run", got=type(run).__name__, expected=expected)
    if run.folder is None:
        fix = "save it first: framecast.save_forecaster(folder, forecaster)"
        raise UsageError("run", got="a Forecaster that is in no folder", expected="one that was loaded", fix=fix)
    return str(run.folder)


def split_options(given: Mapping[str, Any]) -> tuple[EvaluationOptions, dict[str, Any]]:
    """Split keywords into options of an evaluation and fields that say how a file is read."""
    values = {key: to_plain(value) for key, value in given.items()}
    chosen = {key: value for key, value in values.items() if key in _TAKEN}
    for key in _LISTS:
        if isinstance(chosen.get(key), str | int | float):
            chosen[key] = [] if (key, chosen[key]) == ("baselines", "none") else [chosen[key]]
    rest = {key: value for key, value in values.items() if key not in chosen}
    names = [name for name in READING if name != "scale"]
    try:
        evaluation = TypeAdapter(EvaluationOptions).validate_python(chosen)
    except ValidationError as error:
        raise UsageError(explain_invalid(error, chosen).text) from error
    return evaluation, resolve_reading(rest, [*_TAKEN, "out", "device"], names)
