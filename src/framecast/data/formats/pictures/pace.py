"""Pace of films and animations: seconds between frames, and what is said of frames that keep none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framecast.data.times import REGULAR, TOLERANCE


def find_step(seconds: NDArray[np.float64] | None, rate: float = 0.0) -> float | None:
    """Find the seconds between frames: of the rate that a file states, unless its times tell otherwise.

    Args:
        seconds: (frames,) times of the frames, where known.
        rate: frames a second as the file states it; 0 where it does not.
    """
    usual = float(np.median(np.diff(seconds))) if seconds is not None and len(seconds) > 1 else None
    stated = 1 / rate if rate > 0 else None
    if stated is None or usual is None:
        return stated or usual
    # times are rounded, to milliseconds in Matroska: the stated rate is the more exact one where both agree
    return stated if abs(stated - usual) <= TOLERANCE * usual else usual


def describe_pace(seconds: NDArray[np.float64]) -> list[str]:
    """Describe in a note that frames come at no steady rate; nothing where most of them do, as others are gaps then.

    Args:
        seconds: (frames,) times of the frames.
    """
    steps = np.diff(seconds)
    if not len(steps) or np.mean(np.abs(steps - np.median(steps)) <= TOLERANCE * np.median(steps)) >= REGULAR:
        return []
    span = f"{steps.min():.3g} to {steps.max():.3g} s"
    return [f"times: frames are {span} apart, at no steady rate; they count as equally spaced"]
