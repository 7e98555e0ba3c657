"""A model beside the baselines on a data set: what `framecast evaluate` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framecast import files, kernels
from framecast.data import MOVING_MNIST, DataConfig, DataSet, open_data
from framecast.data.formats.base import StoredArray
from framecast.data.sources.base import Source
from framecast.data.sources.multi_file_source import open_source
from framecast.data.units import PICTURE_UNITS, has_mixed_units, target_spec
from framecast.devices import resolve_device
from framecast.errors import InputError, UsageError
from framecast.evaluation.reflectivity import DBZPredictor, dataset_in_dbz
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import DEFAULT_OPTIONS, EvaluationOptions, EvaluationSuite
from framecast.forecasting.baselines import BASELINES, USUAL
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import with_tiles
from framecast.forecasting.model_folder import load
from framecast.forecasting.predict import check_step, check_values
from framecast.forecasting.predictor import Predictor
from framecast.metrics import EVENT_METRICS, SCALE_METRICS, ChannelMetric, Metric, select_metrics
from framecast.models import ModelConfig
from framecast.recipe.data_as_trained import open_as_trained
from framecast.recipe.parsing import parse_config
from framecast.recipe.recipe import Recipe, recipe_of_run
from framecast.runs.folder import RunFolder, next_free_folder
from framecast.types import FrameSpec

__all__ = ["DEFAULT_OPTIONS", "EvaluationOptions", "EvaluationSuite", "evaluate_run", "prepare_suite"]

WHOLE = {"crop": None, "crops": None, "crop_weight": "uniform", "crop_threshold": None}
ALL = "all"
"""In place of a split: every window of the data."""
THRESHOLDS = {"dBZ": (15.0, 25.0, 35.0), "mm/h": (0.1, 1.0, 5.0)}
"""By units; events that are scored where no others are asked for, as far as they lie within the value range."""


def evaluate_run(
    run: str,
    data: dict[str, Any],
    question: EvaluationOptions = DEFAULT_OPTIONS,
    out: Path | None = None,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
    *,
    quiet: bool = False,
) -> tuple[Scoreboard, Path]:
    """Score a model and baselines on the same windows; write scores.json and pictures.

    Args:
        run: a run's folder, a model's folder, or the name of a baseline.
        data: fields of a DataConfig; without a source, the run's own data are used.
        question: what is to be scored.
        out: a new folder; by default a numbered one in the run's.
        device: where to compute.
        precision: of the kernels, see `set_precision`; by default the run's.
        model: the class of a network that is not framecast's own.
        quiet: whether to show no progress.

    Returns:
        the scores, and the folder.

    Raises:
        UsageError, InputError, CheckpointError: what cannot be used, and why.
    """
    match = prepare_suite(run, data, question, device=device, precision=precision, model=model)
    folder = files.check_new(out or next_free_folder(*_default_folder(run, match.asked)))
    board = match.score(quiet=quiet)
    match.write(board, folder)
    return board, folder


def prepare_suite(
    run: str,
    data: dict[str, Any],
    question: EvaluationOptions = DEFAULT_OPTIONS,
    *,
    source: Source | None = None,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
) -> EvaluationSuite:
    """Bring a model, baselines and the windows together; arguments and errors as of `evaluate_run`.

    `source` are the run's own data, where they have been opened already.
    """
    device = resolve_device(device)
    others = _others(run, question.baselines)
    forecaster = None if run in BASELINES else load(run, model=model)
    recipe = recipe_of_run(run, model)
    kernels.set_precision(precision or recipe.train.precision)
    dataset, split, asked = open_evaluation_data(run, forecaster, recipe, data, question, source)
    converted = question.in_dbz and dataset.spec.units != "dBZ"
    dataset = dataset_in_dbz(dataset) if converted else dataset
    if forecaster is not None:
        forecaster = with_tiles(forecaster, (dataset.spec.height, dataset.spec.width), question.room)
    if question.baselines is None and _has_no_blank(dataset):
        others = [name for name in others if name != "blank"]  # the coldest day on record is no empty picture
    forecasts = _forecasts(run, forecaster, others, dataset, device, converted=converted)
    chosen = _metrics(question, dataset)
    return EvaluationSuite(forecasts, dataset, split, asked, chosen, question, device)


def open_evaluation_data(
    run: str,
    forecaster: Forecaster | None,
    recipe: Recipe,
    data: dict[str, Any],
    question: EvaluationOptions = DEFAULT_OPTIONS,
    source: Source | None = None,
) -> tuple[DataSet, str, str]:
    """The windows that a run is to be tried on.

    Args:
        run: a run's folder, a model's folder, or the name of a baseline.
        forecaster: whose value range the data are put on; None for a baseline.
        recipe: of the run.
        data: fields of a DataConfig; without a source, the run's own data are used.
        question: split, lengths, and whether whole frames are asked for.
        source: the data, where they have been opened already.

    Returns:
        the data set, the split of it to use, and what that split is called: its name, or all.

    Raises:
        UsageError, InputError: what cannot be used, and why.
    """
    trained = None if forecaster is None else forecaster.context
    lengths = question.context or trained or recipe.context_, question.horizon or recipe.horizon_
    model = None if forecaster is None else forecaster.spec
    config, stored = _open_config(run, recipe, data, model)
    config = config.model_copy(update=WHOLE) if question.whole else config
    if source is None and config.source != MOVING_MNIST:
        source = open_source(config, stored)
    has_no_splits = source is not None and config.source != recipe.data.source and source.labels is None
    asked = question.split or (ALL if has_no_splits else None)
    if asked == ALL:
        config = config.model_copy(update={"split_by": "time", "fractions": (0.0, 0.0, 1.0), "gap": 0})
    spec = None if source is None or model is None else _spec_as_trained(model, source.spec, config)
    context, horizon = lengths
    dataset = open_data(config, context=context, horizon=horizon, seed=recipe.seed, source=source, spec=spec)
    if source is None and model is not None:
        check_values(model, dataset.spec)
    split = "test" if asked == ALL else _split(asked, dataset)
    return dataset, split, asked or split


def _open_config(
    run: str, recipe: Recipe, data: dict[str, Any], model: FrameSpec | None
) -> tuple[DataConfig, StoredArray | None]:
    """The configuration of the run's own data, or of others as they were read in training: these are opened for it."""
    has_data = RunFolder(run).recipe.is_file()
    if "source" not in data and not has_data:
        raise UsageError(
            "--data", got="nothing", expected="moving-mnist or a file, as this is no run with data of its own"
        )
    if not has_data or data.get("source", recipe.data.source) != recipe.data.source:
        return open_as_trained(recipe, data, model)
    return parse_config(DataConfig, {**recipe.data.model_dump(mode="json"), **data}, "data"), None


def _spec_as_trained(model: FrameSpec, data: FrameSpec, config: DataConfig) -> FrameSpec:
    """The spec of data that the model was made for, on its value range unless another is asked for."""
    check_values(model, data)
    check_step(model, data, config.step_minutes)
    update: dict[str, Any] = {} if config.range is not None else {"low": model.low, "high": model.high}
    if len(model.ranges) == len(data.ranges):
        update["ranges"] = model.ranges
    return data.model_copy(update=update)


def _split(asked: str | None, dataset: DataSet) -> str:
    split = asked or next((name for name in ("test", "val") if dataset.count(name)), "val")
    if not dataset.count(split):
        fix = "choose another --split, or change data.fractions"
        raise InputError(f"split {split}", got="no window", expected="at least one", fix=fix)
    return split


def _default_folder(run: str, split: str) -> tuple[Path, str]:
    if run in BASELINES:
        return Path("runs"), f"{run}-{split}"
    return Path(run) / "evaluations", split


def _others(run: str, asked: Sequence[str] | None) -> list[str]:
    """Names of the baselines that stand beside."""
    names = asked if asked is not None else () if run in BASELINES else USUAL
    for name in names:
        if name not in BASELINES:
            raise UsageError.unknown("baseline", name, BASELINES)
    return [name for name in dict.fromkeys(names) if name != run]


def _metrics(question: EvaluationOptions, dataset: DataSet) -> list[Metric]:
    """What is to be scored, of all targets together or of each alone."""
    spec, grid = dataset.spec, dataset.grid
    is_mixed = has_mixed_units(spec, grid)
    if not is_mixed and (spec.targets == 1 or not question.by_channel):
        return _asked(question, spec)
    each = [target_spec(spec, grid, place) for place in range(spec.targets)]
    found: list[Metric] = []
    for place, own in enumerate(each):
        asked = _of(question, own) if is_mixed else question
        found += [ChannelMetric(metric, place, own, spec) for metric in _asked(asked, own)]
    given: Sequence[float] = question.thresholds if is_mixed and question.thresholds else ()
    lost = [one for one in given if not any(_within(own, [one]) for own in each)]
    if lost or not found:
        ranges = ", ".join(f"{own.names[0]} {own.low:g} to {own.high:g} {own.units}" for own in each)
        got = f"{lost[0]:g}" if lost else "none, nor usual ones"
        raise UsageError("thresholds", got=got, expected=f"values within the range of a channel: {ranges}")
    return found


def _of(question: EvaluationOptions, own: FrameSpec) -> EvaluationOptions:
    """What can be asked of one of several units: events where thresholds lie in its range."""
    given: Sequence[float] = THRESHOLDS.get(own.units, ()) if question.thresholds is None else question.thresholds
    thresholds = _within(own, given)
    names = question.metrics and [
        name for name in question.metrics if thresholds or name not in EVENT_METRICS | SCALE_METRICS
    ]
    return question._replace(metrics=names, thresholds=thresholds)


def _within(own: FrameSpec, thresholds: Sequence[float]) -> tuple[float, ...]:
    return tuple(threshold for threshold in thresholds if own.low < threshold <= own.high)


def _asked(question: EvaluationOptions, spec: FrameSpec) -> list[Metric]:
    """What was asked for; by default errors and similarity of pictures, and errors, events and spectra of grids."""
    names = question.metrics
    if names is None:
        names = ("framecast" if spec.units in PICTURE_UNITS else "grid",)
    given = question.thresholds
    thresholds = _within(spec, THRESHOLDS.get(spec.units, ())) if given is None else given
    return select_metrics(names, spec=spec, thresholds=thresholds, scales=question.scales)


def _has_no_blank(dataset: DataSet) -> bool:
    """Whether the low end of the range is neither an empty picture nor no rain."""
    spec = dataset.spec
    return spec.units not in (*PICTURE_UNITS, *THRESHOLDS) or has_mixed_units(spec, dataset.grid)


def _forecasts(
    run: str,
    forecaster: Forecaster | None,
    others: Sequence[str],
    dataset: DataSet,
    device: str,
    *,
    converted: bool,
) -> dict[str, Predictor]:
    beside: dict[str, Predictor] = {name: BASELINES[name](dataset.spec) for name in others}
    if forecaster is None:
        return {run: BASELINES[run](dataset.spec), **beside}
    model = forecaster.to(device)
    return {model.config.name: DBZPredictor(model) if converted else model, **beside}  # type: ignore[attr-defined]
