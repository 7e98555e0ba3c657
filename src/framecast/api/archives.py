"""hindcast and verify: forecasts of an archive, and scores of forecasts that are there, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from framecast.api.keywords import Data, resolve_source
from framecast.api.scoring import name_run, split_options
from framecast.archives import hindcast as hindcasts
from framecast.archives import verify as verification
from framecast.archives.hindcast import Hindcast, HindcastOptions
from framecast.archives.plan import TASK
from framecast.archives.verify import VerifiedForecasts
from framecast.data.durations import in_frames
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models import ModelConfig

MINUTE = 60_000
"""Milliseconds of a minute."""


def hindcast(
    run: str | PathLike[str] | Forecaster,
    archive: Data,
    out: str | PathLike[str],
    *,
    every: str | float | None = None,
    task_size: int = TASK,
    share: tuple[int, int] | None = None,
    dask: str | None = None,
    recheck: bool = False,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
    quiet: bool = False,
    **options: Any,
) -> Hindcast:
    """Forecast an archive into one Zarr store, with its scores by day; called again, it goes on where it was stopped.

    Args:
        run: a run, a model's folder, the name of a trained model or a baseline, or a Forecaster that was loaded from one.
        archive: path of frames with times: a file, a folder, a Zarr store, or its address as s3://bucket/rain.zarr.
        out: the store, NAME.zarr; a new one, or one that the same hindcast began.
        every: forecast once in so long, "30min" or minutes, by the clock; None for every window.
        task_size: forecasts of one task.
        share: (I, N): do each N-th task only, from the I-th on, counted from 1.
        dask: workers of Dask: "local:2", or the address of a scheduler.
        recheck: whether to compare all that was stored before with its digests.
        device: "auto", "cpu", "cuda" or "mps".
        precision: precision of the kernels, as `set_precision` takes it; by default that of the training.
        model: configuration class of a network outside framecast.
        quiet: whether to show no progress.
        options: of the scores, as for `evaluate`, and how the archive is read, as for `open_frames`.

    Returns:
        what was done: `store`, the numbers of tasks `done`, `skipped` and `missing`, and `scores`, None while tasks are
        missing; `scores.to_dataset()`, `scores.verdict`.

    Raises:
        UsageError: options that do not fit, or `out` holds something else.
        InputError: data that cannot be read or do not fit the model, or have no times.
        CheckpointError: no model in the folder, or a damaged one.
        RunInUse: another process makes the same hindcast.

    Example:
        >>> import framecast, numpy as np, xarray
        >>> times = np.datetime64("2024-06-01", "ns") + np.arange(12) * np.timedelta64(5, "m")
        >>> rain = np.random.default_rng(0).random((12, 16, 16), np.float32)
        >>> frames = xarray.DataArray(rain, {"time": times}, ["time", "y", "x"], "rain", {"units": "mm/h"})
        >>> frames.to_netcdf("june.nc")
        >>> made = framecast.hindcast("mean", "june.nc", "june.zarr", context=3, horizon=2, metrics="mse", quiet=True)
        >>> made.done, made.scores.forecasts
        (1, 8)
    """
    evaluation, reading = split_options(options)
    minutes = in_frames(every, 1 / MINUTE, "every") / MINUTE if isinstance(every, str) else every
    chosen = HindcastOptions(minutes, task_size, share, dask, recheck=recheck)
    fields = {**reading, "source": resolve_source(archive)}
    given = (name_run(run), fields, Path(fspath(out)), evaluation, chosen, device, precision, model)
    return hindcasts.hindcast(*given, quiet=quiet)


def verify(
    forecasts: str | PathLike[str] | Sequence[str | PathLike[str]],
    truth: Data,
    *,
    groups: Sequence[str] = (),
    region: str | PathLike[str] | None = None,
    quiet: bool = False,
    **options: Any,
) -> VerifiedForecasts:
    """Score forecasts that anybody made, beside baselines: NetCDF or Zarr by the CF conventions, or of pysteps.

    Args:
        forecasts: path of a file, a store or a folder, or several.
        truth: path of what was observed.
        groups: what else scores are grouped by: "month", "hour", of the reference time.
        region: file of frames of the same size; pixels count where the first one is above 0.
        quiet: whether to show no progress.
        options: `metrics`, `thresholds`, `baselines`, `scales`, `seed`, as for `evaluate`; and how the truth is read, as
            for `open_frames`.

    Returns:
        `scores` of all, `by_group`, as in `by_group["month"]["2024-06"]`, and `notes`; each of the scores has
        `to_dataset()` and `verdict`.

    Raises:
        InputError: forecasts or truth that cannot be read, or do not fit together.
        UsageError: an unknown keyword, group, metric or baseline.

    Example:
        >>> import framecast, numpy as np, xarray
        >>> times = np.datetime64("2024-07-01", "ns") + np.arange(12) * np.timedelta64(5, "m")
        >>> rain = np.random.default_rng(0).random((12, 16, 16), np.float32)
        >>> frames = xarray.DataArray(rain, {"time": times}, ["time", "y", "x"], "rain", {"units": "mm/h"})
        >>> frames.to_netcdf("july.nc")
        >>> made = framecast.hindcast("mean", "july.nc", "july.zarr", context=3, horizon=2, metrics="mse", quiet=True)
        >>> verified = framecast.verify("july.zarr", "july.nc", metrics="mse", baselines=["persistence"], quiet=True)
        >>> verified.scores.to_dataset().forecast.values.tolist()
        ['forecast', 'persistence']
    """
    evaluation, reading = split_options(options)
    known = ("metrics", "thresholds", "baselines", "scales", "seed")
    for name in options:
        if name in evaluation._fields and name not in known:
            raise UsageError("keyword", got=name, expected=f"one of {', '.join(known)}, groups, region")
    paths = [forecasts] if isinstance(forecasts, str | PathLike) else forecasts
    fields = {**reading, "source": resolve_source(truth)}
    place = None if region is None else Path(fspath(region))
    given = ([Path(fspath(path)) for path in paths], fields, evaluation)
    return verification.verify(*given, by=[groups] if isinstance(groups, str) else groups, region=place, quiet=quiet)
