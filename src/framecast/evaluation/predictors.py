"""Predictors of an evaluation: the model, raw and matched, and the baselines beside it, copied and fitted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from framecast.bases import NoBase, name_base
from framecast.data import DataSet
from framecast.data.durations import count_period, usual_period
from framecast.data.units import DBZ_UNITS, PICTURE_UNITS, RATE_UNITS, has_mixed_units
from framecast.devices import move_module
from framecast.ensembles.dressing import DressedPredictor
from framecast.errors import UsageError
from framecast.evaluation.opponents import OPPONENTS, is_opponent_name, make_opponent
from framecast.evaluation.reflectivity import DBZPredictor
from framecast.forecasting.base_fit import FITTED_KINDS, add_motion, is_fitted_name, make_base_alone
from framecast.forecasting.baselines import BASELINES, USUAL, is_baseline_name, make_baseline
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predictor import Predictor
from framecast.metrics import USUAL_MEMBERS, USUAL_THRESHOLDS
from framecast.models import BaseAlone

Calibration = Literal["raw", "matched"]
"""Whether a forecast is given as the network makes it, or with the values of its base, by rank."""


def choose_baselines(
    requested: Sequence[str] | None, dataset: DataSet, fitted_on: DataSet | None, own: str | None = None
) -> list[str]:
    """Choose the baselines to score beside a model, each once: by default all that a user might take instead.

    Args:
        requested: names; None for the default.
        dataset: windows to forecast.
        fitted_on: data with a training split; None where there are none, and no baseline can be fitted.
        own: name of the base that the model stands on, see `find_own`.

    Raises:
        UsageError: an unknown name.
    """
    if requested is not None:
        for name in requested:
            if not (is_baseline_name(name) or is_fitted_name(name) or is_opponent_name(name)):
                raise UsageError.unknown("baseline", name, [*BASELINES, *FITTED_KINDS, *OPPONENTS])
        return list(dict.fromkeys(requested))
    # the coldest day on record is no empty picture
    names = [name for name in USUAL if name != "blank" or _has_empty_frames(dataset)]
    # a single frame shows no motion
    moves = _is_rain(dataset) and dataset.context > 1
    season = None if _is_rain(dataset) else _find_season(dataset)
    copied = [*(["extrapolation"] if moves else []), *(["seasonal"] if season else [])]
    fitted = ["calibrated" if moves else "linear", *([f"linear:{season}"] if season else [])]
    names += [*copied, *(fitted if fitted_on else [])]
    is_possible = own is not None and (fitted_on is not None or not is_fitted_name(own))
    return list(dict.fromkeys([*names, *([own] if own and is_possible else [])]))


def find_own(forecaster: Forecaster) -> str | None:
    """Find the baseline that is the base of a network; None without one, or where the base is all that there is."""
    base = forecaster.base_config
    if isinstance(base, NoBase) or isinstance(forecaster.config, BaseAlone):
        return None
    return name_base(base)


def _find_season(dataset: DataSet) -> str | None:
    """Find the period after which values usually come again; None where the context does not reach back so far."""
    period = usual_period(dataset.spec)
    try:
        frames = count_period(period, dataset.spec, "period")
    except UsageError:  # an unknown step, or one that does not divide it
        return None
    return period if 1 < frames <= dataset.context else None


def _has_empty_frames(dataset: DataSet) -> bool:
    """Whether a frame at the low end of the value range is an empty picture, or no rain."""
    spec = dataset.spec
    return spec.units in (*PICTURE_UNITS, *USUAL_THRESHOLDS) and not has_mixed_units(spec, dataset.grid)


def _is_rain(dataset: DataSet) -> bool:
    return dataset.spec.units in (DBZ_UNITS, RATE_UNITS) and not has_mixed_units(dataset.spec, dataset.grid)


def make_baselines(
    names: Sequence[str], dataset: DataSet, fitted_on: DataSet | None, members: int = USUAL_MEMBERS, seed: int = 0
) -> dict[str, Predictor]:
    """Make baselines by name; those with numbers of their own are fitted.

    Args:
        names: as `choose_baselines` gives them.
        dataset: windows to forecast.
        fitted_on: data with a training split, or None.
        members: M, of ensembles.
        seed: of their noise.

    Raises:
        UsageError: a baseline that cannot be used with the step.
        InputError: no training split for a baseline that is fitted.
    """
    made: dict[str, Predictor] = {}
    for name in names:
        if is_opponent_name(name):
            made[name] = make_opponent(name, dataset, fitted_on, members, seed)
        elif is_fitted_name(name):
            made[name] = make_base_alone(name, fitted_on or dataset)
        else:
            made[name] = make_baseline(name, dataset.spec)
    return made


def make_model(
    forecaster: Forecaster, name: str, calibrate: Calibration | None, device: str, *, to_dbz: bool
) -> dict[str, Predictor]:
    """Make the evaluated model, by name: against a base that moves rain raw and matched, the requested one first.

    Args:
        forecaster: the model.
        name: of the model, for tables.
        calibrate: which is first; None for what the forecaster itself gives.
        device: where to compute.
        to_dbz: whether a network of rain rates is scored in dBZ.

    Raises:
        UsageError: matching without a base.
    """
    if calibrate == "matched" and forecaster.base is None:
        fix = "leave --calibrate out"
        raise UsageError("--calibrate", got="matched", expected="raw: this model has no base to match", fix=fix)
    model = move_module(forecaster, device)
    kinds = [calibrate or ("matched" if forecaster.matched else "raw")]
    if is_moving(forecaster):
        kinds += [kind for kind in ("raw", "matched") if kind not in kinds]
    predictors: dict[str, Predictor] = {}
    for kind in kinds:
        matched = model.with_matching(kind == "matched")
        # a network was trained on rain rates and converts; baselines forecast the reflectivity itself
        predictors[name if kind == "raw" else f"{name} matched"] = DBZPredictor(matched) if to_dbz else matched
    return predictors


def give_motion(dataset: DataSet, predictors: Sequence[Predictor]) -> DataSet:
    """Let crops bring the motion of the whole frames that they were cut from, for all predictors the same."""
    if "crop" not in dataset.record:
        return dataset
    moving = [one for one in map(_unwrap, predictors) if isinstance(one, Forecaster) and is_moving(one)]
    # those that feed back need it at all frames of the context
    moving.sort(key=lambda forecaster: not forecaster.network.feeds_back)
    return add_motion(dataset, moving[0]) if moving else dataset


def is_moving(predictor: Predictor) -> bool:
    """Whether a predictor is a model whose base moves frames."""
    inner = _unwrap(predictor)
    return isinstance(inner, Forecaster) and inner.base is not None and inner.base.base.tracks


def _unwrap(predictor: Predictor) -> Predictor:
    while isinstance(predictor, DBZPredictor | DressedPredictor):
        predictor = predictor.predictor
    return predictor


def note_missing_fit(dataset: DataSet) -> DataSet:
    """Note that no baseline could be fitted."""
    note = "baselines: none is fitted, as there is no training split; --data of the training, or a run, has one"
    return replace(dataset, notes=(*dataset.notes, note))
