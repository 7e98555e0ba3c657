"""Forecasts whose values and places are known, for the tests of the writers."""

from typing import Any

import numpy as np

from framecast.types import Forecast, FrameSpec, Grid

ABOUT = {"framecast_version": "0.1.0", "model": "convlstm", "model_sha256": "ab" * 32}
START = np.datetime64("2016-09-28T15:05:00", "ms")
METRES = Grid(
    variables=("reflectivity",),
    units=("dBZ",),
    standard_names=("equivalent_reflectivity_factor",),
    y=tuple(7_000_500.0 - 1000 * row for row in range(6)),
    x=tuple(300_500.0 + 1000 * column for column in range(9)),
    axis_units="m",
    crs="EPSG:3067",
)
DEGREES = METRES.model_copy(
    update={
        "y": tuple(50.0 + 0.25 * row for row in range(6)),
        "x": tuple(-8.0 + 0.25 * column for column in range(9)),
        "y_name": "lat",
        "x_name": "lon",
        "axis_units": "degrees",
        "crs": "EPSG:4326",
    }
)
"""Rows from south to north."""

THIRTY = METRES.model_copy(update={"calendar": "360_day", "time_origin": "2000-02-01 00:00:00"})
"""Months of 30 days: numpy's first of March is the 30th of February."""
FIRST_OF_MARCH = np.array([np.datetime64("2000-03-01T00:00", "ms")])


def forecast(
    sequences: int = 1,
    frames: int = 3,
    channels: int = 1,
    *,
    units: str = "dBZ",
    step: float | None = 5.0,
    dated: bool = True,
    grid: Grid = METRES,
    high: float = 70.0,
    **more: Any,
) -> Forecast:
    """Values from 0 to 70 with one missing pixel, at row 1, column 2."""
    height, width = len(grid.y) or 6, len(grid.x) or 9
    spec = FrameSpec(channels=channels, height=height, width=width, units=units, low=0, high=high, step_minutes=step)
    values = np.random.default_rng(0).random((sequences, 2 + frames, channels, height, width), np.float32) * high
    values[..., 1, 2] = np.nan
    starts = START + np.arange(sequences) * np.timedelta64(1, "D") if dated else None
    return Forecast(values[:, :2], values[:, 2:], starts, "ntchw", grid, spec)._replace(**more)
