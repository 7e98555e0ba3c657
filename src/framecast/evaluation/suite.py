"""Forecasts of the same windows: scored, drawn, shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from framecast.calendars import caption, to_calendar
from framecast.data import DataSet
from framecast.evaluation.evaluate import Predictor, evaluate
from framecast.evaluation.scoreboard import AUTO, Scoreboard
from framecast.forecasting.memory_plan import ANY, MemoryLimits
from framecast.metrics import SCALES, Metric
from framecast.plotting import animation
from framecast.plotting.frames import draw_strip
from framecast.plotting.view import choose_view
from framecast.progress import show_progress
from framecast.transforms.channels import divide_channels
from framecast.transforms.missing import observed_in_context
from framecast.types import Window

Array = NDArray[np.float32]


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

    def window(self, name: str, index: int) -> tuple[Window, Array]:
        """One window of the targets, raw units, and a forecast of it, (K, C, H, W), NaN where nobody can know."""
        spec, context = self.dataset.spec, self.dataset.context
        window = self.dataset.window(self.split, 0, index)
        valid = None if window.valid is None else torch.from_numpy(window.valid[None])
        parts = divide_channels(torch.from_numpy(window.frames[None]), valid, spec)
        past, observed = (None if part is None else part[:, :context].to(self.device) for part in parts[:2])
        beside = {} if parts.covariates is None else {"covariates": parts.covariates.to(self.device)}
        predicted = self.forecasts[name].predict(past, self.dataset.horizon, observed, **beside)
        prediction = torch.as_tensor(predicted).detach().float().cpu()
        if observed is not None:
            prediction = torch.where(observed_in_context(observed.cpu())[:, :, : spec.targets], prediction, torch.nan)
        return window._replace(frames=window.frames[:, : spec.targets], valid=None), prediction[0].numpy()

    def write(self, board: Scoreboard, folder: Path) -> None:
        """Write scores.json and pictures; the first window of the first forecast is drawn."""
        board.write(folder / "scores.json")
        board.draw(folder / "scores.png")
        window, prediction = self.window(next(iter(self.forecasts)), 0)
        spec, grid, context = self.dataset.spec, self.dataset.grid, self.dataset.context
        seen = choose_view(spec, grid, window.frames, prediction)
        past, truth, ahead = (seen.of(part) for part in (window.frames[:context], window.frames[context:], prediction))
        times = window.times(spec.step_minutes)
        stamps = None if times is None else to_calendar(times, grid)
        title = caption(seen.channel, None if stamps is None else stamps[context - 1], spec.step_minutes)
        draw_strip(folder / "strip.png", past, ahead, seen.spec, truth, title=title)
        shown = animation.draw_pictures(past, ahead, seen.spec, truth, stamps, seen.channel)
        animation.save_gif(folder / "forecast.gif", shown)
