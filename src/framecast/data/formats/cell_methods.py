"""Cell methods of the CF conventions (section 7.3): how the values of a variable are combined along its axes."""

from __future__ import annotations

import re

_METHOD = re.compile(r"\s*((?:[\w.]+:\s*)+)(\w+)((?:\s+[\w.]+(?![\w.:]))*)\s*(?:\(([^()]*)\))?\s*")
"""Axes, method, words such as `within days`, and what stands in parentheses."""
_INTERVAL = re.compile(r"\s*interval:\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*(?:(?:interval|comment):.*)?", re.DOTALL)
_MINUTES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1 / 60),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 1.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 60.0),
    **dict.fromkeys(("d", "day", "days"), 1440.0),
}


def read_time_method(text: str) -> tuple[str, str]:
    """Read the last that was done along time, and what stands in parentheses: "sum", "interval: 5 min".

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
    last, inside = read_time_method(text)
    interval = _INTERVAL.fullmatch(inside)
    minutes = _MINUTES.get(interval[2].lower(), 0.0) * float(interval[1]) if interval else 0.0
    return minutes if last == "sum" and minutes > 0 else None
