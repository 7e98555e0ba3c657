"""Evaluation suite: predictors on the windows of one data set, their scores, and pictures of single forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from framecast.data import DataSet
from framecast.evaluation.evaluate import evaluate
from framecast.evaluation.predictors import Calibration
from framecast.evaluation.scoreboard import AUTO, Scoreboard
from framecast.forecast import Forecast
from framecast.forecasting.memory_plan import NO_LIMITS, MemoryLimits
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.metrics import SCALES, Metric
from framecast.plotting import animation
from framecast.plotting.frames import draw_strip
from framecast.progress import show_progress
from framecast.types import Window


class EvaluationOptions(NamedTuple):
    """Options of an evaluation; None stands for the default of the run's recipe, else of the data."""

    split: str | None = None
    """train, val, test, or all windows; by default all of a file that the training never saw, else test, or val."""
    metrics: Sequence[str] | None = None
    """Names of metrics or of protocols; the default depends on the units."""
    thresholds: Sequence[float] | None = None
    """Thresholds of events, raw units; the default depends on the units."""
    context: int | str | None = None
    """J, frames of input, or a time as in 50min."""
    horizon: int | str | None = None
    """K, lead times, or a time as in 90min."""
    limit: int | None = None
    """Number of windows, at most; None for all."""
    batch_size: int = 8
    """Sequences at a time."""
    baselines: Sequence[str] | None = None
    """Baselines to score with the model; by default the usual ones, and none where a baseline itself is evaluated."""
    scales: Sequence[int] = SCALES
    """Neighbourhoods of the fractions skill score, pixels."""
    in_dbz: bool = False
    """Whether rain rates are converted to reflectivity before they are scored."""
    block: int | str = AUTO
    """Windows that the bootstrap draws together, see `Scoreboard`."""
    seed: int = 0
    """Seed of the bootstrap."""
    calibrate: Calibration | None = None
    """Which comes first of a model against a base that moves rain: its raw forecast, or the one matched to the base."""
    by_channel: bool = False
    """Whether each target is scored alone; targets of different units always are."""
    whole: bool = False
    """Whether whole frames are scored, also where training cut crops."""
    room: MemoryLimits = NO_LIMITS
    """Tiles, for frames larger than those of the training."""


DEFAULT_OPTIONS = EvaluationOptions()


class EvaluationSuite(NamedTuple):
    """Predictors, the windows that they forecast, and the metrics that score them."""

    forecasts: dict[str, Predictor]
    """Predictors by name; the evaluated model first, then baselines."""
    dataset: DataSet
    split: str
    """Split of the data set that holds the windows."""
    split_name: str
    """Name of the split for the user: `split`, or all."""
    metrics: list[Metric]
    options: EvaluationOptions
    device: str
    """Device of the metrics."""
    baselines: tuple[str, ...] = ()
    """Names of the forecasts that are baselines."""

    def score(self, *, quiet: bool = False) -> Scoreboard:
        """Score all predictors; show progress unless quiet."""
        options, available = self.options, self.dataset.count(self.split)
        total = min(available, options.limit or available)
        scores = {}
        with show_progress("scoring", total * len(self.forecasts), quiet=quiet) as show:
            for number, (name, predictor) in enumerate(self.forecasts.items()):
                scores[name] = evaluate(
                    predictor,
                    self.dataset,
                    self.split,
                    self.metrics,
                    context=self.dataset.context,
                    horizon=self.dataset.horizon,
                    batch_size=options.batch_size,
                    limit=options.limit,
                    device=self.device,
                    progress=lambda done, before=number * total: show.update(before + done),  # type: ignore[misc]
                    keep=True,
                )
        context, horizon = self.dataset.context, self.dataset.horizon
        return Scoreboard(
            scores, self.dataset, self.split_name, context, horizon, options.block, options.seed, self.baselines
        )

    def window(self, name: str, index: int) -> tuple[Window, Forecast]:
        """Read a window and forecast it.

        Args:
            name: name of the predictor.
            index: index of the window in the split.

        Returns:
            the window, targets only, raw units, without its mask; and the forecast.
        """
        spec, context = self.dataset.spec, self.dataset.context
        window = self.dataset.window(self.split, 0, index)
        times, valid = window.times, window.valid
        past = PastFrames.from_windows(
            torch.from_numpy(window.frames[None]),
            None if valid is None else torch.from_numpy(valid[None]),
            context,
            spec,
            None if times is None else times[None],
            self.dataset.grid,
            None if window.motion is None else torch.from_numpy(window.motion[None]),
        )
        forecast = self.forecasts[name].forecast(past, self.dataset.horizon)
        return window._replace(frames=window.frames[:, : spec.targets], valid=None), forecast

    def write(self, board: Scoreboard, folder: Path) -> None:
        """Write scores.json and scores.png, and a strip and a film of the first predictor's forecast of window 0."""
        board.write(folder / "scores.json")
        board.draw(folder / "scores.png")
        window, forecast = self.window(next(iter(self.forecasts)), 0)
        truth = window.frames[self.dataset.context :]
        draw_strip(folder / "strip.png", forecast, truth)
        animation.save_gif(folder / "forecast.gif", animation.draw_pictures(forecast, truth))
