"""The whole story in a few minutes on a CPU: train a small PredRNN on moving digits, score it on digits it never saw."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from framecast.baselines import Blank, Mean, Persistence
from framecast.contest import draw_window
from framecast.data import DataConfig, MovingMNISTConfig, open_data
from framecast.evaluate import Predictor, evaluate
from framecast.learning_rate import OneCycle
from framecast.metrics import metrics
from framecast.model_folder import load
from framecast.models import PredRNN
from framecast.place import Place
from framecast.progress import progress
from framecast.recipe import Recipe, TrainConfig, ValidateConfig
from framecast.schedules import ScheduledSampling
from framecast.scoreboard import Scoreboard
from framecast.train import start

STEPS = 440
TEST_SEQUENCES = 64


def demo_recipe(steps: int = STEPS) -> Recipe:
    """A PredRNN of two narrow layers, a few minutes on two cores (LOG.md says how it was chosen)."""
    return Recipe(
        model=PredRNN(hidden=(32, 32), kernel_size=3),
        sampling=ScheduledSampling(stop=max(1, steps // 2)),
        train=TrainConfig(
            steps=steps, batch_size=4, lr=3e-3, lr_schedule=OneCycle(), clip=1.0, log_every=1, checkpoint_every=100
        ),
        validate=ValidateConfig(every=110, sequences=16),
        data=DataConfig(moving_mnist=MovingMNISTConfig(test=TEST_SEQUENCES)),
    )


def run_demo(
    path: Path, console: Console, *, steps: int = STEPS, device: str = "cpu", quiet: bool = False
) -> Scoreboard:
    """Train, score, draw, and say what to open and what to type next.

    Args:
        path: a new run folder.
        console: where to print.
        steps: of training.
        device: where to compute.
        quiet: whether to show no progress.

    Returns:
        the scores on unseen digits.
    """
    recipe = demo_recipe(steps)
    if not quiet:
        console.print(
            f"Training a PredRNN of two layers on moving digits: {recipe.context} frames in, {recipe.horizon} out, "
            f"{steps} steps of {recipe.train.batch_size} sequences. A few minutes on two cores; Ctrl-C saves and stops.",
            highlight=False,
        )
    start(recipe, path, Place(device), quiet=quiet)
    dataset = open_data(recipe.data, context=recipe.context, horizon=recipe.horizon, seed=recipe.seed)
    forecaster = load(path).to(device)
    forecasts: dict[str, Predictor] = {
        "predrnn": forecaster,
        "persistence": Persistence(dataset.spec),
        "mean": Mean(dataset.spec),
        "blank": Blank(dataset.spec),
    }
    scores = {}
    with progress("scoring", TEST_SEQUENCES * len(forecasts), quiet=quiet) as show:
        for number, (name, forecast) in enumerate(forecasts.items()):
            scores[name] = evaluate(
                forecast,
                dataset,
                "test",
                metrics(("sse", "mae", "ssim", "psnr"), spec=dataset.spec),
                context=recipe.context,
                horizon=recipe.horizon,
                device=device,
                progress=lambda done, number=number: show.update(number * TEST_SEQUENCES + done),  # type: ignore[misc]
            )
    board = Scoreboard(scores, dataset, "test", recipe.context, recipe.horizon)
    board.write(path / "scores.json")
    board.draw(path / "scores.png")
    for picture in ("strip.png", "forecast.gif"):
        draw_window(path / picture, forecaster, dataset, "test", recipe.context, recipe.horizon, device)
    if not quiet:
        board.print(console)
        _say_next(path, board, console)
    return board


def _say_next(path: Path, board: Scoreboard, console: Console) -> None:
    sse = {name: scores.mean()["sse"] for name, scores in board.scores.items()}
    gain = 100 * (1 - sse["predrnn"] / sse["blank"])
    side = "below" if gain >= 0 else "above"
    console.print(
        f"\nOn unseen digits, the network's squared error is {abs(gain):.0f} % {side} that of a blank forecast.\n"
        f"Look at   {path}/strip.png      input, truth, prediction, error\n"
        f"          {path}/forecast.gif   the same, moving\n"
        f"          {path}/loss.png       training loss; {path}/scores.png  scores by lead time\n"
        f"Next      framecast models                    the networks that there are\n"
        f"          framecast data moving-mnist --out digits.npy --count 4 --frames 10\n"
        f"          framecast predict {path} digits.npy --dims tnhw --horizon 30 --out future.npy --gif future.gif\n"
        f"          framecast train predrnn --data YOUR.npy --dims thw",
        highlight=False,
        soft_wrap=True,
    )
