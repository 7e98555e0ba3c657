"""Times as people write them, in the calendar of the data."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from framecast.optional import require
from framecast.types import Grid


def to_calendar(times: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Times in the calendar of their data.

    Args:
        times: of any shape, UTC, as numpy has them: of other calendars it has the distances only, not the dates.
        grid: of the data, which knows their calendar.

    Returns:
        the same times; dates of cftime where the calendar is one that numpy does not have.

    Raises:
        UsageError: such a calendar, and cftime is not installed.
    """
    if grid.time_origin is None:
        return times
    cftime = require("cftime", "grids")
    passed = times.astype("datetime64[ms]") - np.datetime64(grid.time_origin.replace(" ", "T"), "ms")
    found = cftime.num2date(passed.astype(np.int64), f"milliseconds since {grid.time_origin}", grid.calendar)
    return np.asarray(found, dtype=object)


def format_times(times: NDArray[Any]) -> NDArray[Any]:
    """Times as in 2016-09-28T15:05:00, with milliseconds where seconds do not tell them apart.

    Args:
        times: of any shape, as `dated` gives them.
    """
    found = _iso(times, "seconds")
    return _iso(times, "milliseconds") if len(np.unique(found)) < len(np.unique(times)) else found


def caption(channel: str, last: Any, step_minutes: float | None) -> str:
    """What stands above frames: the channel, where there are others, and when frame 0 was.

    Args:
        channel: in words, or empty.
        last: time of the last frame of the input, as `dated` gives it; None where unknown.
        step_minutes: between frames.
    """
    if last is None or step_minutes is None:
        return channel
    when = f"frame 0: {format_times(np.array([last]))[0].replace('T', ' ')} UTC, then every {step_minutes:g} min"
    return f"{channel}; {when}" if channel else when


def _iso(times: NDArray[Any], detail: Literal["seconds", "milliseconds"]) -> NDArray[Any]:
    if times.dtype.kind == "M":
        return times.astype("datetime64[s]" if detail == "seconds" else "datetime64[ms]").astype(np.str_)
    return np.array([time.isoformat(timespec=detail) for time in times.flat], np.str_).reshape(times.shape)
