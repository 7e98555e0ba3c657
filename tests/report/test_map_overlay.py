"""Maps over the films of a page, and colour bars below them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np

from framecast.maps.outlines import trace_map
from framecast.plotting.view import PlotView
from framecast.report.colour_bars import draw_colour_bars
from framecast.report.frames import ChosenSequences, ShownSequence, make_frames_section
from framecast.report.map_overlay import describe_map, draw_map
from framecast.types import FrameSpec, Grid

GRID = Grid(y=tuple(range(60, 48, -1)), x=tuple(range(-10, 10)), axis_units="degrees")


def make_section(*grids: Grid):
    spec = FrameSpec(channels=1, height=12, width=20, units="mm/h", high=30.0)
    frames = np.zeros((4, 1, 12, 20), np.float32)
    frames[3, 0, 5, 5] = 4.0
    shown = [ShownSequence(n, f"sequence {n}", frames, {"net": frames[2:] * 0.5}, grid) for n, grid in enumerate(grids)]
    return make_frames_section(ChosenSequences(shown, PlotView(spec, False, "")), 2, "In order.")


def test_paths_pass_the_points_of_the_lines() -> None:
    lines = trace_map(GRID)
    drawn = ET.fromstring(draw_map(lines, 3))
    paths = {path.get("id"): path.get("d") for path in drawn.iter("path")}
    assert set(paths) == {"map3-degrees", "map3-borders", "map3-coasts"}
    longest = max(lines.coasts, key=len)
    points = [
        np.array(re.findall(r"-?\d+", part), int).reshape(-1, 2).cumsum(0) for part in paths["map3-coasts"].split("M")
    ]
    drawn_points = np.concatenate(points)
    for point in 50 * (longest + 0.5):  # 20 pixels are 1000 units wide
        assert np.abs(drawn_points - point).max(1).min() <= 0.51
    assert "55°N" in [text.text for text in drawn.iter("text")]


def test_a_map_is_defined_once_for_all_sequences_of_its_place() -> None:
    player, text = make_section(GRID, GRID, GRID.model_copy(update={"x": tuple(range(0, 20))}), Grid()).blocks
    assert [sample.map for sample in player.samples] == [0, 0, 1, None]
    assert len(player.maps) == 2
    assert "North is up. Coastlines and borders: Natural Earth." in text.text


def test_north_that_is_elsewhere_is_said() -> None:
    lines = trace_map(GRID)
    assert describe_map(lines._replace(north=-31.0)).startswith("North is 31° to the left of up.")
    assert describe_map(lines._replace(north=350.0)).startswith("North is up.")


def test_bars_are_labelled_in_classes_and_errors_have_their_own() -> None:
    player = make_section(Grid()).blocks[0]
    value, error = player.scales
    assert [label for _, label in value.ticks] == ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20"]
    places = [place for place, _ in value.ticks]
    np.testing.assert_allclose(np.diff([0, *places, 100]), 100 / 9)
    assert (value.name, error.name) == ("value, mm/h", "error, mm/h")
    assert [label for _, label in error.ticks] == ["-2", "-1", "0", "+1", "+2"]  # the largest is 2 of 30 mm/h
    grey = draw_colour_bars(FrameSpec(channels=1, height=2, width=2, units="grey level", high=255.0), 100.0)
    assert [bar.is_light for bar in grey] == [False, True]
    assert len(draw_colour_bars(FrameSpec(channels=3, height=2, width=2, units="grey level", high=255.0), 100.0)) == 1
