"""What a training writes down: events, the same bits however often it was interrupted, and times, which are not."""

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
        folder: the run's.
        length: bytes of events.jsonl that belong to the state that training goes on from.
        step: iterations done so far.
        place: device and processes, as they are to be named.
    """

    def __init__(self, folder: RunFolder, length: int, step: int, place: dict[str, Any]) -> None:
        self.events, self.timing = EventLog(folder.events, length), EventLog(folder.timing)
        self.timing.write("start", step=step, unix_time=time.time(), **_versions(), **place)
        self.board = _board(folder, step)
        self.waited = self.worked = 0.0
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

    def iteration(self, event: dict[str, Any], waited: float, worked: float, *, due: bool) -> None:
        """Note one iteration, and write if it is due.

        Args:
            event: what `Trainer.iterate` returned.
            waited: seconds for the batch.
            worked: seconds for the iteration itself.
            due: whether a line is.
        """
        self.waited, self.worked, self.iterations = self.waited + waited, self.worked + worked, self.iterations + 1
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
        )
        self.waited = self.worked = 0.0
        self.iterations = 0
        if self.board is not None:
            for name in ("loss", "gradient_norm", "lr"):
                if event[name] is not None:
                    self.board.add_scalar(f"train/{name}", event[name], event["step"])

    def validation(self, step: int, scores: dict[str, float]) -> None:
        """Write the scores of the validation split."""
        self.events.write("validation", step=step, **scores)
        if self.board is not None:
            for name, value in scores.items():
                self.board.add_scalar(f"validation/{name}", value, step)


def _versions() -> dict[str, Any]:
    return {
        "framecast": version("framecast"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }


def _board(folder: RunFolder, step: int) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder.path / "tensorboard"), purge_step=step + 1)
