"""Log of a training: events, reproducible to the bit however often it is interrupted, and wall-clock times apart."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from framecast.loggers import Loggers
from framecast.recipe.recipe import Recipe
from framecast.runs.folder import EventLog, RunFolder, read_events


class TrainLog:
    """events.jsonl, timing.jsonl, and the loggers of the recipe.

    Args:
        folder: folder of the run.
        recipe: of the run, which names the loggers.
        length: bytes of events.jsonl to keep; later ones belong to iterations that are done again.
        step: iterations done so far.
        launch: device and number of processes, as fields of the event "start".
        say: shows a line to the user.
    """

    def __init__(
        self,
        folder: RunFolder,
        recipe: Recipe,
        length: int,
        step: int,
        launch: dict[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self.events, self.timing = EventLog(folder.events, length), EventLog(folder.timing)
        self.timing.write("start", step=step, unix_time=time.time(), **_collect_versions(), **launch)
        self.loggers = _open_loggers(folder, recipe, step, say)
        self.waited = self.worked = self.computed = 0.0
        self.iterations = 0

    def __enter__(self) -> TrainLog:
        """Return the log."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all files."""
        self.events.close()
        self.timing.close()
        self.loggers.close(complete=kind is None)

    def log_iteration(self, event: dict[str, Any], waited: float, worked: float, computed: float, *, due: bool) -> None:
        """Count one iteration, and write a line if it is due.

        Args:
            event: fields that `TrainingState.iterate` returned.
            waited: time until the batch was there, seconds.
            worked: time of the iteration itself, seconds.
            computed: processor time of both, of all threads, seconds.
            due: whether to write a line.
        """
        self.waited, self.worked, self.iterations = self.waited + waited, self.worked + worked, self.iterations + 1
        self.computed += computed
        if not due:
            return
        self.events.write("train", **event)
        seconds = self.waited + self.worked
        pace = seconds / self.iterations
        self.timing.write(
            "timing",
            step=event["step"],
            unix_time=time.time(),
            iterations=self.iterations,
            seconds_per_step=pace,
            share_waited=self.waited / max(seconds, 1e-9),
            cpu_seconds_per_step=self.computed / self.iterations,
        )
        self.waited = self.worked = self.computed = 0.0
        self.iterations = 0
        values = {f"train/{name}": event[name] for name in ("loss", "gradient_norm", "lr")}
        self.loggers.log({**values, "train/seconds_per_step": pace}, event["step"])

    def log_validation(self, step: int, scores: dict[str, float]) -> None:
        """Write the scores of the validation split."""
        self.events.write("validation", step=step, **scores)
        self.loggers.log({f"validation/{name}": value for name, value in scores.items()}, step)


def _collect_versions() -> dict[str, Any]:
    return {
        "framecast": version("framecast"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }


def _open_loggers(folder: RunFolder, recipe: Recipe, step: int, say: Callable[[str], None]) -> Loggers:
    config = recipe.train
    return Loggers(config.loggers, folder.path, step=step, project=config.project, say=say)


def log_outcome(
    folder: RunFolder, recipe: Recipe, step: int, verdict: str | None, page: Path, say: Callable[[str], None]
) -> None:
    """Tell the loggers of a run how it ended: the verdict of its scores, the curve of its loss, and its page.

    Args:
        folder: folder of the run.
        recipe: of the run, which names the loggers.
        step: iterations done.
        verdict: sentence on whether the model beats the best baseline; None where there is nothing to judge.
        page: the HTML page of the run.
        say: shows a line to the user.
    """
    loggers = _open_loggers(folder, recipe, step, say)
    if verdict is not None:
        loggers.log_text("verdict", verdict)
    loggers.log_file("loss", folder.path / "loss.png")
    loggers.log_file("report", page)
    loggers.close(complete=True)


def draw_loss(folder: RunFolder, metric: str) -> None:
    """Draw loss.png from the event log.

    Args:
        folder: folder of the run.
        metric: validation metric to draw.
    """
    from framecast.plotting.frames import draw_loss_curve

    events = [event for event in read_events(folder.events, "train") if event["loss"] is not None]
    validations = read_events(folder.events, "validation")
    validation = {event["step"]: event[metric] for event in validations if event[metric] is not None}
    if events:
        draw_loss_curve(
            folder.path / "loss.png", [e["step"] for e in events], [e["loss"] for e in events], validation, metric
        )
