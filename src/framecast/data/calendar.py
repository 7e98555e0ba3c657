"""Covariates that are computed from the times: where in the day and in the year a frame lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from framecast.types import Channel

Cycle = Literal["hour", "day"]
"""Hour of the day, day of the year; UTC."""


def calendar_channels(cycles: Sequence[Cycle]) -> tuple[Channel, ...]:
    """Two channels for each cycle, sine and cosine."""
    names = [f"{cycle}_{wave}" for cycle in cycles for wave in ("sin", "cos")]
    return tuple(Channel(name=name, low=-1.0, high=1.0, calendar=True) for name in names)


def calendar(times: NDArray[Any], cycles: Sequence[Cycle]) -> NDArray[np.float32]:
    """Sine and cosine of the angle in each cycle: 0 at midnight UTC, or at the beginning of the year.

    Args:
        times: (T,), UTC.
        cycles: which.

    Returns:
        (T, 2 x cycles), sine and cosine in turn.
    """
    moments = times.astype("datetime64[ms]")
    waves = []
    for cycle in cycles:
        begin = moments.astype("datetime64[D]" if cycle == "hour" else "datetime64[Y]")
        end = (begin + 1).astype("datetime64[ms]")
        begin = begin.astype("datetime64[ms]")
        angle = 2 * np.pi * ((moments - begin) / (end - begin))
        waves += [np.sin(angle), np.cos(angle)]
    return np.stack(waves, 1).astype(np.float32)
