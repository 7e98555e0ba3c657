"""Make natural_earth.npz: coastlines and borders of Natural Earth, simplified, from TopoJSON.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m framecast.maps.natural_earth package/countries-50m.json src/framecast/maps/natural_earth.npz

Where two countries share a line it is a border, else a coast.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

TOLERANCE = 0.01
"""Distance by which a line may be off after its simplification, degrees."""
SEAM, POLE = 179.99, -89.9
"""Lines beyond this longitude, and below this latitude, close polygons and are no coasts, degrees."""


def make_outlines(topology: dict[str, Any], tolerance: float = TOLERANCE) -> dict[str, NDArray[Any]]:
    """Make the arrays of natural_earth.npz.

    Args:
        topology: TopoJSON with an object `countries`, in degrees.
        tolerance: distance by which a line may be off, degrees.

    Returns:
        `start` (L, 2) and `steps` (P - L, 2), where each line begins and how it goes on, longitude and latitude in steps
        of `scale` (2,) degrees from `origin` (2,); `points` (L,), the number of points of each line; `is_border` (L,).
    """
    uses = Counter(_list_arcs(topology["objects"]["countries"]))
    scale, origin = (np.array(topology["transform"][key], np.float64) for key in ("scale", "translate"))
    starts, steps, points, is_border = [], [], [], []
    for number, count in sorted(uses.items()):
        line = np.cumsum(np.array(topology["arcs"][number], np.int64), axis=0)
        for piece in _cut_seams(line, origin + scale * line):
            kept = piece[simplify(origin + scale * piece, tolerance)]
            starts.append(kept[0])
            steps.append(np.diff(kept, axis=0))
            points.append(len(kept))
            is_border.append(count > 1)
    return {
        "scale": scale,
        "origin": origin,
        "start": np.array(starts, np.int32),
        "steps": np.concatenate(steps).astype(np.int32),
        "points": np.array(points, np.int32),
        "is_border": np.array(is_border),
    }


def simplify(line: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Choose the points (P,) of a line (P, 2) that keep it within a tolerance, by Douglas and Peucker; ends stay."""
    kept = np.zeros(len(line), bool)
    kept[[0, -1]] = True
    spans = [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        inner, chord = line[first + 1 : last] - line[first], line[last] - line[first]
        length = float(np.hypot(*chord))
        distance = np.hypot(*inner.T) if length == 0 else np.abs(inner @ np.array([-chord[1], chord[0]])) / length
        farthest = int(distance.argmax())
        if distance[farthest] > tolerance:
            middle = first + 1 + farthest
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    return kept


def _list_arcs(collection: dict[str, Any]) -> Iterator[int]:
    """List the number of each arc, once for each polygon's ring that it is a part of."""
    for geometry in collection["geometries"]:
        polygons = {"Polygon": [geometry.get("arcs")], "MultiPolygon": geometry.get("arcs", [])}.get(
            geometry["type"], []
        )
        for polygon in polygons:
            for ring in polygon:
                yield from (arc if arc >= 0 else ~arc for arc in ring)


def _cut_seams(line: NDArray[np.int64], degrees: NDArray[np.float64]) -> Iterator[NDArray[np.int64]]:
    """Cut the pieces out of a line that run along or across the date line, or round the pole."""
    beyond = (np.abs(degrees[:, 0]) > SEAM) | (degrees[:, 1] < POLE)
    is_drawn = ~(beyond[:-1] & beyond[1:]) & (np.abs(np.diff(degrees[:, 0])) < 180)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_drawn, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        yield line[first : last + 1]


def write_outlines(source: Path, path: Path) -> None:
    """Make `path`, natural_earth.npz, of a TopoJSON file."""
    with path.open("wb") as file:
        np.savez_compressed(file, **make_outlines(json.loads(source.read_text(encoding="utf-8"))))  # type: ignore[arg-type]


if __name__ == "__main__":
    typer.run(write_outlines)
