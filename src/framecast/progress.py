"""Progress of long work: a bar on a terminal, plain lines elsewhere, warnings alone when quiet."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType

from framecast.errors import escape

PLAIN_SECONDS = 10.0
"""Seconds between plain lines, at least."""


class Progress(ABC):
    """Display of progress, shown while the context is open."""

    def __enter__(self) -> Progress:
        """Show the display."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the display."""
        self.close()

    @abstractmethod
    def update(self, done: int, note: str = "") -> None:
        """Show that `done` units of the total are done, with a short note."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Print a line without spoiling the display."""

    def warn(self, text: str) -> None:
        """Print a line that is said when quiet, too: something is wrong, and was mended or left out."""
        self.say(text)

    def close(self) -> None:
        """Leave the terminal as it should be."""
        return


class Silent(Progress):
    """Progress without a display: for all processes but the first."""

    def update(self, done: int, note: str = "") -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Print nothing."""


class Quiet(Silent):
    """Progress of which warnings alone are printed."""

    def warn(self, text: str) -> None:
        """Print the line on standard error."""
        print(escape(text), file=sys.stderr, flush=True)


class Lines(Progress):
    """Progress as plain lines on standard error, with speed and time left."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.started = self.last = time.monotonic()
        self.first: int | None = None

    def update(self, done: int, note: str = "") -> None:
        """Print a line every `PLAIN_SECONDS` seconds, and at the end."""
        now = time.monotonic()
        # Speed counts from here on: a training that is resumed begins far above 0.
        self.first = done - 1 if self.first is None else self.first
        if done < self.total and now - self.last < PLAIN_SECONDS:
            return
        self.last = now
        rate = (done - self.first) / max(now - self.started, 1e-9)
        left = (self.total - done) / max(rate, 1e-9)
        print(f"{self.what} {done}/{self.total}  {note}  {rate:.2f}/s  {left:.0f} s left", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print the line on standard error."""
        print(escape(text), file=sys.stderr, flush=True)


class Bar(Progress):
    """Progress as a bar on a terminal, with speed and time left."""

    def __init__(self, what: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self.bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
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
        """Print a line above the bar."""
        self.bar.console.print(escape(text), highlight=False, markup=False, emoji=False)

    def close(self) -> None:
        """Stop drawing."""
        self.bar.stop()


def show_progress(what: str, total: int, *, quiet: bool = False) -> Progress:
    """Show progress as a bar on a terminal, as plain lines elsewhere; warnings alone when quiet.

    Args:
        what: word for the work, such as "training".
        total: units of work.
        quiet: show warnings alone.
    """
    if quiet:
        return Quiet()
    return Bar(what, total) if sys.stderr.isatty() else Lines(what, total)
