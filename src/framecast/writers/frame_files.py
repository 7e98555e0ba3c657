"""Names of files that hold one frame each: by valid time where it is known, so that they sort in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import find_parts, format_step, format_times, to_calendar
from framecast.forecast import Forecast
from framecast.types import FrameSpec


class FrameFile(NamedTuple):
    """One frame of one member of a forecast, and the file for it."""

    path: Path
    """File to write."""
    frame: NDArray[np.float32]
    """(C, H, W), raw units; NaN where missing."""
    tags: dict[str, str]
    """Valid time, reference time, lead time, a calendar other than the standard one, and the number of the member where
    there are several, as texts; only what is known."""


def list_frame_files(folder: Path, forecast: Forecast, suffix: str) -> Iterator[FrameFile]:
    """Iterate over the frames of a forecast, each with its path and tags.

    Several sequences get a folder each, which is made here. Where there are several members, the name ends with the
    member's number, from 1.

    Args:
        folder: an existing folder.
        forecast: N sequences, M members, K lead times.
        suffix: suffix of the files, with its dot.
    """
    count, members, frames = forecast.frames.shape[:3]
    times, last, step = forecast.times, forecast.reference_times, forecast.spec.step_minutes
    calendar = {} if forecast.grid.time_origin is None else {"calendar": forecast.grid.calendar}
    for sequence in range(count):
        subfolder = folder if count == 1 else folder / f"sequence_{sequence:04d}"
        subfolder.mkdir(exist_ok=True)
        names = [f"frame_{lead + 1:04d}" for lead in range(frames)]
        stamps = None  # texts of the reference time, then of the valid times
        if times is not None and last is not None:
            stamps = format_times(to_calendar(np.append(last[sequence], times[sequence]), forecast.grid))
            clocks = [str(stamp).replace("-", "").replace(":", "") for stamp in stamps[1:]]
            names = clocks if len(set(clocks)) == frames else names  # frames less than a millisecond apart
        for lead, member in product(range(frames), range(members)):
            tags = {} if step is None else {"lead_time": _format_lead(lead + 1, forecast.spec)}
            if stamps is not None:
                tags |= {"valid_time": f"{stamps[lead + 1]}Z", "forecast_reference_time": f"{stamps[0]}Z", **calendar}
            tags |= {"member": str(member + 1)} if members > 1 else {}
            name = f"{names[lead]}_member_{member + 1:04d}" if members > 1 else names[lead]
            yield FrameFile(subfolder / f"{name}{suffix}", forecast.values[sequence, member, lead], tags)


def _format_lead(lead: int, spec: FrameSpec) -> str:
    """Format a lead time of so many steps: in months, or parts of months, where steps are of those, else in minutes."""
    if spec.step_months is not None:
        return f"{lead * spec.step_months} months"
    if find_parts(spec.step_minutes)[0] > 1:
        return f"{lead} x {format_step(spec.step_minutes or 0)}"
    return f"{lead * (spec.step_minutes or 0):g} minutes"
