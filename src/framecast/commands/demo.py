"""Demonstration on a CPU in a few minutes: trained models forecast digits and rain, then a small network learns."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from framecast.commands.browser_page import NAME, BrowserPage
from framecast.data import DataConfig, MovingMNISTConfig
from framecast.devices import Launch
from framecast.evaluation.predictors import Calibration
from framecast.evaluation.prepare import prepare_suite
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import EvaluationOptions
from framecast.formatting import format_command
from framecast.models import PredRNN
from framecast.plotting import animation
from framecast.plotting.frames import draw_strip
from framecast.recipe.learning_rate import OneCycle
from framecast.recipe.recipe import Recipe
from framecast.recipe.train_config import MuonConfig, Stage, TrainConfig, ValidateConfig
from framecast.report import write_report
from framecast.report.blocks import Link, Section
from framecast.runs.folder import write_folder
from framecast.trained import EXAMPLE, find_model
from framecast.training.budget import GROWTH
from framecast.training.start import start

STEPS = 1200
TEST_SEQUENCES = 64
METRICS = ("sse", "mae", "ssim", "psnr")
RAIN_METRICS = ("mse", "mae", "csi")
DIGITS = {"source": "moving-mnist", "moving_mnist": {"test": TEST_SEQUENCES}}


def make_demo_recipe(steps: int = STEPS) -> Recipe:
    """Recipe of a PredRNN of two narrow layers, a few minutes on two cores (LOG.md says how it was chosen).

    Args:
        steps: iterations of the training.
    """
    return Recipe(
        model=PredRNN(hidden=(32, 32), kernel_size=3, layer_norm="channel_affine"),
        train=TrainConfig(
            steps=steps,
            batch_size=4,
            lr=3e-3,
            muon=MuonConfig(),
            growth=tuple(Stage(until=until, context=frames, horizon=frames) for until, frames in GROWTH),
            lr_schedule=OneCycle(),
            clip=1.0,
            log_every=1,
            checkpoint_every=100,
        ),
        validate=ValidateConfig(every=max(1, steps // 4), sequences=16),
        data=DataConfig(moving_mnist=MovingMNISTConfig(test=TEST_SEQUENCES)),
    )


def run_demo(
    path: Path, console: Console, *, steps: int = STEPS, device: str = "cpu", quiet: bool = False
) -> Scoreboard:
    """Forecast by the trained models, train, score and draw; print which files to open and which commands to try next.

    Args:
        path: a new run folder.
        console: where to print.
        steps: iterations of the training.
        device: where to compute.
        quiet: whether to show no progress.

    Returns:
        the scores of the network that was trained, on unseen digits.

    Raises:
        UsageError: the folder exists.
    """
    say = partial(console.print, highlight=False, markup=False, emoji=False, soft_wrap=True)
    recipe, browser_page = make_demo_recipe(steps), BrowserPage()
    say("1 of 3: the model `digits`, which comes trained, on digits that it never saw.")
    digits = _forecast("digits", DIGITS, METRICS, (), "test", device, quiet=quiet)
    say("2 of 3: the model `rain` on real radar, in the hour and a half after the frames that it learnt from.")
    rain_data = {"source": str(Path(find_model("rain")) / EXAMPLE)}
    rain = _forecast("rain", rain_data, RAIN_METRICS, ("persistence", "extrapolation"), "all", device, quiet=quiet)
    say(f"   {rain[1].verdict}")
    say(
        f"3 of 3: a PredRNN of two layers learns from nothing: {recipe.context} frames in, {recipe.horizon} out, {steps} "
        f"steps of {recipe.train.batch_size} sequences. A few minutes on two cores; Ctrl-C saves and stops."
    )
    start(recipe, path, Launch(device), quiet=quiet)
    suite = prepare_suite(str(path), {}, EvaluationOptions("test", METRICS), device=device)
    scoreboard = suite.score(quiet=quiet)
    folder = write_folder(partial(suite.write, scoreboard), None, path / "evaluations", "test")
    said = _write_pages(path, browser_page, digits[0], (suite, scoreboard))
    for name, (forecasts, _) in (("digits", digits), ("rain", rain)):
        _draw(forecasts, path, name)
    if not quiet:
        scoreboard.print(console)
        _print_next_steps(path, folder, (digits[1], rain[1], scoreboard), said, say)
    return scoreboard


def _forecast(
    name: str,
    data: dict[str, Any],
    metrics: tuple[str, ...],
    baselines: tuple[str, ...],
    split: str,
    device: str,
    *,
    quiet: bool,
) -> tuple[Any, Scoreboard]:
    """Score a trained model on a split of some data."""
    calibrate: Calibration | None = "matched" if name == "rain" else None
    options = EvaluationOptions(split, metrics, baselines=baselines, calibrate=calibrate)
    suite = prepare_suite(find_model(name), data, options, device=device)
    return suite, suite.score(quiet=quiet)


def _write_pages(path: Path, browser_page: BrowserPage, digits: Any, evaluation: tuple[Any, Scoreboard]) -> str:
    """Write the page that forecasts in a browser, and that of the run, which leads to it; return a line on the first."""
    window, _ = digits.window(next(iter(digits.forecasts)), 0)
    said = browser_page.write(path, window.frames[: digits.dataset.context])
    link = Link("Draw digits, and the model `digits`, which comes trained, goes on: here, in your browser.", NAME)
    further = [Section("browser", "In your browser", [link])] if (path / NAME).exists() else []
    write_report(path, evaluation=evaluation, further=further)
    return said


def _draw(suite: Any, folder: Path, name: str) -> None:
    """Draw a strip and a film of the first window."""
    window, forecast = suite.window(next(iter(suite.forecasts)), 0)
    truth = window.frames[suite.dataset.context :]
    draw_strip(folder / f"{name}.png", forecast, truth)
    animation.save_gif(folder / f"{name}.gif", animation.draw_pictures(forecast, truth))


def _print_next_steps(
    path: Path, folder: Path, boards: tuple[Scoreboard, Scoreboard, Scoreboard], browser_page: str, say: Any
) -> None:
    digits, rain, trained = boards
    sse = [next(iter(board.scores.values())).mean()["sse"] for board in (digits, trained)]
    activate = "" if shutil.which("framecast") else "source .venv/bin/activate\n          "
    future = ["--horizon", 30, "--out", "future.npy", "--out", "future.gif"]
    predict = format_command("framecast", "predict", "digits", "digits.npy", "--dims", "tnhw", *future)
    say(
        f"\n{rain.verdict} (rain, four tiles of one afternoon).\n{trained.verdict} (digits, learnt just now).\n"
        f"Squared error on unseen digits: {sse[0]:.0f} by the trained model, {sse[1]:.0f} by the one of just now.\n"
        f"Open      {path}/report.html    the small network on one page, in a browser\n"
        f"          {browser_page}\n"
        f"Look at   {path}/rain.gif         radar: input, truth, forecast, error; {path}/rain.png as a strip\n"
        f"          {path}/digits.gif       digits by the trained model; {path}/digits.png\n"
        f"          {folder}/strip.png      digits by the small network\n"
        f"          {path}/loss.png         how it learnt\n"
        f"Next      {activate}framecast models --trained          the trained models that there are\n"
        f"          framecast predict rain YOUR_RADAR_FOLDER --out future.nc\n"
        f"          framecast data moving-mnist --out digits.npy --count 4 --length 10\n"
        f"          {predict}\n"
        f"          framecast train predrnn --budget 20min --data YOUR.npy --dims thw"
    )
