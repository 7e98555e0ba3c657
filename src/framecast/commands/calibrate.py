"""Command calibrate: the errors of a model or baseline, and the calibration of the ensemble that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from framecast import files, kernels
from framecast.data import DataSet
from framecast.ensembles.calibrate import USUAL_WINDOWS, fit_error_tables
from framecast.ensembles.calibration.calibration_file import CALIBRATION, EnsembleCalibration
from framecast.ensembles.calibration.fit import Check, check_calibration, fit_calibration
from framecast.ensembles.dressing import DressedPredictor
from framecast.ensembles.error_tables import ERRORS, ErrorTables
from framecast.ensembles.tables_files import find_folder
from framecast.errors import InputError, UsageError
from framecast.evaluation.prepare import EvaluationOptions, open_evaluation_data
from framecast.forecasting.baselines import make_baseline
from framecast.forecasting.context import is_baseline
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load
from framecast.forecasting.predictor import Predictor
from framecast.metrics import USUAL_MEMBERS, USUAL_THRESHOLDS
from framecast.recipe.recipe import Recipe, recipe_of_run
from framecast.trained import find_model, find_name


class Calibrated(NamedTuple):
    """Result of a calibration."""

    errors: ErrorTables
    calibration: EnsembleCalibration
    paths: list[Path]
    """Files that were written."""
    check: Check | None = None
    """How the calibration does on another split, where that was asked for."""


def calibrate_run(
    run: str,
    data: Sequence[dict[str, Any]],
    options: EvaluationOptions,
    out: Path | None = None,
    *,
    check: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Calibrated:
    """Measure the errors of a model or baseline, and fit probabilities and intervals of its ensemble; write both.

    Args:
        run: a run, a model's folder, a trained model or a baseline.
        data: fields of a DataConfig of each data set; none for the run's own.
        options: split (val by default), context, horizon, limit, thresholds, members, seed of the noise.
        out: folder for the files; by default that of the model's weights.
        check: another split, on which the calibration is checked; None for no check.
        progress: called with the number of windows whose errors were measured.

    Raises:
        UsageError: a file that exists already, but for the tables that a run which was killed has left; a baseline
            without `out`, or a check on the split of the fit.
        InputError: data that cannot be read, or without windows.
        CheckpointError: no model in the folder.
    """
    name, run = run, find_model(run)
    single = is_baseline(run)
    if single and out is None:
        raise UsageError("--out", got="nothing", expected="a folder, as a baseline has none", fix="--out errors")
    folder = find_folder(Path(run)) if out is None else out
    paths = [folder / ERRORS, folder / CALIBRATION]
    # tables without a calibration may be those of a run of this command that was killed: they are compared at the end
    for path in paths[1:] if paths[0].is_file() and not paths[1].exists() else paths:
        files.check_new(path)
    forecaster, recipe = (None, Recipe()) if single else (load(run), recipe_of_run(run))
    kernels.set_precision(recipe.train.precision)
    asked = options._replace(split=options.split or "val")
    if check == asked.split:
        raise UsageError("--check", got=f"{check}, which the fit takes", expected="another split")
    opened = [_open(run, forecaster, recipe, fields, asked) for fields in data or [{}]]
    predictor: Predictor = forecaster or make_baseline(run, opened[0][0].spec)
    limit = options.limit or USUAL_WINDOWS
    errors = fit_error_tables(predictor, opened, name=find_name(run) or name, limit=limit, progress=progress)
    ensemble = DressedPredictor(predictor, errors, members=options.members or USUAL_MEMBERS, seed=options.seed)
    calibration, checked = _fit(ensemble, opened, options, limit), None
    if check is not None:
        held_out = [_open(run, forecaster, recipe, fields, options._replace(split=check)) for fields in data or [{}]]
        checked = check_calibration(calibration, ensemble, held_out, limit=limit)
    folder.mkdir(parents=True, exist_ok=True)
    files.remove_abandoned(folder)
    if not (paths[0].is_file() and _is_same(paths[0], errors)):
        errors.write(files.check_new(paths[0]))
    calibration.write(paths[1])
    return Calibrated(errors, calibration, paths, checked)


def _is_same(path: Path, errors: ErrorTables) -> bool:
    """Whether a file holds these tables."""
    try:
        return ErrorTables.read(path) == errors
    except InputError:
        return False


def _open(
    run: str, forecaster: Forecaster | None, recipe: Recipe, fields: dict[str, Any], options: EvaluationOptions
) -> tuple[DataSet, str]:
    return open_evaluation_data(run, forecaster, recipe, fields, options)[:2]


def _fit(
    ensemble: DressedPredictor, opened: Sequence[tuple[DataSet, str]], options: EvaluationOptions, limit: int
) -> EnsembleCalibration:
    """Fit the calibration; of channels of several units without probabilities, which have no common threshold."""
    spec = opened[0][0].spec
    usual = USUAL_THRESHOLDS.get(spec.units, ()) if options.thresholds is None else options.thresholds
    thresholds = [] if spec.ranges else [value for value in usual if spec.low < value <= spec.high]
    return fit_calibration(ensemble, opened, thresholds, limit=limit)
