"""Maps: coasts run where they run on the Earth, in any projection, either way up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from framecast.maps.outlines import MapLines, trace_map
from framecast.types import Grid

A, B = 6378.137, 6356.752
"""Axes of the Earth in KNMI's grid, km."""
KNMI = Grid(
    y=tuple((-3650.5 - np.arange(765)).tolist()),
    x=tuple((0.5 + np.arange(700)).tolist()),
    axis_units="km",
    crs=f"+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a={1000 * A} +b={1000 * B} +x_0=0 +y_0=0",
)
UTRECHT, MAASTRICHT, DOGGER_BANK, NORWICH = (52.09, 5.12), (50.85, 5.69), (54.7, 2.3), (52.63, 1.29)


def to_pixel(latitude: float, longitude: float) -> np.ndarray:
    """Column and row in KNMI's grid, by Snyder's equations 15-9, 14-15, 21-34 of the polar stereographic projection."""
    e = math.sqrt(1 - (B / A) ** 2)

    def t(phi: float) -> float:
        return math.tan(math.pi / 4 - phi / 2) / ((1 - e * math.sin(phi)) / (1 + e * math.sin(phi))) ** (e / 2)

    true = math.radians(60)
    m = math.cos(true) / math.sqrt(1 - (e * math.sin(true)) ** 2)
    rho = A * m * t(math.radians(latitude)) / t(true)
    x, y = rho * math.sin(math.radians(longitude)), -rho * math.cos(math.radians(longitude))
    return np.array([x - 0.5, -3650.5 - y])


def count_crossings(coasts: list[np.ndarray], a: np.ndarray, b: np.ndarray) -> int:
    """How often the way from a to b crosses a coast."""

    def side(p, q, r):
        return np.sign((q - p)[..., 0] * (r - p)[..., 1] - (q - p)[..., 1] * (r - p)[..., 0])

    number = 0
    for line in coasts:
        first, second = line[:-1], line[1:]
        apart = side(a, b, first) != side(a, b, second)
        number += int((apart & (side(first, second, a) != side(first, second, b))).sum())
    return number


def measure_distance(lines: list[np.ndarray], point: np.ndarray) -> float:
    """From a point to the nearest line, pixels."""
    nearest = math.inf
    for line in lines:
        first, step = line[:-1], np.diff(line, axis=0)
        share = (((point - first) * step).sum(1) / np.maximum((step**2).sum(1), 1e-12)).clip(0, 1)
        nearest = min(nearest, float(np.hypot(*(first + share[:, None] * step - point).T).min()))
    return nearest


@pytest.fixture(scope="module")
def knmi() -> MapLines:
    return trace_map(KNMI)


def test_corners_of_the_oracle_are_those_that_knmi_publishes() -> None:
    corners = {(55.973602, 0.0): (-0.5, -0.5), (55.388973, 10.856453): (699.5, -0.5), (49.362064, 0.0): (-0.5, 764.5)}
    for place, pixel in corners.items():
        np.testing.assert_allclose(to_pixel(*place), pixel, atol=0.1)


def test_the_coast_passes_where_it_does(knmi: MapLines) -> None:
    """Scheveningen, Westkapelle, Calais and Lowestoft lie on the sea; at 1:50m a coast is true to a few km."""
    for place in ((52.11, 4.26), (51.53, 3.43), (50.97, 1.85), (52.48, 1.76)):
        assert measure_distance(knmi.coasts, to_pixel(*place)) < 5, place
    assert measure_distance(knmi.borders, to_pixel(50.755, 6.02)) < 3  # where three countries meet
    assert measure_distance(knmi.coasts, to_pixel(*UTRECHT)) > 30


def test_cities_are_on_land_and_banks_at_sea(knmi: MapLines) -> None:
    utrecht, maastricht, bank, norwich = (to_pixel(*place) for place in (UTRECHT, MAASTRICHT, DOGGER_BANK, NORWICH))
    assert count_crossings(knmi.coasts, utrecht, maastricht) % 2 == 0
    for city in (utrecht, maastricht, norwich):
        assert count_crossings(knmi.coasts, bank, city) % 2 == 1
    assert count_crossings(knmi.borders, utrecht, maastricht) >= 1  # through Belgium, or along its border


def test_lines_stay_in_the_frame(knmi: MapLines) -> None:
    lines = [*knmi.coasts, *knmi.borders, *(line for degree in knmi.degrees for line in degree.lines)]
    points = np.concatenate(lines)
    assert points.min() >= -0.5
    assert (points.max(0) <= (699.5, 764.5)).all()
    assert max(np.hypot(*np.diff(line, axis=0).T).max() for line in lines) < 60  # no leap across the frame
    assert {one.label for one in knmi.degrees} >= {"52°N", "54°N", "5°E"}
    (line,) = next(one.lines for one in knmi.degrees if one.label == "52°N")
    np.testing.assert_allclose(np.interp(to_pixel(52, 5)[0], *line.T), to_pixel(52, 5)[1], atol=0.3)


def test_north_is_where_it_is(knmi: MapLines) -> None:
    """East of the central meridian, the meridians lean to the right on their way down: north is to the left."""
    middle = to_pixel(52.4, 5.2)  # about the middle of the frame, where a meridian goes up to the pole
    pole = np.array([-0.5, -3650.5])
    lean = math.degrees(math.atan2((pole - middle)[0], -(pole - middle)[1]))
    assert knmi.north == pytest.approx(lean, abs=0.3)


def test_rows_from_the_south_are_shown_north_up(knmi: MapLines) -> None:
    turned = trace_map(KNMI.model_copy(update={"y": KNMI.y[::-1]}))
    for one, other in zip(knmi.coasts, turned.coasts, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("west", [-30.0, 330.0])
def test_longitudes_count_either_way(west: float) -> None:
    grid = Grid(y=tuple(range(70, 30, -1)), x=tuple((west + np.arange(50.0)).tolist()), axis_units="degrees")
    lines = trace_map(grid)
    assert measure_distance(lines.coasts, np.array([30 - 9.5, 70 - 38.7])) < 0.3  # Cabo da Roca
    assert [one.label for one in lines.degrees if not one.is_parallel] == ["30°W", "20°W", "10°W", "0°", "10°E"]


def test_a_rotated_pole_and_another_datum_are_understood() -> None:
    mapping = {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": 39.25,
        "grid_north_pole_longitude": -162.0,
    }
    axes = {"y": tuple(np.arange(-10, 10, 0.5).tolist()), "x": tuple(np.arange(-20, 10, 0.5).tolist())}
    lines = trace_map(Grid(**axes, axis_units="degrees", mapping=mapping))
    assert measure_distance(lines.coasts, _rotate(57.75, 10.6)) < 0.3  # Skagen, the northern tip of Jutland
    assert trace_map(Grid(**axes, axis_units="degrees", crs="+proj=longlat +a=6378160 +b=6356775")).coasts


def _rotate(latitude: float, longitude: float) -> np.ndarray:
    """Pixel of a place: the sphere turned so that 50.75 N, 18 E comes to 0, 0."""
    phi, lam, turn = math.radians(latitude), math.radians(longitude - 18), math.radians(50.75)
    x, y, z = math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)
    x, z = x * math.cos(turn) + z * math.sin(turn), z * math.cos(turn) - x * math.sin(turn)
    column, row = (math.degrees(math.atan2(y, x)) + 20) / 0.5, (math.degrees(math.asin(z)) + 10) / 0.5
    return np.array([column, 39 - row])  # north up


@pytest.mark.parametrize(
    "grid",
    [
        Grid(),
        Grid(y=(1.0, 0.0), x=(0.0, 1.0)),
        Grid(y=(1.0, 0.0), x=(0.0, 1.0), axis_units="degrees", crs="EPSG:3035"),
        Grid(y=(1.0,), x=(0.0, 1.0), axis_units="degrees"),
        Grid(y=(1.0, 0.0), x=(0.0, 1.0), axis_units="m", crs="+proj=stere +lat_0=90 +a=1737400"),  # the Moon
    ],
)
def test_without_a_place_there_is_no_map(grid: Grid) -> None:
    assert trace_map(grid) is None


def test_the_whole_earth_is_drawn_once() -> None:
    x = np.arange(0.5, 360)
    lines = trace_map(Grid(y=tuple(np.arange(89.5, -90, -1).tolist()), x=tuple(x.tolist()), axis_units="degrees"))
    assert measure_distance(lines.coasts, np.array([360 - 9.5 - 0.5, 89.5 - 38.7])) < 0.5
    assert max(np.abs(np.diff(line[:, 0])).max() for line in lines.coasts) < 20
