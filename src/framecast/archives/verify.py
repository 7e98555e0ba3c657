"""VerifiedForecasts of forecasts that were made before, by whatever: scores against truth beside baselines, by groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.archives.day_scores import DayScores
from framecast.archives.given_forecasts import ForecastFile, GivenForecast, list_files
from framecast.archives.totals import Totals, add_rows, make_scores
from framecast.archives.truth import Truth
from framecast.data import DataConfig
from framecast.data.sources.multi_file_source import open_source
from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.errors import InputError, UsageError
from framecast.evaluation.evaluate import to_unit_range
from framecast.evaluation.prepare import select_metrics_of
from framecast.evaluation.suite import EvaluationOptions
from framecast.forecasting.baselines import BASELINES, make_baseline
from framecast.forecasting.context import UNIT
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.metrics import Metric, Scores
from framecast.progress import show_progress
from framecast.recipe.parsing import parse_config

CONTEXT = 4
"""Frames before each reference time that baselines see."""
GROUPS: dict[str, Callable[[np.datetime64], str]] = {
    "month": lambda moment: str(np.datetime_as_string(moment, unit="M")),
    "hour": lambda moment: f"{np.datetime_as_string(moment, unit='h')[-2:]} UTC",
}
"""What forecasts are grouped by, of their reference times."""


class VerifiedForecasts(NamedTuple):
    """Scores of forecasts."""

    scores: DayScores
    """Scores of all of them together."""
    by_group: dict[str, dict[str, DayScores]]
    """{month or hour: {group: scores}}."""
    notes: tuple[str, ...]
    """What was left out, or assumed; one line each."""


def verify(
    forecasts: Sequence[Path],
    truth: dict[str, Any],
    scored: EvaluationOptions,
    *,
    by: Sequence[str] = (),
    region: Path | None = None,
    quiet: bool = False,
) -> VerifiedForecasts:
    """Score forecasts.

    Args:
        forecasts: files, stores and folders; of all together each reference time once.
        truth: fields of a DataConfig, its source among them; `variable` names that of the forecasts, too, where they
            have it.
        scored: metrics, thresholds, scales and baselines; by default persistence, and extrapolation of rain.
        by: what else the scores are grouped by: month, hour.
        region: a file of frames of the same size, whose first says where pixels count: where it is above 0.
        quiet: whether to show no progress.

    Raises:
        InputError: forecasts or truth that cannot be read, or do not fit together.
        UsageError: an unknown group, metric or baseline.
    """
    for group in by:
        if group not in GROUPS:
            raise UsageError.unknown("--groups", group, GROUPS)
    observed = Truth(open_source(parse_config(DataConfig, truth, "truth"), None, UNIT))
    files = [_open_forecasts(path, truth.get("variable")) for path in list_files(forecasts)]
    spec = observed.spec
    inside = None if region is None else _read_region(region, (spec.height, spec.width))
    totals: Totals = {}
    grouped: dict[str, dict[str, Totals]] = {group: {} for group in by}
    left_out, horizon, metrics, beside = 0, 0, list[Metric](), dict[str, Predictor]()
    seen: set[np.datetime64] = set()
    with show_progress("verifying", len(files), quiet=quiet) as show:
        for done, file in enumerate(files, 1):
            turn = observed.find_turn(file)
            for forecast in file:
                if not metrics:
                    horizon, members = len(forecast.valid_times), len(forecast.values)
                    choice = scored._replace(members=members if members > 1 else None)
                    metrics, beside = select_metrics_of(choice, spec), _make_beside(scored.baselines, observed)
                _check_alike(file, forecast, horizon, seen)
                pair = _Pair(forecast, observed, turn, inside)
                rows = pair.score(metrics, beside)
                left_out += rows is None
                if rows is not None:
                    _add(totals, grouped, forecast.reference_time, rows)
            show.update(done)
    if not totals:
        raise InputError("forecasts", got="none whose truth is there", expected="frames at their valid times")
    notes = (f"{left_out} forecasts have no truth, or none before them for the baselines",) if left_out else ()

    def make(part: Totals) -> DayScores:
        return DayScores(make_scores(part, metrics, horizon), spec, tuple(beside), scored.seed)

    groups = {kind: {name: make(parts[name]) for name in sorted(parts)} for kind, parts in grouped.items()}
    return VerifiedForecasts(make(totals), groups, notes)


def _open_forecasts(path: Path, variable: str | None) -> ForecastFile:
    try:
        return ForecastFile(path, variable)
    except InputError:
        if variable is None:
            raise
        return ForecastFile(path, None)  # the name may be that of the truth alone


def _read_region(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    source = open_source(DataConfig(source=str(path)), None, UNIT)
    frame = source.read(0, 0, 1).frames[0, 0]
    if frame.shape != size:
        raise InputError(str(path), got=f"{frame.shape[0]} x {frame.shape[1]}", expected=f"{size[0]} x {size[1]}")
    return np.nan_to_num(frame) > 0


def _make_beside(names: Sequence[str] | None, truth: Truth) -> dict[str, Predictor]:
    """Make the baselines beside the forecasts."""
    is_rain = truth.spec.units in (DBZ_UNITS, RATE_UNITS)
    chosen = ["persistence", *(["extrapolation"] if is_rain else [])] if names is None else names
    for name in chosen:
        if name not in BASELINES:
            raise UsageError.unknown("baseline", name, BASELINES)
    return {name: make_baseline(name, truth.spec) for name in chosen}


def _check_alike(file: ForecastFile, forecast: GivenForecast, horizon: int, seen: set[np.datetime64]) -> None:
    """Check that a forecast is as long as the others, and of a time of its own."""
    if len(forecast.valid_times) != horizon:
        got = f"{len(forecast.valid_times)} lead times"
        raise InputError(str(file.path), got=got, expected=f"{horizon}, as the forecasts before")
    if forecast.reference_time in seen:
        got = f"a second forecast of {forecast.reference_time}"
        raise InputError(str(file.path), got=got, expected="each reference time once")
    seen.add(forecast.reference_time)


class _Pair(NamedTuple):
    """A forecast and the truth."""

    forecast: GivenForecast
    truth: Truth
    turn: tuple[slice, slice]
    inside: NDArray[np.bool_] | None

    def score(self, metrics: Sequence[Metric], beside: dict[str, Predictor]) -> dict[str, Tensor] | None:
        """Score the forecast and the baselines on the pixels that all of them know; None without truth."""
        valid, step = self.forecast.valid_times, self.truth.step
        past = self.forecast.reference_time - np.arange(CONTEXT)[::-1] * step
        frames = self.truth.read(valid)
        if not np.isfinite(frames).any() or (beside and not self.truth.has(past)):
            return None
        values = self.forecast.values[..., self.turn[0], self.turn[1]][None, :, :, None]
        predictions = {"forecast": torch.from_numpy(np.ascontiguousarray(values))}
        predictions |= {name: self._forecast(predictor, past) for name, predictor in beside.items()}
        mask = torch.from_numpy(np.isfinite(frames))[None]
        for prediction in predictions.values():
            mask = mask & prediction.isfinite().all(1)
        if self.inside is not None:
            mask = mask & torch.from_numpy(self.inside)
        truth = torch.where(mask, torch.from_numpy(frames)[None], self.truth.spec.low)
        rows: dict[str, Tensor] = {}
        for name, prediction in predictions.items():
            scores = Scores(metrics, len(valid), keep=1)
            known = torch.where(mask[:, None], prediction, self.truth.spec.low)
            scores.update(to_unit_range(known, self.truth.spec), to_unit_range(truth, self.truth.spec), mask)
            assert scores.rows is not None
            rows[name] = scores.rows
        return rows

    def _forecast(self, predictor: Predictor, past: NDArray[Any]) -> Tensor:
        """Forecast the valid times by a baseline, (1, 1, K, 1, H, W)."""
        known = self.truth.read(past)
        leads = np.rint((self.forecast.valid_times - self.forecast.reference_time) / self.truth.step).astype(int)
        given = np.nan_to_num(known, nan=self.truth.spec.low)[None]
        frames = PastFrames.from_arrays(given, self.truth.spec, valid=np.isfinite(known)[None], times=past[None])
        return predictor.forecast(frames, int(leads.max())).frames[:, :, leads - 1].float().cpu()


def _add(totals: Totals, grouped: dict[str, dict[str, Totals]], moment: np.datetime64, rows: dict[str, Tensor]) -> None:
    """Add the statistics of a forecast to the totals of all and of its groups."""
    day = str(np.datetime_as_string(moment, unit="D"))
    for name, row in rows.items():
        add_rows(totals, name, [day], row)
        for kind, parts in grouped.items():
            add_rows(parts.setdefault(GROUPS[kind](moment), {}), name, [day], row)
