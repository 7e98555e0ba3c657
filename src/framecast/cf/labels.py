"""Labels of frames as xarray has them: name, units, channels, rows, columns, reference system, times."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray
from numpy.typing import NDArray

from framecast.calendars import to_calendar
from framecast.cf.dataset import MAPPING, make_grid_coordinates
from framecast.cf.georeference import make_grid_mapping
from framecast.cf.names import UNNAMED, list_cf_variables
from framecast.maps.reference_systems import in_units_of_crs
from framecast.types import FrameSpec, Grid

NAME = "frames"
"""Name of frames whose file names them nothing, or whose channels have a name each."""
CHANNEL = "channel"
SEQUENCE, MEMBER, FRAME, TIME, LEAD = "sequence", "realization", "frame", "time", "lead_time"
REFERENCE = "forecast_reference_time"


class FrameLabels(NamedTuple):
    """Labels of frames (channel, y, x), without times."""

    name: str
    dims: tuple[str, str, str]
    """Names of the axes of channels, rows and columns."""
    coordinates: dict[str, Any]
    attributes: dict[str, str]


def make_labels(spec: FrameSpec, grid: Grid) -> FrameLabels:
    """Make the labels of frames from what their file says.

    Args:
        spec: channels, size and units of the frames.
        grid: names, coordinates and reference system.
    """
    grid = in_units_of_crs(grid)
    channels = list_cf_variables(spec, grid)
    coordinates: dict[str, Any] = dict(make_grid_coordinates(grid, spec.height, spec.width))
    mapping = make_grid_mapping(grid)
    if mapping:
        coordinates[MAPPING] = xarray.Variable((), np.int32(0), mapping)
    is_named = len(grid.variables) == spec.targets
    if is_named:
        coordinates[CHANNEL] = [channel.name for channel in channels]
    units = list(dict.fromkeys(channel.units for channel in channels))
    attributes: dict[str, str] = {}
    if len(units) > 1:
        coordinates["units"] = CHANNEL, [channel.units for channel in channels]
    elif units != ["1"] or grid.units:  # a file that says nothing has no units, rather than the unit 1
        attributes["units"] = units[0]
    name = NAME
    if len(channels) == 1 and is_named:
        (only,) = channels
        name = NAME if only.name.startswith(UNNAMED) else only.name
        attributes |= {"long_name": only.long_name, "standard_name": only.standard_name}
        attributes |= {"cell_methods": f"{TIME}: {only.cell_method}"} if only.cell_method else {}
    # among the attributes, not in the encoding: so `crs` is a coordinate again when a file of the frames is opened
    attributes |= {"grid_mapping": MAPPING} if mapping else {}
    attributes = {key: text for key, text in attributes.items() if text}
    return FrameLabels(name, (CHANNEL, grid.y_name, grid.x_name), coordinates, attributes)


def make_times(times: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Make the values of a coordinate of times: datetime64[ns] if it reaches; cftime in calendars that numpy lacks.

    Args:
        times: datetime64 of any shape, UTC, as framecast keeps them.
        grid: of the data; names the calendar.
    """
    dates = to_calendar(times, grid)
    if dates.dtype.kind != "M":
        return dates
    years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    return dates.astype("datetime64[ns]") if ((years > 1678) & (years < 2262)).all() else dates
