"""Axes of CF grids: which dimensions are time, rows, columns and channels, and the coordinates along them.

cf_xarray reads the attributes (axis, standard_name, units, those of THREDDS and GrADS). Files that have none, or whose
times are not called so, are read by the names that weather and ocean models give to their dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from framecast.data.formats.guards import SERIES_LIMIT
from framecast.errors import InputError

AXES = "tyx"
_KEYS = (("T", "t"), ("Y", "y"), ("X", "x"), ("latitude", "y"), ("longitude", "x"))
"""cf_xarray's names of axes and coordinates; where a variable is both, the axis counts."""
REFERENCE, PERIOD = TIMES = ("forecast_reference_time", "forecast_period")
"""Standard names of times that CF does not take for the axis T: frames follow one another along them, too."""
MILLISECONDS = {
    **dict.fromkeys(("d", "day", "days"), 86_400_000.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600_000.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60_000.0),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1000.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("microsecond", "microseconds"), 1e-3),
    **dict.fromkeys(("nanosecond", "nanoseconds"), 1e-6),
}
"""Milliseconds of each unit of a duration."""
_UNITS = {
    **dict.fromkeys(("degrees_north", "degree_north", "degree_n", "degrees_n"), "y"),
    **dict.fromkeys(("degrees_east", "degree_east", "degree_e", "degrees_e"), "x"),
}
"""In lower case; CF and cf_xarray heed upper and lower case."""
NAMES = {
    **dict.fromkeys(("t", "time", "times", "valid_time", "date", "datetime"), "t"),
    **dict.fromkeys(("y", "yc", "ny", "nlat", "lat", "latitude", "row", "rows", "j", "nj", "northing"), "y"),
    **dict.fromkeys(("rlat", "south_north"), "y"),
    **dict.fromkeys(("x", "xc", "nx", "nlon", "lon", "longitude", "column", "columns", "i", "ni", "easting"), "x"),
    **dict.fromkeys(("rlon", "west_east"), "x"),
    **dict.fromkeys(("z", "lev", "level", "levels", "plev", "pressure", "pressure_level", "isobaricinhpa"), "c"),
    **dict.fromkeys(("height", "altitude", "depth", "sigma", "hybrid", "layer", "bottom_top", "s_rho", "s_w"), "c"),
    **dict.fromkeys(("model_level", "model_level_number", "heightaboveground", "depthbelowlandlayer"), "c"),
    **dict.fromkeys(("c", "band", "bands", "channel", "channels", "variable", "wavelength"), "c"),
    **dict.fromkeys(("number", "member", "members", "realization", "ensemble", "ens", "ensemble_member"), "m"),
    **dict.fromkeys(("expver", "version", "experiment"), "v"),
}
"""Letters by usual names of dimensions: those of AXES, c levels or bands, m members of an ensemble, v versions."""
_STANDARD_NAMES = {"realization": "m"}
MEANINGS = {
    **dict.fromkeys(("time", "t"), "t"),
    **dict.fromkeys(("channels", "channel", "c"), "c"),
    **dict.fromkeys(("rows", "y", "h"), "y"),
    **dict.fromkeys(("columns", "x", "w"), "x"),
}
"""Letters by the words that a user may give for the meaning of an axis."""
_LEVEL = re.compile(r"(.+)\[([^\[\]]+)\]")
"""A variable and an entry of its axis of levels: t[850]."""
CHANNELS = 64
"""Entries of an axis of levels or bands that may be channels."""
LISTED = 8
"""Largest number of entries of an axis that an error lists."""


class GridAxes(NamedTuple):
    """Axes of the grids in a dataset."""

    letters: dict[str, str]
    """Letter of each dimension whose meaning is known, as in NAMES."""
    positions: frozenset[str]
    """Variables that are latitudes or longitudes of pixels; they are frames only where a user names them."""
    leads: frozenset[str] = frozenset()
    """Dimensions of lead times; frames of one forecast follow one another along them."""


class VariableAxes(NamedTuple):
    """Names of the dimensions of a variable."""

    t: str | None
    c: str | None
    y: str
    x: str
    step: str | None = None
    """Lead times of forecasts that start at the times along `t`; None where t alone numbers the frames."""

    def count_frames(self, field: Any) -> int:
        """Count the frames of a variable."""
        sizes = [field.sizes[dim] for dim in (self.t, self.step) if dim is not None and dim in field.dims]
        return int(np.prod(sizes, dtype=np.int64))


def find_axes(data: Any) -> GridAxes:
    """Find time, rows and columns among the dimensions of an xarray.Dataset.

    The coordinate of a dimension decides, by its attributes; else the dimension's name; else other coordinates along it,
    where they agree (CF 5: auxiliary coordinates, as valid_time along step). Dimensions of a curvilinear grid, whose
    latitudes and longitudes have two axes (CF 5.2), are rows and columns in the order in which these have them.
    """
    by_variable = _read_attributes(data)
    along: dict[str, set[str]] = {}
    for key, letter in by_variable.items():
        if data.variables[key].ndim == 1:
            along.setdefault(str(data.variables[key].dims[0]), set()).add(letter)
    letters: dict[str, str] = {}
    for dim in map(str, data.dims):
        auxiliary = along.get(dim, set())
        if known := by_variable.get(dim) or NAMES.get(dim.lower()):
            letters[dim] = known
        elif len(auxiliary) == 1:
            (letters[dim],) = auxiliary
    positions = frozenset(key for key, letter in by_variable.items() if letter in "yx" and key not in data.dims)
    for rows, columns in _find_curvilinear(data, by_variable, letters):
        letters.setdefault(rows, "y" if letters.get(columns) != "y" else "x")
        letters.setdefault(columns, "x" if letters.get(rows) != "x" else "y")
    leads = {dim for dim in map(str, data.dims) if dim in data.variables and is_lead(data.variables[dim])}
    return GridAxes(letters, positions, frozenset(leads))


def is_lead(array: Any) -> bool:
    """Whether a coordinate holds lead times: by its standard name, or as a duration that has no date."""
    if array.ndim > 1 or str(array.attrs.get("standard_name", PERIOD)) != PERIOD:
        return False
    units = str(array.attrs.get("units", "")).strip().lower()
    return bool(array.dtype.kind == "m" or (array.dtype.kind in "fiu" and units in MILLISECONDS))


def _read_attributes(data: Any) -> dict[str, str]:
    """Read the letter of each variable from its attributes alone."""
    import cf_xarray  # noqa: F401, the accessor `cf`

    # cf_xarray looks at coordinates only, and compares attributes with texts, which fails on arrays
    view = data.set_coords(list(data.data_vars))
    view.attrs, view.encoding = {}, {}
    letters: dict[str, str] = {}
    for key, variable in view.variables.items():
        variable.attrs = {name: text for name, text in variable.attrs.items() if isinstance(text, str)}
        axis, units = (variable.attrs.get(name, "").lower() for name in ("axis", "units"))
        if axis == "z" or variable.attrs.get("positive", "").lower() in ("up", "down"):
            letters[str(key)] = "c"
        if variable.attrs.get("standard_name") in _STANDARD_NAMES:
            letters[str(key)] = _STANDARD_NAMES[variable.attrs["standard_name"]]
        if " since " in units or variable.attrs.get("standard_name") in TIMES:
            letters[str(key)] = "t"
        elif axis in tuple(AXES) or units in _UNITS:
            letters[str(key)] = _UNITS.get(units, axis)
    named = {**view.cf.coordinates, **view.cf.axes}
    for name, letter in reversed(_KEYS):
        letters |= {str(key): letter for key in named.get(name, [])}
    return letters


def _find_curvilinear(data: Any, by_variable: dict[str, str], letters: dict[str, str]) -> list[tuple[str, str]]:
    """Find pairs of dimensions that a latitude and a longitude share; both may have one of time, too (WRF)."""
    pairs: dict[str, list[tuple[str, ...]]] = {"y": [], "x": []}
    for key, letter in by_variable.items():
        dims = tuple(str(dim) for dim in data.variables[key].dims if letters.get(str(dim)) != "t")
        if letter in pairs and len(dims) == 2:
            pairs[letter].append(dims)
    return [(dims[0], dims[1]) for dims in dict.fromkeys(pairs["y"]) if dims in pairs["x"]]


def read_coordinate(data: Any, dim: str, name: str) -> tuple[tuple[float, ...], str]:
    """Read the values along a dimension and their units; nothing where the file has none.

    Raises:
        InputError: values that are no numbers, or not finite.
    """
    array = data.variables.get(dim)
    if array is None or array.ndim != 1 or array.dtype.kind not in "fiu" or array.size > SERIES_LIMIT:
        return (), ""
    values = np.asarray(array.values, np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{name}: {dim}", got="NaN or infinity", expected="finite coordinates")
    return tuple(values.tolist()), str(array.attrs.get("units", ""))


def choose_axes(data: Any, choices: Sequence[tuple[str, str]], name: str) -> tuple[Any, GridAxes]:
    """Find the axes of a dataset, and follow what a user says of some.

    Args:
        data: an xarray.Dataset, times as they are stored.
        choices: (dimension, word of MEANINGS) or (dimension, one entry of it by value, which is chosen).
        name: the file, for errors.

    Returns:
        the dataset without the dimensions of which one entry is chosen, and its axes.

    Raises:
        InputError: no such dimension, or no such entry.
    """
    letters = {}
    for dim, word in choices:
        if dim not in data.dims:
            dims = ", ".join(f"{key} ({size})" for key, size in data.sizes.items())
            raise InputError(f"{name}: axis", got=dim, expected=f"one of {dims}", fix="name one with --axis")
        if word in MEANINGS:
            letters[dim] = MEANINGS[word]
        else:
            data = data.isel({dim: _find_entry(data, dim, word, name)})
    axes = find_axes(data)
    return data, axes._replace(letters={**axes.letters, **letters})


def choose_level(data: Any, axes: GridAxes, text: str, name: str) -> Any:
    """Add a variable of one level of another to a dataset, as t[850]; leave the dataset as it is for other texts.

    Raises:
        InputError: no such level.
    """
    form = _LEVEL.fullmatch(text)
    if form is None or text in data.variables or form[1] not in data.data_vars:
        return data
    field = data[form[1]]
    dims = [str(dim) for dim, size in field.sizes.items() if size > 1 and axes.letters.get(str(dim)) not in tuple(AXES)]
    if len(dims) != 1:
        return data
    return data.assign({text: field.isel({dims[0]: _find_entry(data, dims[0], form[2], name)}, drop=True)})


def _find_entry(data: Any, dim: str, word: str, name: str) -> int:
    """Find an entry of a dimension by its value; by its number, from 0, where the dimension has no values."""
    texts = name_entries(data, dim)
    same = [index for index, text in enumerate(texts) if text == word]
    if not same and _is_number(word):
        same = [n for n, text in enumerate(texts) if _is_number(text) and np.isclose(float(text), float(word), 1e-6, 0)]
    if not same and "-" in word:  # the beginning of a date
        same = [index for index, text in enumerate(texts) if text.startswith(word.replace(" ", "T"))]
    if len(same) != 1:
        more = f" and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
        expected = f"{', '.join(MEANINGS)}, or one of {', '.join(texts[:LISTED])}{more}"
        raise InputError(f"{name}: axis {dim}", got=word, expected=expected)
    return same[0]


def name_entries(data: Any, dim: str) -> list[str]:
    """Name the entries of a dimension by their values: 850, 2024-05-01T12:00:00; by numbers from 0 where it has none."""
    array, count = data.variables.get(dim), data.sizes[dim]
    numbers = [str(number) for number in range(count)]
    if array is None or array.ndim != 1 or count > SERIES_LIMIT:
        return numbers
    values = np.asarray(array.values)
    units = str(array.attrs.get("units", ""))
    if " since " in units:
        import cftime

        try:
            dates = cftime.num2date(values, units, str(array.attrs.get("calendar", "standard")))
        except (ValueError, OverflowError):
            return numbers
        texts = [date.isoformat() for date in dates]
    elif values.dtype.kind in "fiu":
        texts = [f"{value:.8g}" for value in values]
    else:
        texts = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values]
    return texts if len(set(texts)) == count else numbers


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def assign_axes(data: Any, axes: GridAxes, key: str, name: str) -> VariableAxes:
    """Assign the dimensions of a variable.

    Of several of a letter those of one entry give way: one run of many steps; runs and their lead times stay both.
    Dimensions that nothing explains, of members or of versions are channels only by the user's word.

    Raises:
        InputError: dimensions beyond time, rows, columns and channels.
    """
    sizes = {str(dim): size for dim, size in data[key].sizes.items()}
    letters = {dim: axes.letters.get(dim, "") for dim in sizes}
    dims: dict[str, list[str]] = {}
    for letter in (*AXES, "c"):
        every = [dim for dim in sizes if letters[dim] == letter]
        long = [dim for dim in every if sizes[dim] > 1]
        dims[letter] = long if long or letter == "c" else every[:1]
    lead = _find_lead(data, axes, dims["t"])
    dims["t"] = [dim for dim in dims["t"] if dim != lead]
    unclear = [dim for dim in sizes if letters[dim] not in dims and sizes[dim] > 1]
    unclear += [dim for group in dims.values() if len(group) > 1 for dim in group]
    if unclear or any(sizes[dim] > CHANNELS for dim in dims["c"]):
        got = f"axes {', '.join(f'{dim} ({size})' for dim, size in sizes.items())}"
        expected = f"time, y, x and at most one more of up to {CHANNELS}, which becomes channels"
        dim = next(iter(unclear), dims["c"][0] if dims["c"] else "")
        fix = f"choose one with --axis, as in --axis {dim}={name_entries(data, dim)[0]}"
        fix += f", or say what it is, as in --axis {dim}=channels" if letters[dim] not in (*AXES, "c") else ""
        raise InputError(f"{name}: {key}", got=got, expected=expected, fix=fix)
    t, c = (next(iter(dims[letter]), None) for letter in "tc")
    return VariableAxes(t, c, dims["y"][0], dims["x"][0], lead)


def _find_lead(data: Any, axes: GridAxes, times: Sequence[str]) -> str | None:
    """Find which of two dimensions of time has the lead times of forecasts that start along the other."""
    leads = [dim for dim in times if dim in axes.leads]
    starts = [dim for dim in times if dim not in leads and " since " in str(data[dim].attrs.get("units", ""))]
    return leads[0] if len(times) == 2 and len(leads) == len(starts) == 1 else None
