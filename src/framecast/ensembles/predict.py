"""Ensembles of a forecast of a file: members or products of it, and what was assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from framecast.ensembles.calibration.calibration_file import CALIBRATION, EnsembleCalibration
from framecast.ensembles.dressing import DressedPredictor
from framecast.ensembles.error_tables import ErrorTables
from framecast.ensembles.joined import join_members
from framecast.ensembles.product_names import ForecastProduct
from framecast.ensembles.products import make_products
from framecast.ensembles.tables_files import find_file
from framecast.errors import InputError
from framecast.forecast import Forecast, ModelOrigin
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predictor import PastFrames, Predictor


def dress_forecast(
    predictor: Predictor,
    forecast: Forecast,
    errors: Path,
    *,
    members: int,
    seed: int = 0,
    products: Sequence[ForecastProduct] = (),
) -> Forecast:
    """Turn the single forecast of a file into its members, or into products of them.

    Args:
        predictor: that made it; of a network that moves frames the raw one.
        forecast: its forecast.
        errors: file of its error tables, or the folder of its run or model.
        members: M.
        seed: of the noise.
        products: maps to make; none for the members themselves.

    Raises:
        InputError: no error tables, or those of other frames.
        UsageError: products that these frames cannot have.
    """
    path = find_file(errors)
    tables = ErrorTables.read(path)
    tables.check(forecast.spec)
    context = forecast.context
    past = PastFrames(context, forecast.spec, context.isfinite(), forecast.context_times, grid=forecast.grid)
    past = replace(past, frames=torch.where(context.isfinite(), context, forecast.spec.low))
    # a model that needs more than its targets cannot forecast them again from them alone
    is_alone = not isinstance(predictor, Forecaster) or predictor.spec.channels == predictor.spec.targets
    is_alone &= not (isinstance(predictor, Forecaster) and predictor.spec.covariates)
    dressed = DressedPredictor(predictor, tables, members=members, seed=seed, hindcast=is_alone)
    ensemble = dressed.dress_forecast(forecast, past)
    scales = ", ".join(f"{float(scale):.2f}" for scale in ensemble.scale)
    notes = [f"ensemble: {members} members, seed {seed}, errors of {tables.windows} forecasts of {tables.model}"]
    notes.append(
        f"errors of the newest frames over those: {scales}; the noise is scaled by that"
        if is_alone
        else "the noise is not scaled by a forecast of the newest frames, as that would need other channels"
    )
    if forecast.frames.shape[2] * _pace(tables, forecast) > len(tables.sd):
        notes.append("errors: lead times beyond those of the tables get the errors of their last one")
    result = replace(forecast, notes=(*forecast.notes, *notes))
    if not products:
        return replace(result, frames=ensemble.to_forecast().frames)
    return make_products(result, ensemble, products, _read_calibration(path.parent, tables))


def join_forecasts(forecasts: Sequence[Forecast], products: Sequence[ForecastProduct] = ()) -> Forecast:
    """Make forecasts of the same frames by several predictors the members of one, or products of them.

    Args:
        forecasts: each of one member or more.
        products: maps to make; none for the members themselves.

    Raises:
        InputError: forecasts of other frames, units or lead times.
        UsageError: products that these frames cannot have.
    """
    names = list(dict.fromkeys(forecast.provenance.model.name for forecast in forecasts))
    joined = join_members(forecasts, ModelOrigin(" + ".join(names)))
    notes = dict.fromkeys(note for forecast in forecasts for note in forecast.notes)
    joined = replace(joined, notes=(*notes, f"ensemble: {joined.members} members, of {len(forecasts)} forecasts"))
    return make_products(joined, joined.frames.unbind(2), products) if products else joined


def _pace(tables: ErrorTables, forecast: Forecast) -> float:
    step = forecast.spec.step_minutes
    return 1.0 if step is None or tables.step_minutes is None else step / tables.step_minutes


def _read_calibration(folder: Path, tables: ErrorTables) -> EnsembleCalibration | None:
    """Read the calibration beside error tables, where there is one."""
    path = folder / CALIBRATION
    calibration = EnsembleCalibration.read(path) if path.is_file() else None
    if calibration is not None and calibration.units != tables.units:
        raise InputError(str(path), got=f"a calibration of {calibration.units}", expected=f"one of {tables.units}")
    return calibration
