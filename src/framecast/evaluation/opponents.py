"""Ensembles of an evaluation: the model dressed with its errors, and what stands beside it."""

from __future__ import annotations

from pathlib import Path

from framecast.data import DataSet
from framecast.ensembles.calibrate import fit_error_tables
from framecast.ensembles.dressing import DressedPredictor
from framecast.ensembles.error_tables import ErrorTables
from framecast.ensembles.lagged import LaggedExtrapolation
from framecast.ensembles.steps import Steps
from framecast.ensembles.tables_files import find_file
from framecast.errors import InputError
from framecast.forecasting.baselines import is_baseline_name, make_baseline
from framecast.forecasting.predictor import Predictor

DRESSED = "dressed:"
"""Prefix of a baseline with the errors that it has in the training split."""
OPPONENTS = ("steps", "lagged", f"{DRESSED}extrapolation", f"{DRESSED}persistence")
"""Ensembles by name; any baseline can be dressed."""


def is_opponent_name(name: str) -> bool:
    """Whether a text names an ensemble, as in steps, lagged, dressed:persistence."""
    return name in ("steps", "lagged") or (name.startswith(DRESSED) and is_baseline_name(name.removeprefix(DRESSED)))


def make_opponent(name: str, dataset: DataSet, fitted_on: DataSet | None, members: int, seed: int) -> Predictor:
    """Make an ensemble by name.

    Args:
        name: as in `OPPONENTS`.
        dataset: windows to forecast.
        fitted_on: data with a training split for what is dressed, or None.
        members: M.
        seed: of the noise.

    Raises:
        UsageError: frames that it cannot forecast, or pysteps is not installed.
        InputError: no training split for a baseline that is dressed.
    """
    if name == "steps":
        return Steps(dataset.spec, members, seed)
    if name == "lagged":
        return LaggedExtrapolation(dataset.spec, members, seed)
    data = fitted_on or dataset
    if not data.count("train"):
        fix = "leave it out, or give data with a training split"
        raise InputError(f"baseline {name}", got="no training split to measure its errors on", fix=fix)
    single = make_baseline(name.removeprefix(DRESSED), dataset.spec)
    tables = fit_error_tables(single, [(data, "train")], name=single.origin.name)
    return DressedPredictor(single, tables, members=members, seed=seed)


def read_error_tables(path: Path) -> ErrorTables:
    """Read the error tables of a model.

    Args:
        path: their file, or the folder of a run or a model.

    Raises:
        InputError: there are none.
    """
    return ErrorTables.read(find_file(path))


def dress_first(
    predictors: dict[str, Predictor], tables: ErrorTables, members: int, seed: int, *, moving: bool
) -> dict[str, Predictor]:
    """Put the ensemble of the raw model before single forecasts.

    Args:
        predictors: forecasts of the model by name, raw and perhaps matched.
        tables: errors of the raw one.
        members: M.
        seed: of the noise.
        moving: whether the model moves frames.
    """
    name = next(name for name in predictors if not name.endswith(" matched"))
    dressed = DressedPredictor(predictors[name], tables, members=members, seed=seed, moving=moving)
    return {f"{name} ensemble": dressed, **predictors}
