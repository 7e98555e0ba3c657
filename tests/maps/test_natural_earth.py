"""The coastlines of the package: how they were made of TopoJSON."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from framecast.maps.natural_earth import make_outlines, simplify

TOPOLOGY = {
    "transform": {"scale": [0.5, 0.25], "translate": [-180, -90]},
    "objects": {
        "countries": {
            "geometries": [
                {"type": "Polygon", "arcs": [[0, 1]]},
                {"type": "MultiPolygon", "arcs": [[[-1, 2]], [[3]]]},
                {"type": None},
            ]
        }
    },
    # a border, two coasts, and a ring that the date line cuts
    "arcs": [
        [[10, 10], [0, 10]],
        [[10, 20], [5, 0], [0, -10], [-5, 0]],
        [[10, 20], [-5, 0], [0, -10], [5, 0]],
        [[700, 100], [18, 0], [0, 10], [-718, 0], [3, 0]],
    ],
}


def test_shared_lines_are_borders_and_the_date_line_is_none() -> None:
    made = make_outlines(TOPOLOGY, 0.0)
    assert made["is_border"].tolist() == [True, False, False, False, False]
    assert made["start"].tolist()[3:] == [[700, 100], [0, 110]]
    assert made["points"].tolist() == [2, 4, 4, 3, 2]
    assert made["steps"].tolist()[:4] == [[0, 10], [5, 0], [0, -10], [-5, 0]]


@given(arrays.arrays(np.float64, st.tuples(st.integers(2, 40), st.just(2)), elements=st.floats(-10, 10)))
def test_a_simpler_line_is_nowhere_far_from_the_line(line: np.ndarray) -> None:
    kept = simplify(line, 0.5)
    assert kept[0]
    assert kept[-1]
    corners = np.flatnonzero(kept)
    for first, last in pairwise(corners):
        chord = line[last] - line[first]
        for point in line[first + 1 : last]:
            normal = np.array([-chord[1], chord[0]])
            length = np.hypot(*chord)
            off = np.hypot(*(point - line[first])) if length == 0 else abs((point - line[first]) @ normal) / length
            assert off <= 0.5 + 1e-9


def test_what_the_package_holds_is_small_and_of_the_whole_earth() -> None:
    path = resources.files("framecast.maps") / "natural_earth.npz"
    with path.open("rb") as file:
        assert len(file.read()) < 250_000
    with path.open("rb") as file, np.load(file) as stored:
        assert stored["points"].sum() - len(stored["points"]) == len(stored["steps"])
        degrees = stored["origin"] + stored["scale"] * stored["start"]
        assert stored["is_border"].sum() > 300
    assert (degrees.min(0) < (-175, -70)).all()
    assert (degrees.max(0) > (175, 80)).all()
