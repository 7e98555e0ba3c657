"""Intervals of time that frames stand for, and the sums of equal length that can be had from those of a file.

An instant has one time. Sums, means, maxima and minima have a start and an end, and are valid at their end. A model
writes sums over steps (0-6, 6-12 h), since its start (0-6, 0-12 h), or since the last reset (0-3, 0-6, 6-9, 6-12 h):
these are different quantities, and a sequence holds one of them.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError

INSTANT, SUM, MEAN = "instant", "sum", "mean"
CELL_METHODS = {SUM: "time: sum", MEAN: "time: mean", "maximum": "time: maximum", "minimum": "time: minimum"}
"""CF cell methods of the kinds that have one."""
LENGTH = re.compile(r"\d+(?:s|min|h|mon)")
"""Spelling of a length of time, as `Interval.length` gives it."""
RUN = "run"
"""Word of a variable for the intervals since the start of the forecast."""
_Found = dict[tuple[Hashable, np.datetime64], dict[np.datetime64, int]]
"""Index of the first entry of each interval, by its group and start, and by its end."""
SHOWN = 6
"""Largest number of lengths that an error lists."""
_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
_NEAR, _FAR = 1.1, 2.0
"""Ratios of lengths that are still one length: of clocks, and of whole days: months, or dekads of 8 to 11 days."""


TimePlace = Literal["start", "middle", "end"]
PLACES: tuple[TimePlace, ...] = ("end", "start", "middle")
"""Where in its interval the time of a frame may lie."""


class Interval(NamedTuple):
    """The time that a frame stands for; start and end are equal for an instant."""

    start: np.datetime64
    end: np.datetime64
    """datetime64[ms], UTC."""
    kind: str
    """instant, sum, mean, maximum, minimum, or another word for how values in the interval were combined."""

    @property
    def length(self) -> str:
        """Length as in 90s, 15min, 6h, 1mon; whole months are months, however many days these have."""
        first, last = (time.astype("datetime64[M]") for time in (self.start, self.end))
        months = int((last - first).astype(np.int64))
        if months > 0 and self.start - first == self.end - last:
            return f"{months}mon"
        milliseconds = int((self.end - self.start).astype("timedelta64[ms]").astype(np.int64))
        for unit, name in ((_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
            if milliseconds % unit == 0:
                return f"{milliseconds // unit}{name}"
        return f"{milliseconds}ms"


class TimeTile(NamedTuple):
    """One frame as what is stored gives it: an entry, or an entry less an earlier one since the same start."""

    entry: int
    """Index of the stored interval."""
    earlier: int | None
    """Index of the stored interval to take off; None where the entry is the frame."""
    interval: Interval
    """The time that the frame stands for."""
    weights: tuple[float, float] = (1.0, 0.0)
    """Frame = weights[0] x entry - weights[1] x earlier."""

    def combine(self, entry: NDArray[Any], earlier: NDArray[Any] | None) -> NDArray[Any]:
        """Compute the values of the frame from the stored ones."""
        return entry if earlier is None else self.weights[0] * entry - self.weights[1] * earlier


def is_window(word: str) -> bool:
    """Whether a word of a variable names a length of sums: 6h, 15min, 1mon, or run."""
    return word == RUN or LENGTH.fullmatch(word) is not None


def choose_tiles(
    intervals: Sequence[Interval],
    is_since_start: Sequence[bool],
    groups: Sequence[Hashable],
    windows: Sequence[str],
    variable: str,
    name: str,
) -> list[TimeTile]:
    """Choose the frames of one quantity by the words of a user: those of one length, or the only ones there are.

    Args:
        intervals: as in `tile_intervals`.
        is_since_start: whether each begins at the start of its forecast.
        groups: as in `tile_intervals`.
        windows: words such as 6h, run.
        variable: as a user names it, for advice.
        name: the file, for errors.

    Raises:
        InputError: no interval of this length, or several lengths and none is asked for.
    """
    examples = ", ".join(f"{variable}[{word}]" for word in _name_windows(intervals, is_since_start))
    fix = f"name one with --var, as in {examples}"
    length = next((word for word in windows if word != RUN), None)
    if RUN not in windows:
        return tile_intervals(intervals, length, name, fix, groups)
    used = [index for index, since in enumerate(is_since_start) if since]
    if not used:
        got = f"{RUN}, of intervals that do not begin with a forecast"
        raise InputError(f"{name}: interval", got=got, expected="a length of time", fix=fix)
    tiles = tile_intervals([intervals[at] for at in used], length, name, fix, [groups[at] for at in used])
    return [
        tile._replace(entry=used[tile.entry], earlier=None if tile.earlier is None else used[tile.earlier])
        for tile in tiles
    ]


def tile_intervals(
    intervals: Sequence[Interval], length: str | None, name: str, fix: str, groups: Sequence[Hashable] | None = None
) -> list[TimeTile]:
    """Choose the frames of one quantity: all of one kind are over intervals of one length.

    Sums and means since a common start are turned into those between their ends.

    Args:
        intervals: of what is stored, all of one kind; those without extent (a sum since the start, at the start) give
            no frame.
        length: length that the user asks for, as `Interval.length`; None for the only one.
        name: the file, for errors.
        fix: advice for errors, how to ask for a length.
        groups: what each belongs to (a folder, a forecast): intervals of two have nothing to do with each other.

    Returns:
        frames in the order of the entries.

    Raises:
        InputError: no interval of this length, or several lengths and none is asked for.
    """
    if intervals and intervals[0].kind == INSTANT:
        return [TimeTile(index, None, interval) for index, interval in enumerate(intervals)]
    groups = [None] * len(intervals) if groups is None else groups
    found: _Found = {}
    for index, interval in enumerate(intervals):
        found.setdefault((groups[index], interval.start), {}).setdefault(interval.end, index)
    used = [index for index, interval in enumerate(intervals) if interval.start < interval.end]
    stops = {key: sorted(ends) for key, ends in found.items()}

    def list_differences(index: int) -> Iterator[TimeTile]:
        key = groups[index], intervals[index].start
        return _list_differences(intervals[index], index, found[key], stops[key])

    if length is None:
        _check_ends([intervals[index] for index in used], [groups[index] for index in used], name, fix)
        tiles = [next(list_differences(index), TimeTile(index, None, intervals[index])) for index in used]
        if not _are_alike([tile.interval for tile in tiles]):
            lengths = list(_count_lengths([tile.interval for tile in tiles]))
            raise _refuse_mixture(tiles[0].interval.kind, lengths, "in turn", name, fix)
        return tiles
    tiles = []
    for index in used:
        whole = TimeTile(index, None, intervals[index])
        options = iter([whole]) if whole.interval.length == length else list_differences(index)
        tiles += itertools.islice((tile for tile in options if tile.interval.length == length), 1)
    whole_ends = {(groups[tile.entry], tile.interval.end) for tile in tiles if tile.earlier is None}
    tiles = [
        tile for tile in tiles if tile.earlier is None or (groups[tile.entry], tile.interval.end) not in whole_ends
    ]
    if not tiles:
        lengths = list(dict.fromkeys(intervals[index].length for index in used))
        raise InputError(f"{name}: interval", got=length, expected=f"one of {', '.join(lengths[:SHOWN])}", fix=fix)
    return tiles


def describe_tiles(tiles: Sequence[TimeTile]) -> list[str]:
    """Describe in notes what the times of frames are, and which frames are differences; nothing for instants."""
    if not tiles or tiles[0].interval.kind == INSTANT:
        return []
    kind, length = tiles[0].interval.kind, describe_lengths([tile.interval for tile in tiles])
    notes = [f"times: each frame is the {kind} over the {length} up to its time"]
    if differences := sum(tile.earlier is not None for tile in tiles):
        stored = f"{kind}s since an earlier start"
        notes.append(f"times: {differences} of {len(tiles)} frames are differences of successive {stored}")
    return notes


def describe_lengths(intervals: Sequence[Interval]) -> str:
    """Describe the lengths of intervals: 6h, or 192h to 264h of dekads."""
    lengths = measure_lengths(intervals)
    return " to ".join(dict.fromkeys(intervals[int(at)].length for at in (lengths.argmin(), lengths.argmax())))


def _name_windows(intervals: Sequence[Interval], is_since_start: Sequence[bool]) -> list[str]:
    """Name the lengths of intervals, and those since the start of the forecast, as a variable may ask for them."""
    counts = _count_lengths([each for each in intervals if each.start < each.end])
    often = [length for length, count in counts.items() if count > 1] or list(counts)
    pairs = zip(intervals, is_since_start, strict=True)
    since = _count_lengths([interval for interval, is_since in pairs if is_since and interval.kind in (SUM, MEAN)])
    return [*often[:SHOWN], *([RUN] if len(since) > 1 else [])]


def _count_lengths(intervals: Sequence[Interval]) -> dict[str, int]:
    """Count intervals by their length, in the order in which these come first."""
    counts: dict[str, int] = {}
    _, firsts, numbers = np.unique(measure_lengths(intervals), return_index=True, return_counts=True)
    for first, number in sorted(zip(firsts.tolist(), numbers.tolist(), strict=True)):
        length = intervals[first].length
        counts[length] = counts.get(length, 0) + number
    return counts


def measure_lengths(intervals: Sequence[Interval]) -> NDArray[np.int64]:
    """Measure the lengths of intervals in milliseconds."""
    edges = np.array([(each.start, each.end) for each in intervals], "datetime64[ms]").astype(np.int64).reshape(-1, 2)
    return edges[:, 1] - edges[:, 0]


def _are_alike(intervals: Sequence[Interval]) -> bool:
    """Whether lengths are one, but for what clocks and the calendar make of it."""
    if len(_count_lengths(intervals)) <= 1:
        return True
    lengths = measure_lengths(intervals)
    ratio = lengths.max() / lengths.min()
    return bool(ratio <= _NEAR or (ratio < _FAR and (lengths % _DAY == 0).all()))


def _check_ends(intervals: Sequence[Interval], groups: Sequence[Hashable], name: str, fix: str) -> None:
    """Refuse intervals of different lengths that end at the same time."""
    by_end: dict[tuple[Hashable, np.datetime64], Interval] = {}
    for interval, group in zip(intervals, groups, strict=True):
        other = by_end.setdefault((group, interval.end), interval)
        if other.start != interval.start:
            lengths = list(_count_lengths(intervals))
            raise _refuse_mixture(interval.kind, lengths, f"that end together, as at {interval.end}", name, fix)


def _refuse_mixture(kind: str, lengths: Sequence[str], how: str, name: str, fix: str) -> InputError:
    more = f" and {len(lengths) - SHOWN} more" if len(lengths) > SHOWN else ""
    got = f"{kind}s over {', '.join(lengths[:SHOWN])}{more} {how}"
    return InputError(name, got=got, expected=f"{kind}s over one length of time", fix=fix)


def _list_differences(
    interval: Interval, index: int, found: dict[np.datetime64, int], stops: Sequence[np.datetime64]
) -> Iterator[TimeTile]:
    """Iterate over the frames that an entry gives less an earlier one since the same start, the shortest first.

    Args:
        interval: of the entry.
        index: of the entry.
        found: entries since that start by their ends.
        stops: these ends, ascending.
    """
    start, end, kind = interval
    if kind not in (SUM, MEAN):
        return
    for between in reversed(stops[: bisect.bisect_left(stops, end)]):
        if between > start:
            weights = (1.0, 1.0)
            if kind == MEAN:
                weights = ((end - start) / (end - between), (between - start) / (end - between))
            yield TimeTile(index, found[between], Interval(between, end, kind), weights)


def find_interval(times: NDArray[Any], starts: NDArray[Any], ends: NDArray[Any]) -> tuple[str, TimePlace] | None:
    """Find the length of intervals, and where in them the times of frames lie; None where they are unlike each other.

    Args:
        times: (T,), datetime64[ms].
        starts: (T,), of the intervals.
        ends: (T,), of the intervals.
    """
    bounds = np.stack([starts, ends], -1)
    lengths = {Interval(start, end, "").length for start, end in bounds}
    if len(lengths) != 1 or not (starts < ends).all():
        return None
    (length,) = lengths
    found = (place for place in PLACES if np.array_equal(make_bounds(times, length, place), bounds))
    return next(((length, place) for place in found), None)


def make_bounds(times: NDArray[Any], length: str, place: TimePlace) -> NDArray[Any]:
    """Make the starts and ends of the intervals of frames.

    Args:
        times: datetime64[ms], of any shape.
        length: length of an interval, as `Interval.length`.
        place: where in its interval a time lies; in the middle of a month is anywhere within it.

    Returns:
        (..., 2), datetime64[ms].
    """
    if length.endswith("mon"):
        months = times.astype("datetime64[M]")
        count, rest = int(length.removesuffix("mon")), times - months
        first = {"start": months, "middle": months, "end": months - count}[place]
        edges = [first, first + count]
        rest = rest * (place != "middle")
        return np.stack([edge.astype("datetime64[ms]") + rest for edge in edges], -1)
    number, unit = re.fullmatch(r"(\d+)(h|min|s|ms)", length).groups()  # type: ignore[union-attr]
    span = np.timedelta64(int(number) * {"h": _HOUR, "min": _MINUTE, "s": _SECOND, "ms": 1}[unit], "ms")
    start = times - {"start": 0, "middle": 1, "end": 2}[place] * span // 2
    return np.stack([start, start + span], -1)
