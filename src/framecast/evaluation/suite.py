"""Forecasts of the same windows: scored, drawn, shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from framecast.data import DataSet
from framecast.evaluation.evaluate import evaluate
from framecast.evaluation.scoreboard import AUTO, Scoreboard
from framecast.forecast import Forecast
from framecast.forecasting.memory_plan import ANY, MemoryLimits
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.metrics import SCALES, Metric
from framecast.plotting import animation
from framecast.plotting.frames import draw_strip
from framecast.progress import show_progress
from framecast.types import Window


class EvaluationOptions(NamedTuple):
    """What is to be scored; None means as the run, or the data, have it."""

    split: str | None = None
    metrics: Sequence[str] | None = None
    thresholds: Sequence[float] | None = None
    context: int | str | None = None
    horizon: int | str | None = None
    limit: int | None = None
    batch_size: int = 8
    baselines: Sequence[str] | None = None
    """What stands beside; none beside a baseline, unless said."""
    scales: Sequence[int] = SCALES
    """Of fss, pixels."""
    in_dbz: bool = False
    """Whether rain rates are turned into reflectivity before anything is scored."""
    block: int | str = AUTO
    """Windows that are drawn together for intervals, see `Scoreboard`."""
    seed: int = 0
    """Of the intervals."""
    by_channel: bool = False
    """Whether each target is scored alone; targets of different units always are."""
    whole: bool = False
    """Whether whole frames are scored, also where training cut crops."""
    room: MemoryLimits = ANY
    """Tiles, where frames are larger than the network was trained on."""


DEFAULT_OPTIONS = EvaluationOptions()


class EvaluationSuite(NamedTuple):
    """Forecasts of the same windows, before they are scored."""

    forecasts: dict[str, Predictor]
    """The first is the one in question."""
    dataset: DataSet
    split: str
    """Where the windows are in the data set."""
    asked: str
    """What the split is called: its name, or all."""
    metrics: list[Metric]
    question: EvaluationOptions
    device: str

    def score(self, *, quiet: bool = False) -> Scoreboard:
        """Score all forecasts."""
        total = min(self.dataset.count(self.split), self.question.limit or self.dataset.count(self.split))
        scores = {}
        with show_progress("scoring", total * len(self.forecasts), quiet=quiet) as show:
            for number, (name, forecast) in enumerate(self.forecasts.items()):
                scores[name] = evaluate(
                    forecast,
                    self.dataset,
                    self.split,
                    self.metrics,
                    context=self.dataset.context,
                    horizon=self.dataset.horizon,
                    batch_size=self.question.batch_size,
                    limit=self.question.limit,
                    device=self.device,
                    progress=lambda done, before=number * total: show.update(before + done),  # type: ignore[misc]
                    keep=True,
                )
        question = self.question
        return Scoreboard(
            scores, self.dataset, self.asked, self.dataset.context, self.dataset.horizon, question.block, question.seed
        )

    def window(self, name: str, index: int) -> tuple[Window, Forecast]:
        """One window, its targets in raw units, and a forecast of it."""
        spec, context = self.dataset.spec, self.dataset.context
        window = self.dataset.window(self.split, 0, index)
        times, valid = window.times(spec.step_minutes), window.valid
        past = PastFrames.from_windows(
            torch.from_numpy(window.frames[None]),
            None if valid is None else torch.from_numpy(valid[None]),
            context,
            spec,
            None if times is None else times[None],
            self.dataset.grid,
        )
        forecast = self.forecasts[name].forecast(past, self.dataset.horizon)
        return window._replace(frames=window.frames[:, : spec.targets], valid=None), forecast

    def write(self, board: Scoreboard, folder: Path) -> None:
        """Write scores.json and pictures; the first window of the first forecast is drawn."""
        board.write(folder / "scores.json")
        board.draw(folder / "scores.png")
        window, forecast = self.window(next(iter(self.forecasts)), 0)
        truth = window.frames[self.dataset.context :]
        draw_strip(folder / "strip.png", forecast, truth)
        animation.save_gif(folder / "forecast.gif", animation.draw_pictures(forecast, truth))
