"""Rain in the units of other programs and of models, rates or reflectivity, and the models that forecast it."""

from __future__ import annotations

import torch
from torch import Tensor

from framecast.api.predictors import Model, find_predictor
from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.ensembles.dressing import DressedPredictor
from framecast.ensembles.error_tables import ErrorTables
from framecast.ensembles.tables_files import find_file
from framecast.errors import UsageError
from framecast.forecasting.baselines import Baseline
from framecast.forecasting.forecaster import Forecaster
from framecast.transforms.normalize import DBZ, ZR
from framecast.types import FrameSpec

HIGHEST = 100.0
"""Reflectivity to which rain rates are cut, dBZ; no radar measures more."""


def convert_rain(values: Tensor, source: str, target: str, z_r: ZR = "marshall-palmer") -> Tensor:
    """Convert between rain rates and reflectivity; NaN stays.

    Args:
        values: of any shape.
        source: their units, mm/h or dBZ.
        target: units of the result, mm/h or dBZ; no rain is 0 in both.
        z_r: coefficients (a, b) of Z = a R^b, or their name.

    Raises:
        UsageError: other units.

    Example:
        >>> import torch
        >>> from framecast.adapters.rain import convert_rain
        >>> convert_rain(torch.tensor([0.0, 1.0, 10.0]), "mm/h", "dBZ").round(decimals=1)
        tensor([ 0.0000, 23.0000, 39.0000])
    """
    for units in (source, target):
        if units not in (RATE_UNITS, DBZ_UNITS):
            raise UsageError("units", got=units, expected=f"{RATE_UNITS} or {DBZ_UNITS}: values of rain")
    if source == target:
        return values
    relation = DBZ(high=HIGHEST, rain_rate=True, z_r=z_r)
    if target == DBZ_UNITS:
        return relation.normalize(values) * HIGHEST
    return torch.where(values.isnan(), values, relation.denormalize(values / HIGHEST))


def find_rain_model(model: Model, units: str, high: float) -> Forecaster | Baseline:
    """Find a model that takes and gives frames of rain, of one channel and any size.

    Args:
        model: a Forecaster, a run, or the name of a model or of a baseline.
        units: units in which a baseline forecasts.
        high: largest value that a baseline gives, in these units.

    Raises:
        UsageError: no such model, or one of other frames.
    """
    rain = FrameSpec(channels=1, height=1, width=1, units=units, high=high)
    predictor = find_predictor(model, lambda _: rain)
    spec = predictor.spec
    if spec.channels != 1 or spec.covariates or spec.units not in (RATE_UNITS, DBZ_UNITS):
        got = f"{spec.channels} channels in {spec.units}, {len(spec.covariates)} covariates"
        raise UsageError("model", got=got, expected=f"one channel of rain, {RATE_UNITS} or {DBZ_UNITS}")
    return predictor


def dress_model(predictor: Forecaster | Baseline, members: int, seed: int) -> DressedPredictor:
    """Make an ensemble of a model from the error tables beside its weights.

    Raises:
        UsageError: a model that lies in no folder.
        InputError: no error tables in its folder.
    """
    folder = getattr(predictor, "folder", None)
    if folder is None:
        fix = "name a run or a model's folder in which framecast calibrate has written error tables"
        raise UsageError("members", got=members, expected="1, for a model that lies in no folder", fix=fix)
    return DressedPredictor(predictor, ErrorTables.read(find_file(folder)), members=members, seed=seed)
