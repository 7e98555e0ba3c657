"""Cell methods of the CF conventions (section 7.3): how the values of a variable are combined along its axes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from framecast.data.formats.intervals import INSTANT, MEAN, SUM

_METHOD = re.compile(r"\s*((?:[\w.]+:\s*)+)(\w+)((?:\s+[\w.]+(?![\w.:]))*)\s*(?:\(([^()]*)\))?\s*")
"""Axes, method, words such as `within days`, and what stands in parentheses."""
_INTERVAL = re.compile(r"\s*interval:\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*(?:(?:interval|comment):.*)?", re.DOTALL)
_MINUTES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1 / 60),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 1.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 60.0),
    **dict.fromkeys(("d", "day", "days"), 1440.0),
}
_NAMED = re.compile(r"((?:[\w.]+:\s*)+)(\w+)")
_REMARK = re.compile(r"\(([^()]*)\)")
_TIMES = re.compile(r"(?:valid_)?time\d*|t")
_KINDS = {"point": INSTANT, "accum": SUM, "avg": MEAN, "max": "maximum", "min": "minimum"}
"""Kinds as in `Interval.kind`, by what CF calls them, and by ecCodes' stepType, which cfgrib writes."""


class TimeMethod(NamedTuple):
    """How the values of a frame are combined in time."""

    kind: str = ""
    """As in `Interval.kind`; empty where the file does not say."""
    interval: str = ""
    """What a file says of the interval of a sum, as 5 min; empty where it says nothing."""

    def __str__(self) -> str:
        """Name the method: sum (5 min)."""
        return f"{self.kind} ({self.interval})" if self.interval else self.kind


def read_time_method(attributes: Mapping[str, Any], dims: Sequence[str]) -> TimeMethod:
    """Read how values are combined in time: the last method that was applied along time.

    Args:
        attributes: of the variable.
        dims: names of axes of time, beside those that are usual.
    """
    text, kind, inside = str(attributes.get("cell_methods", "")), "", ""
    for match in _NAMED.finditer(_REMARK.sub(lambda remark: " " * len(remark[0]), text)):
        axes = re.findall(r"[\w.]+", match[1])
        if any(axis in dims or _TIMES.fullmatch(axis) for axis in axes):
            remark = _REMARK.match(text[match.end() :].lstrip())
            kind, inside = match[2].lower(), remark[1] if remark else ""
    kind = kind or str(attributes.get("GRIB_stepType", "")).lower()
    kind = _KINDS.get(kind, kind)
    interval = re.match(r"\s*interval:\s*(\S+\s+[A-Za-z]+)", inside)
    return TimeMethod(kind, " ".join(interval[1].split()) if interval and kind == SUM else "")


def _parse_whole(text: str) -> tuple[str, str]:
    """Parse the last that was done along time, and what stands in parentheses: "sum", "interval: 5 min".

    Two empty texts unless the whole text is understood.
    """
    at, last, inside = 0, "", ""
    while at < len(text):
        match = _METHOD.match(text, at)
        if match is None:
            return "", ""
        if any(re.fullmatch(r"(valid_)?time\d*", name) for name in re.findall(r"[\w.]+", match[1])):
            last, inside = match[2].lower(), match[4] or ""
        at = match.end()
    return last, inside


def read_sum_minutes(text: str) -> float | None:
    """Read the interval of a sum over time, minutes: 5 of "time: sum (interval: 5 min)".

    None unless the whole text is understood and a sum is the last that was done along time.
    """
    last, inside = _parse_whole(text)
    interval = _INTERVAL.fullmatch(inside)
    minutes = _MINUTES.get(interval[2].lower(), 0.0) * float(interval[1]) if interval else 0.0
    return minutes if last == "sum" and minutes > 0 else None
