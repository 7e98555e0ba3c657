"""Lines of a map over the frames of a grid: coastlines, borders, meridians and parallels, in pixels, north up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.maps.place import PROBES, Cover, GridPlace, Line, find_cover, find_place
from framecast.types import Grid

CREDIT = "Coastlines and borders: Natural Earth"
STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 45.0)
"""Degrees between meridians, and between parallels."""
MOST = 5
"""Meridians, and parallels, that cross a frame, about, at most."""
DENSE = 0.25
"""Length of a line's pieces, degrees, at most: what is straight in degrees is curved in a projection."""
DETAIL = 1000
"""Points of a line along the longer side of a frame that tell apart what is seen; those nearer are left out."""
JUMP = 60
"""Degrees that a piece of a line is long, at most, unless it leaves a frame at one side and comes in at another."""


class Meridian(NamedTuple):
    """Line of one longitude, or of one latitude."""

    label: str
    """In degrees, such as 52°N."""
    lines: list[Line]
    is_parallel: bool


class MapLines(NamedTuple):
    """Lines over the frames of a grid, cut at the edges of the frames."""

    height: int
    width: int
    coasts: list[Line]
    borders: list[Line]
    degrees: list[Meridian]
    north: float
    """Direction of the north in the middle of the frame, degrees, clockwise from up."""


def trace_map(grid: Grid) -> MapLines | None:
    """Trace what a map shows onto the pixels of a grid; None where its place is not known.

    Args:
        grid: with coordinates that are longitudes and latitudes, or those of a CRS.

    Example:
        >>> from framecast.maps.outlines import trace_map
        >>> from framecast.types import Grid
        >>> lines = trace_map(Grid(y=tuple(range(60, 40, -1)), x=tuple(range(-10, 20)), axis_units="degrees"))
        >>> lines.height, lines.width, lines.north, len(lines.coasts) > 3
        (20, 30, 0.0, True)
        >>> [one.label for one in lines.degrees if one.is_parallel]
        ['45°N', '50°N', '55°N', '60°N']
    """
    place = find_place(grid)
    cover = None if place is None else find_cover(place)
    if place is None or cover is None:
        return None
    lines: dict[bool, list[Line]] = {False: [], True: []}
    for line, is_border in _find_nearby(cover):
        lines[is_border] += _draw(place, line, cover)
    height, width = place.shape
    return MapLines(height, width, lines[False], lines[True], list(_draw_degrees(place, cover)), _find_north(place))


def list_outlines(grid: Grid) -> list[tuple[Line, bool]]:
    """List the coasts and borders near a grid, longitudes and latitudes (P, 2), each with whether it is a border."""
    place = find_place(grid)
    cover = None if place is None else find_cover(place)
    return [] if cover is None else list(_find_nearby(cover))


@cache
def _load_outlines() -> tuple[list[Line], NDArray[np.bool_], NDArray[np.float64]]:
    """Load lines of longitudes and latitudes; whether each is a border; their smallest and largest values, (L, 2, 2)."""
    with (resources.files("framecast.maps") / "natural_earth.npz").open("rb") as file, np.load(file) as stored:
        scale, origin, points = stored["scale"], stored["origin"], stored["points"]
        pieces = np.split(stored["steps"], np.cumsum(points - 1)[:-1])
        starts, is_border = stored["start"], stored["is_border"]
    lines = [
        origin + scale * np.cumsum(np.concatenate([start[None], steps]), axis=0)
        for start, steps in zip(starts, pieces, strict=True)
    ]
    return lines, is_border, np.array([[line.min(0), line.max(0)] for line in lines])


def _find_nearby(cover: Cover) -> Iterator[tuple[Line, bool]]:
    """Find the coasts and borders that may cross what a grid covers, by whole turns of the Earth if need be."""
    lines, is_border, ends = _load_outlines()
    margin = cover.span / PROBES
    is_near = (ends[:, 0, 1] <= cover.north + margin) & (ends[:, 1, 1] >= cover.south - margin)
    for turn in (-360.0, 0.0, 360.0):
        inside = (ends[:, 0, 0] + turn <= cover.east + margin) & (ends[:, 1, 0] + turn >= cover.west - margin)
        for number in np.flatnonzero(is_near & inside):
            yield lines[number] + np.array([turn, 0.0]), bool(is_border[number])


def _draw_degrees(place: GridPlace, cover: Cover) -> Iterator[Meridian]:
    """Draw meridians, then parallels, at round degrees."""
    along = {False: (cover.south, cover.north), True: (cover.west, cover.east)}
    for is_parallel, (low, high) in ((False, along[True]), (True, along[False])):
        step = next((step for step in STEPS if (high - low) / step <= MOST), STEPS[-1])
        steps = np.linspace(*along[is_parallel], 181)
        for degree in np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step:
            line = np.stack([steps, np.full_like(steps, degree)][:: 1 if is_parallel else -1], axis=1)
            drawn = _draw(place, line, cover)
            if drawn:
                yield Meridian(_label_degree(float(degree), is_parallel=is_parallel), drawn, is_parallel)


def _label_degree(degree: float, *, is_parallel: bool) -> str:
    degree = degree if is_parallel else (degree + 180) % 360 - 180
    letter = ("NS" if is_parallel else "EW")[degree < 0] if abs(degree) not in (0, 180) else ""
    return f"{abs(round(degree, 1)):g}°{letter}"


def _find_north(place: GridPlace) -> float:
    """Find the direction of the north in the middle of a grid, degrees, clockwise from up; 0 where it has none."""
    height, width = place.shape
    middle = place.unproject(place.x[width // 2], place.y[height // 2])
    here, there = place.locate(np.array([middle, middle]) + np.array([[0.0, 0.0], [0.0, 0.01]]))
    columns, rows = there - here
    return float(np.degrees(np.arctan2(columns, -rows))) + 0.0 if np.isfinite([columns, rows]).all() else 0.0


def _draw(place: GridPlace, degrees: Line, cover: Cover) -> list[Line]:
    """Draw a line (P, 2) of longitudes and latitudes as lines in pixels, cut at the edges of the frame."""
    height, width = place.shape
    longer = max(height, width)
    points = place.locate(_densify(degrees))
    return [_thin(line, longer / DETAIL) for line in _clip(points, width, height, JUMP * longer / cover.span)]


def _densify(line: Line) -> Line:
    """Put points between those of a line (P, 2), so that no piece is longer than `DENSE`, degrees."""
    counts = np.ceil(np.abs(np.diff(line, axis=0)).max(1) / DENSE).astype(int).clip(1)
    position = np.concatenate([np.arange(count) / count + at for at, count in enumerate(counts)] + [[len(line) - 1.0]])
    return np.stack([np.interp(position, np.arange(len(line)), part) for part in line.T], axis=1)


def _clip(points: Line, width: int, height: int, longest: float) -> list[Line]:
    """Cut a line (P, 2) at the edges of a frame, by Liang and Barsky; pieces longer than `longest` are left out."""
    begin, step = points[:-1], np.diff(points, axis=0)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(begin).all(1) & np.isfinite(step).all(1) & (np.hypot(*step.T) <= longest)
    begin, step = begin[known], step[known]
    edges = np.array([width, height]) - 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        ways = np.stack([(-0.5 - begin) / step, (edges - begin) / step])
    still = step == 0
    is_within = (begin >= -0.5) & (begin <= edges)
    enter = np.where(still, np.where(is_within, 0.0, np.inf), ways.min(0)).max(1).clip(0)
    leave = np.where(still, np.where(is_within, 1.0, -np.inf), ways.max(0)).min(1).clip(max=1)
    drawn = enter < leave
    starts, ends = (begin[drawn] + at[drawn, None] * step[drawn] for at in (enter, leave))
    if not len(starts):
        return []
    # a piece that begins where the one before it ended goes on with it
    breaks = np.flatnonzero(np.abs(starts[1:] - ends[:-1]).max(1) > 1e-9) + 1
    pieces = zip(np.split(starts, breaks), np.split(ends, breaks), strict=True)
    return [np.concatenate([first[:1], rest]) for first, rest in pieces]


def _thin(line: Line, least: float) -> Line:
    """Leave out points of a line (P, 2) that are nearer than `least` to the one before; the ends stay."""
    kept, last = [0], line[0]
    for number in range(1, len(line) - 1):
        if max(abs(line[number] - last)) >= least:
            kept.append(number)
            last = line[number]
    return line[[*kept, len(line) - 1]]
