"""Choice of context, horizon and split that leave enough windows for a training on the data there are."""

from __future__ import annotations

from typing import NamedTuple

from framecast.data import DataConfig, FileSource
from framecast.data.windows.splits import split_windows
from framecast.errors import InputError

ENOUGH = 10
"""Training windows that a proposal leaves, at least."""
DAY = 1440.0
"""Minutes."""
COARSE_STEP = 30.0
"""Step from which on a day is a context that a network can run over, minutes."""
_SHORTER = ((10, 5), (5, 5), (5, 3), (4, 2), (3, 2), (2, 1), (1, 1))
"""(context, horizon) that are tried where the usual ones leave too few windows, from long to short."""
_FRACTIONS = (None, (0.8, 0.2, 0.0))
"""Splits that are tried: that of the data's configuration, then one without a test split."""


class WindowPlan(NamedTuple):
    """Context, horizon and split of a training, and the windows that they leave."""

    context: int
    horizon: int
    fractions: tuple[float, float, float] | None
    """Parts of the splits; None for those of the configuration."""
    windows: int
    """Training windows."""


def plan_windows(
    source: FileSource, config: DataConfig, context: int, horizon: int, *, free: bool
) -> WindowPlan | None:
    """Choose the longest context and horizon that leave `ENOUGH` training windows, and one in each other split.

    Args:
        source: the data.
        config: their splits.
        context: J that is tried first, frames.
        horizon: K that is tried first, frames.
        free: whether a context of a day comes before `context`, where steps are coarse.

    Returns:
        the plan; None where none leaves enough.
    """
    lengths = [(context, horizon), *(pair for pair in _SHORTER if sum(pair) < context + horizon)]
    day = count_day(source)
    if free and day is not None and day > context:
        lengths.insert(0, (day, horizon))
    for past, ahead in lengths:
        for fractions in _FRACTIONS:
            count = _count_windows(source, config, past, ahead, fractions)
            if count >= ENOUGH:
                return WindowPlan(past, ahead, fractions, count)
    return None


def count_day(source: FileSource) -> int | None:
    """Count the frames of a day; None where the step is unknown or fine, or divides no day."""
    step = source.spec.step_minutes
    if step is None or not COARSE_STEP <= step < DAY or source.spec.step_months:
        return None
    frames = round(DAY / step)
    return frames if abs(frames * step - DAY) < 1e-6 * DAY else None


def _count_windows(
    source: FileSource, config: DataConfig, context: int, horizon: int, fractions: tuple[float, float, float] | None
) -> int:
    """Count the training windows; 0 where there are none, or too few frames for another split."""
    divided = config if fractions is None else config.model_copy(update={"fractions": fractions})
    try:
        windows = split_windows(source, divided, context + horizon, eval_stride=horizon).windows
    except InputError:
        return 0
    return len(windows["train"])
