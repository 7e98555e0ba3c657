"""Demonstration on a CPU in a few minutes: train a small PredRNN on moving digits, score it on digits it never saw."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from rich.console import Console

from framecast.data import DataConfig, MovingMNISTConfig
from framecast.devices import Launch
from framecast.evaluation.prepare import prepare_suite
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import EvaluationOptions
from framecast.formatting import format_command
from framecast.models import PredRNN
from framecast.recipe.learning_rate import OneCycle
from framecast.recipe.recipe import Recipe
from framecast.recipe.scheduled_sampling import ScheduledSampling
from framecast.recipe.train_config import TrainConfig, ValidateConfig
from framecast.report import write_report
from framecast.runs.folder import write_folder
from framecast.training.start import start

STEPS = 900
TEST_SEQUENCES = 64
METRICS = ("sse", "mae", "ssim", "psnr")


def make_demo_recipe(steps: int = STEPS) -> Recipe:
    """Recipe of a PredRNN of two narrow layers, a few minutes on two cores (LOG.md says how it was chosen).

    Args:
        steps: iterations of the training.
    """
    return Recipe(
        model=PredRNN(hidden=(32, 32), kernel_size=3),
        sampling=ScheduledSampling(stop=max(1, steps // 2)),
        train=TrainConfig(
            steps=steps, batch_size=4, lr=3e-3, lr_schedule=OneCycle(), clip=1.0, log_every=1, checkpoint_every=100
        ),
        validate=ValidateConfig(every=225, sequences=16),
        data=DataConfig(moving_mnist=MovingMNISTConfig(test=TEST_SEQUENCES)),
    )


def run_demo(
    path: Path, console: Console, *, steps: int = STEPS, device: str = "cpu", quiet: bool = False
) -> Scoreboard:
    """Train, score and draw; print which files to open and which commands to try next.

    Args:
        path: a new run folder.
        console: where to print.
        steps: iterations of the training.
        device: where to compute.
        quiet: whether to show no progress.

    Returns:
        the scores on unseen digits.

    Raises:
        UsageError: the folder exists.
    """
    recipe = make_demo_recipe(steps)
    if not quiet:
        console.print(
            f"Training a PredRNN of two layers on moving digits: {recipe.context} frames in, {recipe.horizon} out, "
            f"{steps} steps of {recipe.train.batch_size} sequences. A few minutes on two cores; Ctrl-C saves and stops.",
            highlight=False,
        )
    start(recipe, path, Launch(device), quiet=quiet)
    suite = prepare_suite(str(path), {}, EvaluationOptions("test", METRICS), device=device)
    scoreboard = suite.score(quiet=quiet)
    folder = write_folder(partial(suite.write, scoreboard), None, path / "evaluations", "test")
    write_report(path, evaluation=(suite, scoreboard))
    if not quiet:
        scoreboard.print(console)
        _print_next_steps(path, folder, scoreboard, console)
    return scoreboard


def _print_next_steps(path: Path, folder: Path, scoreboard: Scoreboard, console: Console) -> None:
    sse = {name: scores.mean()["sse"] for name, scores in scoreboard.scores.items()}
    gain = 100 * (1 - sse["predrnn"] / sse["blank"])
    side = "below" if gain >= 0 else "above"
    activate = "" if shutil.which("framecast") else "source .venv/bin/activate\n          "
    future = ["--horizon", 30, "--out", "future.npy", "--gif", "future.gif"]
    predict = format_command("framecast", "predict", path, "digits.npy", "--dims", "tnhw", *future)
    console.print(
        f"\nOn unseen digits, the network's squared error is {abs(gain):.0f} % {side} that of a blank forecast.\n"
        f"Open      {path}/report.html    all of it on one page, in a browser\n"
        f"Look at   {folder}/strip.png      input, truth, prediction, error\n"
        f"          {folder}/forecast.gif   the same, moving\n"
        f"          {folder}/scores.png     scores by lead time\n"
        f"          {path}/loss.png         training loss and validation\n"
        f"Next      {activate}framecast models                    the networks that there are\n"
        f"          framecast data moving-mnist --out digits.npy --count 4 --frames 10\n"
        f"          {predict}\n"
        f"          framecast train predrnn --data YOUR.npy --dims thw",
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )
