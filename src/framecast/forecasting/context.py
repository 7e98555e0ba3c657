"""Opening of a forecast's input: the last frames of each sequence, without a scan of the whole file."""

from __future__ import annotations

from pathlib import Path

from framecast.data import DataConfig, FileSource
from framecast.data.durations import in_frames
from framecast.data.formats.base import StoredArray
from framecast.data.sources.open import open_stored
from framecast.data.units import DBZ_UNITS, canonical_units
from framecast.errors import InputError, UsageError, find_nearest
from framecast.forecasting.baselines import BASELINES, is_baseline_name, make_baseline
from framecast.forecasting.data_checks import check_values
from framecast.forecasting.forecaster import Forecaster
from framecast.recipe.recipe_content import FITTED_BASES
from framecast.trained import list_trained
from framecast.types import FrameSpec

UNIT = (0.0, 1.0)
"""Value range of constant data for a baseline, which needs none."""
MARKS = ("recipe.yaml", "model.json")
"""Files of which a run's or a model's folder has one."""


def is_baseline(run: str) -> bool:
    """Whether what a command is given names a baseline, not a folder.

    Raises:
        UsageError: it names both a baseline and the folder of a run or a model.
    """
    if not is_baseline_name(run):
        return False
    if any((Path(run) / name).exists() for name in MARKS):
        fix = f"say ./{run} for the run, or call the baseline from another directory"
        raise UsageError("run", got=f"{run}, a baseline and a folder", expected="one of them", fix=fix)
    return True


def explain_missing(name: str) -> str | None:
    """Explain how to get a forecast by a name at which there is no folder; None where it is like no name.

    Args:
        name: name of a baseline that has to be fitted first, of one that has no folder, or a misspelt one.
    """
    kind, colon, period = name.partition(":")
    if kind in FITTED_BASES:
        return f"fit it first: framecast train {name} --data DATA --out runs/{kind}, then give runs/{kind}"
    if is_baseline_name(name):
        return "a baseline is in no folder: evaluate, and predict of the command line, take its name"
    near = find_nearest(kind, [*BASELINES, *FITTED_BASES, *(model.name for model in list_trained())])
    return None if near is None else f"did you mean {near}{colon}{period}?"


def open_context(
    forecaster: Forecaster, config: DataConfig, stored: StoredArray | None = None, *, context: int | str | None = None
) -> FileSource:
    """Open data for a forecast, and scan only the last frames of each sequence for their value range.

    Args:
        forecaster: the model.
        config: file and reading options.
        stored: array of the file, where it has been opened already.
        context: J, number of the last frames to use, or their time as in 50min; by default that of the training, or all.

    Raises:
        InputError: a file that cannot be read, or frames that do not fit the options.
        UsageError: a time that is no whole number of steps.
    """
    stored = stored or open_stored(config)
    step = _find_step(config, stored, forecaster.spec)
    last = forecaster.context if context is None else in_frames(context, step.step_minutes, "context", step.step_months)
    usual = forecaster.spec.low, forecaster.spec.high
    if last is not None:
        try:
            source = FileSource(config, stored, last=last, constant=usual)
            check_values(forecaster.spec, source.spec)
            return source
        except InputError:
            # a calm hour can look like data of another scale: the values of all frames decide
            pass
    return FileSource(config, stored, constant=usual)


def open_baseline_context(
    baseline: str, config: DataConfig, stored: StoredArray | None = None, *, context: int | str | None = None
) -> FileSource:
    """Open data for the forecast of a baseline; scan only the last frames where the value range is known without them.

    Args:
        baseline: name of the baseline.
        config: file and reading options.
        stored: array of the file, where it has been opened already.
        context: J, number of the last frames to use, or their time as in 50min; by default that of the baseline.

    Raises:
        InputError: a file that cannot be read.
        UsageError: a time that is no whole number of steps, or a baseline that cannot be used with the step.
    """
    stored = stored or open_stored(config)
    if not _is_range_known(config, stored):
        return FileSource(config, stored, constant=UNIT)
    step = _find_step(config, stored)
    usual = make_baseline(baseline, step).context
    return FileSource(
        config,
        stored,
        last=usual if context is None else in_frames(context, step.step_minutes, "context", step.step_months),
    )


def _find_step(config: DataConfig, stored: StoredArray, trained: FrameSpec | None = None) -> FrameSpec:
    """Find the time between frames: by the user's word, else the file's, else the training's; in a spec of one pixel."""
    known = FrameSpec(channels=1, height=1, width=1, step_minutes=config.step_minutes)
    for step in (stored.attributes, trained):
        if known.step_minutes is None and step is not None:
            known = known.model_copy(update={"step_minutes": step.step_minutes, "step_months": step.step_months})
    return known


def _is_range_known(config: DataConfig, stored: StoredArray) -> bool:
    """Whether one value range, the user's or that of dBZ, serves all channels, whatever their values are."""
    stated = stored.attributes.units
    in_file = [*stored.grid.units, *([stated] if stated else [])] or [""]
    names = {canonical_units(unit)[0] for unit in (in_file if config.units is None else [config.units])}
    return len(names) == 1 and (config.range is not None or config.scale is not None or names == {DBZ_UNITS})
