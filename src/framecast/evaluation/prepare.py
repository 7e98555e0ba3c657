"""Preparation of an evaluation: model, baselines, data set, split and metrics, from a run and the user's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from framecast import files, kernels
from framecast.data import MOVING_MNIST, DataConfig, DataSet, open_data
from framecast.data.formats.base import StoredArray
from framecast.data.sources.base import Source
from framecast.data.sources.multi_file_source import open_source
from framecast.data.units import PICTURE_UNITS, has_mixed_units, target_spec
from framecast.devices import resolve_device
from framecast.errors import FramecastError, InputError, UsageError
from framecast.evaluation.memory import fit_to_memory
from framecast.evaluation.opponents import dress_first, read_error_tables
from framecast.evaluation.predictors import (
    choose_baselines,
    find_own,
    give_motion,
    is_moving,
    make_baselines,
    make_model,
    note_missing_fit,
)
from framecast.evaluation.reflectivity import dataset_in_dbz
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.seen_frames import describe_seen_frames, is_same_source
from framecast.evaluation.suite import DEFAULT_OPTIONS, EvaluationOptions, EvaluationSuite, name_folder
from framecast.forecasting.base_fit import is_fitted_name
from framecast.forecasting.context import UNIT, is_baseline
from framecast.forecasting.data_checks import adapt_to_step, check_values, spec_as_trained
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load
from framecast.forecasting.predictor import Predictor
from framecast.metrics import (
    EVENT_METRICS,
    SCALE_METRICS,
    USUAL_MEMBERS,
    USUAL_THRESHOLDS,
    ChannelMetric,
    Metric,
    select_metrics,
)
from framecast.models import ModelConfig
from framecast.recipe.data_as_trained import open_as_trained
from framecast.recipe.parsing import parse_config
from framecast.recipe.recipe import Recipe, recipe_of_run
from framecast.runs.folder import RunFolder, write_folder
from framecast.trained import find_model, find_name
from framecast.types import FrameSpec

__all__ = ["DEFAULT_OPTIONS", "EvaluationOptions", "EvaluationSuite", "evaluate_run", "prepare_suite"]

UNCROPPED = {"crop": None, "crops": None, "crop_weight": "uniform", "crop_threshold": None}
"""Fields of a DataConfig whose windows are whole frames."""
ALL_TEST = {"split_by": "time", "fractions": (0.0, 0.0, 1.0), "gap": 0}
"""Fields of a DataConfig of which all windows are in the test split."""
ALL = "all"
"""Name of a split that holds every window of the data."""


def evaluate_run(
    run: str,
    data: dict[str, Any],
    options: EvaluationOptions = DEFAULT_OPTIONS,
    out: Path | None = None,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
    *,
    quiet: bool = False,
) -> tuple[Scoreboard, Path]:
    """Score a model and baselines on the same windows; write scores.json and pictures.

    Args:
        run: a run's folder, a model's folder, or the name of a trained model or a baseline.
        data: fields of a DataConfig; without a source, the run's own data are used.
        options: split, metrics, lengths and all else.
        out: a new folder; by default a numbered one in the run's.
        device: "auto", or a device of torch.
        precision: precision of the kernels, as `set_precision` takes it; by default the run's.
        model: configuration class of a network that is not framecast's.
        quiet: whether to show no progress.

    Returns:
        the scores, and the folder.

    Raises:
        UsageError: options that do not fit the data or the model, or `out` exists.
        InputError: data that cannot be read or do not fit the model, or a split without windows.
        CheckpointError: no model in the folder, or a damaged one.
    """
    name, run = run, find_model(run)
    suite = prepare_suite(run, data, options, device=device, precision=precision, model=model)
    if out is not None:  # before the scores, so that a folder that exists is refused at once
        files.check_new(out)
    board = suite.score(quiet=quiet)
    return board, write_folder(partial(suite.write, board), out, *name_folder(name, suite.split_name))


def prepare_suite(
    run: str,
    data: dict[str, Any],
    options: EvaluationOptions = DEFAULT_OPTIONS,
    *,
    source: Source | None = None,
    given: Forecaster | None = None,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
) -> EvaluationSuite:
    """Load a model and make baselines, open the windows, and choose the metrics.

    Args:
        run: a run's folder, a model's folder, or the name of a baseline.
        data: fields of a DataConfig; without a source, the run's own data are used.
        options: split, metrics, lengths and all else.
        source: the run's own data, where they have been opened already.
        given: the model of the folder, where it was loaded already; by default it is loaded.
        device: "auto", or a device of torch.
        precision: precision of the kernels, as `set_precision` takes it; by default the run's.
        model: configuration class of a network that is not framecast's.

    Raises:
        UsageError: options that do not fit the data or the model.
        InputError: data that cannot be read or do not fit the model, or a split without windows.
        CheckpointError: no model in the folder, or a damaged one.
    """
    device = resolve_device(device)
    forecaster = None if is_baseline(run) else given or load(run, model=model)
    recipe = Recipe() if is_baseline(run) else recipe_of_run(run, model)
    kernels.set_precision(precision or recipe.train.precision)
    dataset, split, split_name = open_evaluation_data(run, forecaster, recipe, data, options, source)
    to_dbz = options.in_dbz and dataset.spec.units != "dBZ"
    fitted_on = _open_fit_data(run, forecaster, recipe, dataset, options)
    dataset = dataset_in_dbz(dataset) if to_dbz else dataset
    fitted_on = dataset_in_dbz(fitted_on) if to_dbz and fitted_on is not None else fitted_on
    predictors: dict[str, Predictor] = {}
    ensemble = options.members or USUAL_MEMBERS, options.seed
    if forecaster is not None:
        data_step = data.get("step_minutes", recipe.data.step_minutes)
        forecaster, notes = adapt_to_step(forecaster, dataset.spec, data_step)
        dataset = replace(dataset, notes=(*notes, *dataset.notes))
    forecaster, dataset, options = fit_to_memory(forecaster, dataset, options, device)
    if forecaster is None:
        names = [run, *choose_baselines(options.baselines or [], dataset, fitted_on)]
        baselines = make_baselines(list(dict.fromkeys(names)), dataset, fitted_on, *ensemble)
    else:
        predictors = make_model(forecaster, find_name(run) or forecaster.name, options.calibrate, device, to_dbz=to_dbz)
        if options.members:
            tables = read_error_tables(options.errors or Path(run))
            predictors = dress_first(predictors, tables, *ensemble, moving=is_moving(next(iter(predictors.values()))))
        names = choose_baselines(options.baselines, dataset, fitted_on, find_own(forecaster))
        baselines = make_baselines([one for one in names if one not in predictors], dataset, fitted_on, *ensemble)
        if options.baselines is None and fitted_on is None:
            dataset = note_missing_fit(dataset)
    predictors |= baselines
    dataset = give_motion(dataset, list(predictors.values()))
    metrics = make_metrics(options, dataset)
    return EvaluationSuite(predictors, dataset, split, split_name, metrics, options, device, tuple(baselines))


def _open_fit_data(
    run: str, forecaster: Forecaster | None, recipe: Recipe, dataset: DataSet, options: EvaluationOptions
) -> DataSet | None:
    """Find data with a training split for the baselines that are fitted: the scored data, else the run's own."""
    if dataset.count("train"):
        return dataset
    if options.baselines is not None and not any(map(is_fitted_name, options.baselines)):
        return None
    if forecaster is None or not RunFolder(run).recipe.is_file():
        return None
    try:
        own, _, _ = open_evaluation_data(run, forecaster, recipe, {}, options._replace(split="train"))
    except FramecastError:  # moved since, or of another length: then none is fitted
        return None
    alike = own.spec.units == dataset.spec.units and own.spec.channels == dataset.spec.channels
    return own if alike and own.spec.step_minutes == dataset.spec.step_minutes else None


def open_evaluation_data(
    run: str,
    forecaster: Forecaster | None,
    recipe: Recipe,
    data: dict[str, Any],
    options: EvaluationOptions = DEFAULT_OPTIONS,
    source: Source | None = None,
) -> tuple[DataSet, str, str]:
    """Open the windows on which a run is evaluated.

    Args:
        run: a run's folder, a model's folder, or the name of a baseline.
        forecaster: the model, whose value range the data get; None for a baseline.
        recipe: recipe of the run.
        data: fields of a DataConfig; without a source, the run's own data are used.
        options: split, lengths, and whether to take whole frames.
        source: the data, where they have been opened already.

    Returns:
        the data set, its split to use, and the name of the split for the user: the split itself, or all.

    Raises:
        UsageError: options that do not fit the data or the model.
        InputError: data that cannot be read or do not fit the model, or a split without windows.
    """
    trained = None if forecaster is None else forecaster.context
    context = (trained or recipe.context_) if options.context is None else options.context
    horizon = recipe.horizon_ if options.horizon is None else options.horizon
    model = None if forecaster is None else forecaster.spec
    config, stored = _open_config(run, recipe, data, model)
    config = config.model_copy(update=UNCROPPED) if options.whole else config
    if source is None and config.source != MOVING_MNIST:
        # a dry day can be forecast and scored, though nothing can be learnt from it
        source = open_source(config, stored, UNIT if model is None else (model.low, model.high))
    # a file that the training never saw is all test data, unless its sequences are labelled with splits
    is_trained_on = is_same_source(config.source, recipe.data.source)
    has_no_splits = source is not None and not is_trained_on and source.labels is None
    requested = options.split or (ALL if has_no_splits else None)
    if requested == ALL:
        config = config.model_copy(update=ALL_TEST)
    spec = None if source is None or model is None else spec_as_trained(model, source.spec, config)
    # windows with a short past are for training alone: a fit of a baseline does not depend on the model beside it
    dataset = open_data(config, context=context, horizon=horizon, seed=recipe.seed, source=source, spec=spec)
    if source is None and model is not None:
        check_values(model, dataset.spec)
    split = "test" if requested == ALL else _choose_split(requested, dataset)
    seen = None if is_baseline(run) else describe_seen_frames(RunFolder(run), dataset, split)
    dataset = dataset if seen is None else replace(dataset, notes=(seen, *dataset.notes))
    return dataset, split, requested or split


def _open_config(
    run: str, recipe: Recipe, data: dict[str, Any], model: FrameSpec | None
) -> tuple[DataConfig, StoredArray | None]:
    """Make the configuration of the data: the run's own, or another file, which is opened to read it as in training."""
    has_data = RunFolder(run).recipe.is_file()
    if "source" not in data and not has_data:
        raise UsageError(
            "--data", got="nothing", expected="moving-mnist or a file, as this is no run with data of its own"
        )
    if not has_data or not is_same_source(data.get("source", recipe.data.source), recipe.data.source):
        return open_as_trained(recipe, data, model)
    fields = {**recipe.data.model_dump(mode="json"), **data, "source": recipe.data.model_dump(mode="json")["source"]}
    return parse_config(DataConfig, fields, "data"), None


def _choose_split(requested: str | None, dataset: DataSet) -> str:
    """Choose the requested split, by default the first of test and val that has windows."""
    split = requested or next((name for name in ("test", "val") if dataset.count(name)), "val")
    if not dataset.count(split):
        fix = "choose another --split, or change data.fractions"
        raise InputError(f"split {split}", got="no window", expected="at least one", fix=fix)
    return split


def make_metrics(options: EvaluationOptions, dataset: DataSet) -> list[Metric]:
    """Make the metrics, of all targets together or of each channel alone."""
    spec, grid = dataset.spec, dataset.grid
    is_mixed = has_mixed_units(spec, grid)
    if not is_mixed and (spec.targets == 1 or not options.by_channel):
        return select_metrics_of(options, spec)
    channels = [target_spec(spec, grid, index) for index in range(spec.targets)]
    metrics: list[Metric] = []
    for index, channel in enumerate(channels):
        channel_options = _restrict_options(options, channel) if is_mixed else options
        metrics += [
            ChannelMetric(metric, index, channel, spec) for metric in select_metrics_of(channel_options, channel)
        ]
    requested: Sequence[float] = options.thresholds if is_mixed and options.thresholds else ()
    unused = [value for value in requested if not any(_select_thresholds(channel, [value]) for channel in channels)]
    if unused or not metrics:
        ranges = ", ".join(
            f"{channel.names[0]} {channel.low:g} to {channel.high:g} {channel.units}".removesuffix(" 1")
            for channel in channels
        )
        got = f"{unused[0]:g}" if unused else "none, nor usual ones"
        raise UsageError("thresholds", got=got, expected=f"values within the range of a channel: {ranges}")
    return metrics


def _restrict_options(options: EvaluationOptions, channel: FrameSpec) -> EvaluationOptions:
    """Restrict options for several units to one channel: thresholds in its range, events only where there are any."""
    requested: Sequence[float] = (
        USUAL_THRESHOLDS.get(channel.units, ()) if options.thresholds is None else options.thresholds
    )
    thresholds = _select_thresholds(channel, requested)
    names = options.metrics and [
        name for name in options.metrics if thresholds or name not in EVENT_METRICS | SCALE_METRICS
    ]
    return options._replace(metrics=names, thresholds=thresholds)


def _select_thresholds(spec: FrameSpec, thresholds: Sequence[float]) -> tuple[float, ...]:
    """Select the thresholds above the low end of the value range, which every pixel reaches, up to the high end."""
    return tuple(threshold for threshold in thresholds if spec.low < threshold <= spec.high)


def select_metrics_of(options: EvaluationOptions, spec: FrameSpec) -> list[Metric]:
    """Select the requested metrics; by default errors and similarity for pictures; errors, events, spectra for grids."""
    names = options.metrics
    if names is None:
        names = ("ensemble" if options.members else "framecast" if spec.units in PICTURE_UNITS else "grid",)
    usual = _select_thresholds(spec, USUAL_THRESHOLDS.get(spec.units, ()))
    thresholds = usual if options.thresholds is None else options.thresholds
    members = options.members or USUAL_MEMBERS
    return select_metrics(names, spec=spec, thresholds=thresholds, scales=options.scales, members=members)
