"""Plume: how the members go on at one place, as the median and the ranges that half and most of them stay in."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.plotting.chart import Chart, ChartLine, choose_time_unit
from framecast.plotting.line_styles import choose_styles
from framecast.plotting.scores import draw_charts
from framecast.types import FloatArray, FrameSpec

OBSERVED = "observed"
READING = (
    "Line: the median of the members; the darker band has half of them, the lighter one 80 %. In one case of five truth "
    "should leave the lighter band."
)
_BANDS = ((25, 75, "half of the members"), (10, 90, "80 % of the members"))


class Plume(NamedTuple):
    """Members at one place."""

    row: int
    column: int
    past: FloatArray
    """(J,), raw units, NaN where missing."""
    members: FloatArray
    """(M, K), raw units."""
    truth: FloatArray | None = None
    """(K,), where it is known."""


def check_place(place: tuple[int, int] | None, spec: FrameSpec) -> None:
    """Check that a place, row and column, lies within the frames; None is any.

    Raises:
        UsageError: it does not.
    """
    if place is not None and not (0 <= place[0] < spec.height and 0 <= place[1] < spec.width):
        expected = f"a row of 0 to {spec.height - 1}, a column of 0 to {spec.width - 1}"
        raise UsageError("--at", got=f"{place[0]},{place[1]}", expected=expected)


def find_plume_place(forecast: Forecast, sequence: int = 0) -> tuple[int, int]:
    """Find the pixel, row and column, of the largest mean over members and lead times, of the first channel."""
    mean = forecast.frames[sequence, :, :, 0].float().mean((0, 1)).nan_to_num(-np.inf)
    row, column = divmod(int(mean.argmax()), mean.shape[1])
    return row, column


def take_plume(
    forecast: Forecast, place: tuple[int, int] | None = None, truth: FloatArray | None = None, sequence: int = 0
) -> Plume:
    """Take the members of the first channel at a place.

    Args:
        forecast: with members.
        place: row and column; None to choose the one with the largest mean.
        truth: (K, C, H, W), raw units, or None.
        sequence: which one of the forecast.

    Raises:
        UsageError: a place outside of the frames.
    """
    row, column = find_plume_place(forecast, sequence) if place is None else place
    check_place((row, column), forecast.spec)
    members = forecast.frames[sequence, :, :, 0, row, column].float().cpu().numpy()
    past = forecast.past_values[sequence, :, 0, row, column]
    return Plume(row, column, past, members, None if truth is None else truth[:, 0, row, column])


def make_plume_chart(plume: Plume, spec: FrameSpec, name: str = "median", title: str = "") -> Chart:
    """Make the chart of a plume: bands of the members, and what was observed before, and later where that is known.

    Args:
        plume: members at a place.
        spec: units, and the time between frames.
        name: of the ensemble.
        title: in place of the row and column.
    """
    step, unit = (1.0, "frames")
    if spec.step_minutes is not None:
        step, unit = choose_time_unit(spec.step_minutes, spec.step_months)
    ahead = [step * (lead + 1) for lead in range(plume.members.shape[1])]
    before = [step * (1 - len(plume.past) + number) for number in range(len(plume.past))]
    styles = choose_styles([name, OBSERVED])
    middle = np.median(plume.members, 0).tolist()
    lines = []
    for low, high, what in _BANDS:
        bottom, top = np.percentile(plume.members, (low, high), axis=0).tolist()
        lines.append(ChartLine(f"{name}, {what}", ahead, middle, bottom, top, styles[name]))
    seen = [*plume.past.tolist(), *([] if plume.truth is None else plume.truth.tolist())]
    times = [*before, *ahead][: len(seen)]
    lines.append(ChartLine(OBSERVED, times, seen, style=styles[OBSERVED]))
    units = "" if spec.units == "1" else spec.units
    title = title or f"Row {plume.row}, column {plume.column}"
    return Chart(title, f"lead time, {unit}", units, lines, marks=((0.0, "newest frame"),), reading=READING)


def draw_plume(
    path: Path, forecast: Forecast, place: tuple[int, int] | None = None, sequence: int = 0
) -> tuple[int, int]:
    """Draw the plume of a forecast into a PNG.

    Args:
        path: path of the PNG.
        forecast: with members.
        place: row and column; None to choose the one with the largest mean.
        sequence: which one of the forecast.

    Returns:
        the row and the column.

    Raises:
        UsageError: a place outside of the frames.
    """
    plume = take_plume(forecast, place, sequence=sequence)
    draw_charts(path, [make_plume_chart(plume, forecast.spec, "members")], READING)
    return plume.row, plume.column
