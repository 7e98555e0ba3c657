"""How a long work is shown: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType

PLAIN_SECONDS = 10.0
"""Plain lines come at least this far apart."""


class Progress(ABC):
    """Shown while it is entered."""

    def __enter__(self) -> Progress:
        """Begin to show."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self.close()

    @abstractmethod
    def update(self, done: int, note: str = "") -> None:
        """Show that `done` of the total are done, with a short note."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Print a line above the bar."""

    def close(self) -> None:
        """Leave the terminal as it should be."""
        return


class Silent(Progress):
    """Shows nothing: for all processes but the first."""

    def update(self, done: int, note: str = "") -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Lines(Progress):
    """Plain lines on standard error."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.started = self.last = time.monotonic()
        self.first: int | None = None

    def update(self, done: int, note: str = "") -> None:
        """A line now and then, and at the end."""
        now = time.monotonic()
        self.first = done - 1 if self.first is None else self.first
        if done < self.total and now - self.last < PLAIN_SECONDS:
            return
        self.last = now
        rate = (done - self.first) / max(now - self.started, 1e-9)
        left = (self.total - done) / max(rate, 1e-9)
        print(f"{self.what} {done}/{self.total}  {note}  {rate:.2f}/s  {left:.0f} s left", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """The line."""
        print(text, file=sys.stderr, flush=True)


class Bar(Progress):
    """A bar on a terminal, with speed and time left."""

    def __init__(self, what: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task(what, total=total, note="", speed="")
        self.bar.start()

    def update(self, done: int, note: str = "") -> None:
        """Move the bar."""
        speed = self.bar.tasks[0].speed
        self.bar.update(self.task, completed=done, note=note, speed=f"{speed:.2f}/s" if speed else "")

    def say(self, text: str) -> None:
        """A line above the bar."""
        self.bar.console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        """Stop drawing."""
        self.bar.stop()


def show_progress(what: str, total: int, *, quiet: bool = False) -> Progress:
    """The way of showing that fits: a bar on a terminal, plain lines elsewhere and when quiet."""
    return Bar(what, total) if sys.stderr.isatty() and not quiet else Lines(what, total)
