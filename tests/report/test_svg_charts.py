"""Charts: what stands where."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.plotting.chart import Chart, ChartLine, choose_time_unit
from framecast.report.svg_charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw_chart
from framecast.report.training import POINTS, _thin_line

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=60)


def test_points_stand_where_they_belong() -> None:
    svg = draw_chart(Chart("t", "x", "y", [ChartLine("a", [0, 5, 10], [0.0, 1.0, 0.5])]))
    places = re.findall(r"translate\(([\d.]+) ([\d.]+)\)", svg)
    x = [float(place[0]) for place in places]
    y = [float(place[1]) for place in places]
    assert x == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    inner = HEIGHT - BOTTOM - TOP
    assert y[0] == pytest.approx(HEIGHT - BOTTOM - inner * 0.05 / 1.1, abs=0.06)
    assert y[2] == pytest.approx((y[0] + y[1]) / 2, abs=0.1)


def test_logarithmic_axis_is_even_in_powers() -> None:
    svg = draw_chart(Chart("t", "x", "y", [ChartLine("a", [1, 2, 3], [1.0, 10.0, 100.0])], log=True))
    y = [float(place) for place in re.findall(r"translate\([\d.]+ ([\d.]+)\)", svg)]
    assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.11)
    assert ">10<" in svg


@given(VALUES, st.booleans())
def test_any_numbers_give_a_drawing_inside_its_frame(values: list[float], log: bool) -> None:
    line = ChartLine("<a>", list(range(len(values))), values, [v - 1 for v in values], [v + 1 for v in values])
    tree = ET.fromstring(draw_chart(Chart("t & t", "x", "y", [line], log=log, marks=[(0.0, "here")], level=1.0)))
    paths = [path.get("d", "") for path in tree.iter("path") if path.get("transform") is None]
    for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", " ".join(paths)):
        assert -0.1 <= float(x) <= WIDTH + 0.1
        assert TOP - 0.1 <= float(y) <= HEIGHT - BOTTOM + 0.1


def test_gaps_stay_open() -> None:
    svg = draw_chart(Chart("t", "x", "y", [ChartLine("a", [0, 1, 2, 3, 4], [1.0, 2.0, math.nan, 3.0, 4.0])]))
    line = re.search(r'class="line" d="([^"]+)"', svg).group(1)
    assert (line.count("M"), line.count("L")) == (2, 2)
    assert "no number" in draw_chart(Chart("t", "x", "y", [ChartLine("a", [0], [math.nan])]))


def test_long_thin_lines_are_means_with_their_range() -> None:
    values = np.random.default_rng(0).random(1000)
    line = _thin_line("a", [float(step) for step in range(1, 1001)], values.tolist())
    assert len(line.y) <= POINTS
    np.testing.assert_allclose(line.y[0], values[:5].mean())
    assert (line.low[0], line.high[0]) == (values[:5].min(), values[:5].max())
    assert line.x[-1] == pytest.approx(np.arange(996, 1001).mean())


@pytest.mark.parametrize(
    ("minutes", "said"), [(0.04 / 60, (0.04, "seconds")), (5.0, (5.0, "minutes")), (60.0, (1.0, "hours"))]
)
def test_times_have_the_unit_that_fits(minutes: float, said: tuple[float, str]) -> None:
    step, word = choose_time_unit(minutes)
    assert (pytest.approx(step), word) == said
