"""Names of the files of a folder: by valid time where it is known, so that they sort and are read back in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.types import Forecast


class Leaf(NamedTuple):
    """One frame of a forecast and its file."""

    path: Path
    frame: NDArray[np.float32]
    """(C, H, W)."""
    said: dict[str, str]
    """Valid time, reference time, lead time, as texts; only what is known."""


def leaves(folder: Path, forecast: Forecast, suffix: str) -> Iterator[Leaf]:
    """Each frame with its path; several sequences lie in folders of their own, which are made."""
    count, frames = forecast.frames.shape[:2]
    times, past, step = forecast.times, forecast.past_times, forecast.spec.step_minutes
    for sequence in range(count):
        inside = folder if count == 1 else folder / f"sequence_{sequence:04d}"
        inside.mkdir(exist_ok=True)
        for lead in range(frames):
            said = {} if step is None else {"lead_time": f"{(lead + 1) * step:g} minutes"}
            name = f"frame_{lead + 1:04d}"
            if times is not None and past is not None:
                valid = str(times[sequence, lead].astype("datetime64[s]"))
                name = valid.replace("-", "").replace(":", "")
                reference = str(past[sequence, -1].astype("datetime64[s]"))
                said |= {"valid_time": f"{valid}Z", "forecast_reference_time": f"{reference}Z"}
            yield Leaf(inside / f"{name}{suffix}", forecast.frames[sequence, lead], said)
