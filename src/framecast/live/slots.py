"""Slots of time: moments one cadence apart, to which the times of frames are snapped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Instant = np.datetime64
"""A time, UTC, in milliseconds."""


@dataclass(frozen=True)
class Cadence:
    """Distance of the slots, and how far from its slot the time of a frame may lie.

    Args:
        step_minutes: minutes from one slot to the next.
        tolerance: share of a step by which a frame may come early or late, below a half.
    """

    step_minutes: float
    tolerance: float = 0.4

    def snap(self, time: Instant) -> Instant | None:
        """Return the slot of a time; None where the time is too far from any."""
        step, at = self.step_minutes * 60_000, int(time.astype("datetime64[ms]").astype(np.int64))
        slot = round(at / step) * step
        return Instant(round(slot), "ms") if abs(at - slot) <= self.tolerance * step else None

    def shift(self, slot: Instant, steps: int) -> Instant:
        """Return the slot so many steps later; earlier for a negative number."""
        return slot + np.timedelta64(round(steps * self.step_minutes * 60_000), "ms")

    def count(self, first: Instant, last: Instant) -> int:
        """Count the steps from one slot to another."""
        return round((last - first) / np.timedelta64(1, "ms") / (self.step_minutes * 60_000))

    def list_window(self, newest: Instant, length: int) -> list[Instant]:
        """List the slots of a window, oldest first."""
        return [self.shift(newest, number + 1 - length) for number in range(length)]


def format_slot(slot: Instant) -> str:
    """Format a slot as the names of files have it: 20160928T150500Z, with milliseconds where there are any."""
    text = str(slot.astype("datetime64[ms]")).replace("-", "").replace(":", "")
    return f"{text.removesuffix('.000')}Z"


def parse_slot(text: str) -> Instant:
    """Parse what str() of a slot gives, or an ISO time that ends with Z."""
    return Instant(text.removesuffix("Z"), "ms")


def parse_file_slot(text: str) -> Instant:
    """Parse what `format_slot` gives.

    Raises:
        ValueError: another text.
    """
    date, _, clock = text.removesuffix("Z").partition("T")
    return Instant(f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}", "ms")


def name_time(slot: Instant) -> str:
    """Name a slot for people and JSON: 2016-09-28T15:05:00Z."""
    return f"{str(slot.astype('datetime64[ms]')).removesuffix('.000')}Z"
