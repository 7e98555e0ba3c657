"""Dates in the calendar of the data, and as text."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from framecast.optional_imports import require
from framecast.types import Grid


def to_calendar(times: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Convert times to dates in the calendar of the data.

    Args:
        times: datetime64 of any shape, UTC. In a calendar that numpy lacks (365 days, 360 days) only their distances are
            true, counted from `grid.time_origin`.
        grid: of the data; names the calendar.

    Returns:
        `times` themselves, or cftime dates of their shape in such a calendar.

    Raises:
        UsageError: cftime is needed and not installed.
    """
    if grid.time_origin is None:
        return times
    cftime = require("cftime", "grids")
    passed = times.astype("datetime64[ms]") - np.datetime64(grid.time_origin.replace(" ", "T"), "ms")
    dates = cftime.num2date(passed.astype(np.int64), f"milliseconds since {grid.time_origin}", grid.calendar)
    return np.asarray(dates, dtype=object)


def format_times(times: NDArray[Any]) -> NDArray[Any]:
    """Format times as in 2016-09-28T15:05:00, with milliseconds where some differ by less than a second.

    Args:
        times: datetime64 or cftime dates, of any shape.

    Returns:
        strings of that shape.
    """
    texts = _format_iso(times, "seconds")
    return _format_iso(times, "milliseconds") if len(np.unique(texts)) < len(np.unique(times)) else texts


def caption(channel: str, last: Any, step_minutes: float | None) -> str:
    """Caption of a row of frames: the channel, and the time of frame 0, the last of the input.

    Args:
        channel: in words; empty where it is the only one.
        last: datetime64 or cftime date of frame 0, UTC; None where unknown.
        step_minutes: between frames, minutes; None where unknown.
    """
    if last is None or step_minutes is None:
        return channel
    when = f"frame 0: {format_times(np.array([last]))[0].replace('T', ' ')} UTC, then every {step_minutes:g} min"
    return f"{channel}; {when}" if channel else when


def _format_iso(times: NDArray[Any], detail: Literal["seconds", "milliseconds"]) -> NDArray[Any]:
    if times.dtype.kind == "M":
        return times.astype("datetime64[s]" if detail == "seconds" else "datetime64[ms]").astype(np.str_)
    return np.array([time.isoformat(timespec=detail) for time in times.flat], np.str_).reshape(times.shape)
