"""Predictors by what a user names: an object, a run, the folder of a model, a trained model or a baseline."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path

from framecast.api.run import Run
from framecast.errors import UsageError
from framecast.forecasting.baselines import BASELINES, Baseline, make_baseline
from framecast.forecasting.context import is_baseline
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load
from framecast.trained import is_trained, list_trained
from framecast.types import FrameSpec

Model = str | PathLike[str] | Forecaster | Baseline


def find_predictor(model: Model, describe: Callable[[str], FrameSpec]) -> Forecaster | Baseline:
    """Find the predictor that a user names.

    Args:
        model: a Forecaster or baseline; a run or a model's folder; the name of a trained model, of one on the hub, as in
            hf://OWNER/NAME, or of a baseline.
        describe: describes the frames for a baseline of a name: their channels, size, units and value range.

    Raises:
        UsageError: no such model, or something else than a model.
        CheckpointError: no model in the folder.
    """
    if isinstance(model, Forecaster | Baseline):
        return model
    if isinstance(model, Run):
        return model.load()
    if not isinstance(model, str | PathLike):
        expected = "a Forecaster, a run, or the name of a model or a baseline"
        raise UsageError("model", got=type(model).__name__, expected=expected)
    name = fspath(model)
    if is_baseline(name):
        return make_baseline(name, describe(name))
    if not (is_trained(name) or name.startswith("hf://") or Path(name).exists()):
        names = [*BASELINES, *(trained.name for trained in list_trained())]
        raise UsageError.unknown("model", name, names, expected="a run, or the name of a trained model or a baseline")
    return load(name)
