"""Forecast of a file or folder: opened as in training, gaps of its context filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike, fspath
from typing import Any, NamedTuple

from framecast.data import MOVING_MNIST, DataConfig, FileSource
from framecast.errors import InputError
from framecast.forecast import Forecast
from framecast.forecasting.baselines import Baseline
from framecast.forecasting.context import open_baseline_context, open_context
from framecast.forecasting.data_checks import adapt_to_step
from framecast.forecasting.filling.fill import MAX_FILLED, fill_absent
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predict import forecast_source
from framecast.models import find_config
from framecast.recipe.data_as_trained import open_as_trained
from framecast.recipe.recipe import Recipe, recipe_of_run


def forecast_file(
    predictor: Any, path: str, horizon: int | str, covariates: Any = None, *, max_filled: int | None = None
) -> Forecast:
    """Forecast what follows the newest frames of each sequence of a file or folder.

    Args:
        predictor: a Forecaster, which reads the file as its run read those of the training, or a baseline.
        path: the file or folder.
        horizon: K, or a time as in "90min".
        covariates: path of the covariates of the future, for a model that needs them.
        max_filled: absent frames of the context that are filled, at most; None for `filling.fill.MAX_FILLED`.

    Raises:
        InputError: a file that cannot be read, or frames that do not fit the model.
        UsageError: a horizon that cannot be used.
    """
    if path == MOVING_MNIST:
        raise InputError("frames", got=MOVING_MNIST, expected="a file or a folder", fix="draw some with open_data")
    if covariates is not None and not isinstance(covariates, str | PathLike):
        raise InputError("covariates", got=type(covariates).__name__, expected="a path, as the frames are one")
    return forecast_opened(open_file(predictor, path), horizon, covariates, max_filled=max_filled)


class OpenedFile(NamedTuple):
    """A file whose newest frames will be forecast from."""

    predictor: Any
    """A Forecaster at the step of the file, or a baseline for its frames."""
    source: FileSource
    config: DataConfig
    notes: tuple[str, ...]


def open_file(predictor: Any, path: str, fields: Mapping[str, Any] | None = None) -> OpenedFile:
    """Open a file or folder for a forecast.

    Args:
        predictor: a Forecaster or a baseline, of which the name counts.
        path: the file or folder.
        fields: fields of a DataConfig, how it is read; None for as in training.

    Raises:
        InputError: a file that cannot be read, or frames that do not fit the model.
    """
    said = {"source": path, **(fields or {})}
    if isinstance(predictor, Baseline):
        config, stored = open_as_trained(Recipe(), said)
        source = open_baseline_context(predictor.origin.name, config, stored, context=predictor.context)
        return OpenedFile(predictor, source, config, ())
    forecaster: Forecaster = predictor
    config, stored = open_as_trained(_read_recipe(forecaster), said, forecaster.spec)
    source = open_context(forecaster, config, stored)
    forecaster, notes = adapt_to_step(forecaster, source.spec, config.step_minutes)
    return OpenedFile(forecaster, source, config, (*source.notes, *notes))


def forecast_opened(
    opened: OpenedFile, horizon: int | str, covariates: Any = None, *, max_filled: int | None = None
) -> Forecast:
    """Forecast what follows the newest frames of each sequence of an opened file.

    Args:
        opened: by `open_file`.
        horizon: K, or a time as in "90min".
        covariates: path of the covariates of the future, for a model that needs them.
        max_filled: absent frames of the context that are filled, at most; None for `filling.fill.MAX_FILLED`.

    Raises:
        InputError: frames that the model was not made for, or covariates that are not known.
        UsageError: a horizon that cannot be used.
    """
    predictor, limit = opened.predictor, MAX_FILLED if max_filled is None else max_filled
    future = None if covariates is None else opened.config.model_copy(update={"source": fspath(covariates)})
    device = next((str(weights.device) for weights in _list_weights(predictor)), "cpu")
    whole = fill_absent(predictor, opened.source, max_filled=limit, device=device)
    forecast = forecast_source(predictor, whole.source, horizon, device=device, covariates=future)
    return replace(forecast, notes=(*opened.notes, *whole.notes, *forecast.notes))


def _list_weights(predictor: Any) -> Iterable[Any]:
    return predictor.parameters() if isinstance(predictor, Forecaster) else ()


def _read_recipe(forecaster: Forecaster) -> Recipe:
    """Read the recipe of the run that a forecaster was loaded from; the default one where it was none."""
    if forecaster.folder is None:
        return Recipe()
    name = str(getattr(forecaster.config, "name", ""))
    kind = type(forecaster.config)
    return recipe_of_run(forecaster.folder, None if find_config(name) is kind else kind)
