"""Names of the files of a folder: by valid time where it is known, so that they sort and are read back in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import format_times, to_calendar
from framecast.forecast import Forecast


class FrameFile(NamedTuple):
    """One frame of a member of a forecast and its file."""

    path: Path
    frame: NDArray[np.float32]
    """(C, H, W)."""
    said: dict[str, str]
    """Valid time, reference time, lead time, a calendar that is not the usual one, and the number of the member where
    there are several, as texts; only what is known."""


def frame_files(folder: Path, forecast: Forecast, suffix: str) -> Iterator[FrameFile]:
    """Each frame with its path; several sequences lie in folders of their own, which are made.

    Where there are several members, the name ends with the member's number, from 1.
    """
    count, members, frames = forecast.frames.shape[:3]
    times, last, step = forecast.times, forecast.reference_times, forecast.spec.step_minutes
    calendar = {} if forecast.grid.time_origin is None else {"calendar": forecast.grid.calendar}
    for sequence in range(count):
        inside = folder if count == 1 else folder / f"sequence_{sequence:04d}"
        inside.mkdir(exist_ok=True)
        names = [f"frame_{lead + 1:04d}" for lead in range(frames)]
        stamps = None
        if times is not None and last is not None:
            stamps = format_times(to_calendar(np.append(last[sequence], times[sequence]), forecast.grid))
            clocks = [str(stamp).replace("-", "").replace(":", "") for stamp in stamps[1:]]
            names = clocks if len(set(clocks)) == frames else names  # of frames within a millisecond
        for lead, member in product(range(frames), range(members)):
            said = {} if step is None else {"lead_time": f"{(lead + 1) * step:g} minutes"}
            if stamps is not None:
                said |= {"valid_time": f"{stamps[lead + 1]}Z", "forecast_reference_time": f"{stamps[0]}Z", **calendar}
            said |= {"member": str(member + 1)} if members > 1 else {}
            name = f"{names[lead]}_member_{member + 1:04d}" if members > 1 else names[lead]
            yield FrameFile(inside / f"{name}{suffix}", forecast.values[sequence, member, lead], said)
