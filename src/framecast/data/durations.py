"""Durations: frames, or times as in 50min, 2h, 1d, 6mon, 1y."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import AfterValidator

from framecast.calendars import find_parts, format_step
from framecast.errors import UsageError
from framecast.types import MAX_COUNT, FrameSpec

MINUTES = {"s": 1 / 60, "min": 1.0, "h": 60.0, "d": 1440.0}
"""Minutes of each unit of time."""
MONTHS = {"mon": 1, "month": 1, "months": 1, "y": 12, "year": 12, "years": 12}
"""Calendar months of each unit of time that has no fixed length."""
_WHOLE = re.compile(r"\d{1,18}")
_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|min|h|d|mon(?:ths?)?|y(?:ears?)?)")
NEARLY = 1e-6
"""Share of a step by which a time may miss a whole number of frames."""
FORMS = "90s, 50min, 2h, 1d, 6mon, 1y"
"""Examples of times, for errors."""


MAX_FRAMES = 10**5
"""Frames of a context or a horizon, at most: a recipe may come from a stranger."""


def _make_validator(least: int, most: int) -> AfterValidator:
    """Make a validator of durations: at least and at most so many frames, or any time."""

    def validate(length: int | str) -> int | str:
        if isinstance(length, str) and _WHOLE.fullmatch(length):
            length = int(length)
        if not (_FORM.fullmatch(length) if isinstance(length, str) else least <= length <= most):
            raise ValueError(f"expected {least} to {most} frames, or a time as in {FORMS}")
        return length

    return AfterValidator(validate)


Duration = Annotated[int | str, _make_validator(1, MAX_FRAMES)]
"""At least one frame, or a time."""
Gap = Annotated[int | str, _make_validator(0, MAX_COUNT)]
"""Any number of frames, or a time."""


def in_frames(length: int | str, step_minutes: float | None, what: str, step_months: int | None = None) -> int:
    """Convert a duration to frames.

    Args:
        length: frames, or a time as in 50min; a number in text is frames too.
        step_minutes: minutes between frames, where known.
        what: name of the duration in errors.
        step_months: calendar months between frames, where they lie whole months apart.

    Raises:
        UsageError: neither frames nor a time, a time where the step is unknown, or no whole number of frames.
    """
    if isinstance(length, int) or _WHOLE.fullmatch(length):
        return _check_frames(int(length), what)
    form = _FORM.fullmatch(length)
    if form is None:
        raise UsageError(what, got=repr(length), expected=f"frames, or a time as in {FORMS}")
    if step_minutes is None:
        fix = "say how long a step is with --step-minutes, or give frames"
        raise UsageError(what, got=f"{length} of data whose time step is unknown", expected="frames", fix=fix)
    parts, long = find_parts(step_minutes) if step_months is None else (1, 1)
    step = f"{step_minutes:g} min" if step_months is None and parts == 1 else format_step(step_minutes, step_months)
    if parts > 1 and form[2] in MONTHS:
        step_months = long
    if step_months is None and form[2] in MONTHS:
        raise UsageError(what, got=length, expected=f"a time of fixed length as in 50min, 2h: the step is {step}")
    if step_months is not None and form[2] not in MONTHS:
        raise UsageError(what, got=length, expected=f"months or years as in 6mon, 1y: the step is {step}")
    exact = float(form[1]) * (
        MINUTES[form[2]] / step_minutes if step_months is None else MONTHS[form[2]] * parts / step_months
    )
    frames = round(exact)
    if math.isclose(exact, frames, abs_tol=NEARLY):
        return _check_frames(frames, what)
    near = f"{math.floor(exact)} or {math.ceil(exact)} frames"
    raise UsageError(what, got=length, expected=f"a multiple of the step, {step}", fix=f"give {near}")


def usual_period(spec: FrameSpec) -> str:
    """Name the time after which values usually come again: a day; a year of data in steps of calendar months."""
    return "1y" if spec.step_months else "24h"


def count_period(period: int | str, spec: FrameSpec, what: str) -> int:
    """Convert a period to frames, one or more.

    Args:
        period: frames, or a time as in 24h.
        spec: contract of the frames, with their step.
        what: name of the period in errors.

    Raises:
        UsageError: no period, or a time that is no whole number of steps.
    """
    frames = in_frames(period, spec.step_minutes, what, spec.step_months)
    if frames < 1:
        raise UsageError(what, got=period, expected="one frame or more, or a time as in 24h")
    return frames


def _check_frames(frames: int, what: str) -> int:
    if frames > MAX_COUNT:
        raise UsageError(what, got=f"{frames} frames", expected=f"at most {MAX_COUNT}")
    return frames
