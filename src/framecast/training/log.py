"""Log of a training: events, reproducible to the bit however often it is interrupted, and wall-clock times apart."""

from __future__ import annotations

import importlib.util
import platform
import time
from importlib.metadata import version
from types import TracebackType
from typing import Any

import torch

from framecast.runs.folder import EventLog, RunFolder


class TrainLog:
    """events.jsonl, timing.jsonl, and TensorBoard where it is installed.

    Args:
        folder: folder of the run.
        length: bytes of events.jsonl to keep; later ones belong to iterations that are done again.
        step: iterations done so far.
        launch: device and number of processes, as fields of the event "start".
    """

    def __init__(self, folder: RunFolder, length: int, step: int, launch: dict[str, Any]) -> None:
        self.events, self.timing = EventLog(folder.events, length), EventLog(folder.timing)
        self.timing.write("start", step=step, unix_time=time.time(), **_collect_versions(), **launch)
        self.board = _open_board(folder, step)
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
        if self.board is not None:
            self.board.close()

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
        self.timing.write(
            "timing",
            step=event["step"],
            unix_time=time.time(),
            iterations=self.iterations,
            seconds_per_step=seconds / self.iterations,
            share_waited=self.waited / max(seconds, 1e-9),
            cpu_seconds_per_step=self.computed / self.iterations,
        )
        self.waited = self.worked = self.computed = 0.0
        self.iterations = 0
        if self.board is not None:
            for name in ("loss", "gradient_norm", "lr"):
                if event[name] is not None:
                    self.board.add_scalar(f"train/{name}", event[name], event["step"])

    def log_validation(self, step: int, scores: dict[str, float]) -> None:
        """Write the scores of the validation split."""
        self.events.write("validation", step=step, **scores)
        if self.board is not None:
            for name, value in scores.items():
                self.board.add_scalar(f"validation/{name}", value, step)


def _collect_versions() -> dict[str, Any]:
    return {
        "framecast": version("framecast"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }


def _open_board(folder: RunFolder, step: int) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    # Steps after the checkpoint that training goes on from are shown once, not twice.
    return SummaryWriter(str(folder.path / "tensorboard"), purge_step=step + 1)
