"""Evaluation suite: predictors on the windows of one data set, their scores, and pictures of single forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from framecast.data import DataSet
from framecast.data.windows.windows import CropWindows
from framecast.evaluation.evaluate import evaluate
from framecast.evaluation.predictors import Calibration, is_moving
from framecast.evaluation.scoreboard import AUTO, Scoreboard
from framecast.forecast import Forecast
from framecast.forecasting.baselines import is_baseline_name
from framecast.forecasting.memory_plan import NO_LIMITS, MemoryLimits
from framecast.forecasting.motion_output import estimate_motion_of_context
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.metrics import SCALES, Metric
from framecast.plotting import animation
from framecast.plotting.arrows import MovingFrame, draw_motion
from framecast.plotting.ensemble_charts import make_ensemble_charts
from framecast.plotting.frames import draw_strip
from framecast.plotting.scores import draw_charts
from framecast.progress import show_progress
from framecast.trained import is_trained
from framecast.types import Grid, Window


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
    """Seed of the bootstrap, and of the members' noise."""
    calibrate: Calibration | None = None
    """Which comes first of a model against a base that moves rain: its raw forecast, or the one matched to the base."""
    by_channel: bool = False
    """Whether each target is scored alone; targets of different units always are."""
    whole: bool = False
    """Whether whole frames are scored, also where training cut crops."""
    room: MemoryLimits = NO_LIMITS
    """Tiles, for frames larger than those of the training."""
    members: int | None = None
    """M, to score ensembles; None for single forecasts."""
    known_only: bool = False
    """Whether pixels are left out whose air flows in from where no frame has shown it, for all forecasts the same."""
    errors: Path | None = None
    """File of the error tables of the model, or folder of one; by default beside its weights."""


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
                    known_only=options.known_only,
                )
        context, horizon = self.dataset.context, self.dataset.horizon
        return Scoreboard(
            scores, self.dataset, self.split_name, context, horizon, options.block, options.seed, self.baselines
        )

    def find_place(self, index: int) -> Grid:
        """Find the place of a window: of a crop the rows and columns of its area.

        Args:
            index: index of the window in the split.
        """
        grid, windows = self.dataset.grid, self.dataset.windows
        if not isinstance(windows, CropWindows):
            return grid
        area, whole = windows.find_area(self.split, 0, index), windows.whole_grid
        return grid.model_copy(update={"y": whole.y[area.rows], "x": whole.x[area.columns]})

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
            self.find_place(index),
            None if window.motion is None else torch.from_numpy(window.motion[None]),
        )
        forecast = self.forecasts[name].forecast(past, self.dataset.horizon)
        return window._replace(frames=window.frames[:, : spec.targets], valid=None), forecast

    def draw_motion(self, titles: dict[int, str]) -> bytes | None:
        """Draw the motion along which the model moves the newest frame of some windows, as arrows; a PNG.

        Args:
            titles: {index of the window in the split: title}.

        Returns:
            None for a model that moves nothing.
        """
        model = next(iter(self.forecasts))
        if not is_moving(self.forecasts[model]):
            return None
        moving, spec = [], self.dataset.spec
        for index, title in titles.items():
            window, forecast = self.window(model, index)
            field = window.motion[-1] if window.motion is not None else estimate_motion_of_context(forecast)[0].numpy()
            moving.append(MovingFrame(forecast.past_values[0, -1], field, title, self.find_place(index)))
            spec = forecast.spec
        return draw_motion(moving, spec, self.dataset.grid)

    def write(self, board: Scoreboard, folder: Path) -> None:
        """Write scores and their charts; a strip, a film and the motion of the first predictor, all of window 0."""
        board.write(folder / "scores.json")
        board.draw(folder / "scores.png")
        if charts := make_ensemble_charts(board.scores):
            draw_charts(folder / "ensemble.png", charts, board.about_samples())
        window, forecast = self.window(next(iter(self.forecasts)), 0)
        truth = window.frames[self.dataset.context :]
        draw_strip(folder / "strip.png", forecast, truth)
        animation.save_gif(folder / "forecast.gif", animation.draw_pictures(forecast, truth))
        motion = self.draw_motion({0: ""})
        if motion is not None:
            (folder / "motion.png").write_bytes(motion)


def name_folder(run: str, name: str) -> tuple[Path, str]:
    """Name the parent of the numbered folders of an evaluation, and the beginning of their names.

    Args:
        run: as the user named it: a folder, a trained model or a baseline.
        name: of the evaluation.
    """
    if is_baseline_name(run) or is_trained(run):
        return Path("runs"), f"{run.replace(':', '-')}-{name}"
    return Path(run) / "evaluations", name
