"""The newest forecast of a folder that `framecast watch` fills, and the observed frames before it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray
from numpy.typing import NDArray

from framecast.cf.dataset import BOUNDS, MAPPING
from framecast.errors import InputError
from framecast.json_files import read_json
from framecast.live.observed import ObservedFrame, list_observed
from framecast.live.publish import LATEST
from framecast.live.slots import format_slot, parse_slot
from framecast.serving.newest.projection import MapProjection
from framecast.types import FrameSpec, Grid

RESIDENT = 256 << 20
"""Bytes of a forecast that are kept in memory; of a larger one frames are read when they are asked for."""
QUANTILES = (0.1, 0.9)
"""Ends of the spread of an ensemble."""


class MapFrame(NamedTuple):
    """A frame of the time line."""

    name: str
    """Part of its address: its time, and what makes it another when its content changes."""
    kind: Literal["past", "forecast"]
    time: str
    """UTC, ISO 8601."""
    number: int
    """Place among the observed or the predicted frames."""


@dataclass
class NewestForecast:
    """The newest forecast, with what was observed before it.

    Args:
        folder: of the output.
        latest: content of latest.json.
        data: the first channel of the forecast, ([realization,] time, y, x).
        observed: frames of the window.
        projection: of its grid.
    """

    folder: Path
    latest: dict[str, Any]
    data: Any
    observed: list[ObservedFrame]
    grid: Grid
    projection: MapProjection
    skill: dict[str, Any] | None = None
    _kept: OrderedDict[Any, Any] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """Reference time and revision, which no other forecast of the folder has."""
        revision = self.latest["revision"]
        return format_slot(parse_slot(self.latest["reference_time"])) + (f"-r{revision}" if revision else "")

    @property
    def spec(self) -> FrameSpec:
        """Units, size and value range."""
        low, high = self.latest.get("value_range") or (0.0, 1.0)
        height, width = self.data.shape[-2:]
        fields = {"units": self.latest["units"], "step_minutes": self.latest["step_minutes"]}
        return FrameSpec(channels=1, height=height, width=width, low=low, high=high, **fields)

    @property
    def members(self) -> int:
        """Number of members."""
        return int(self.data.sizes.get("realization", 1))

    @property
    def frames(self) -> list[MapFrame]:
        """All frames, oldest first; observed ones only up to the reference time."""
        reference = parse_slot(self.latest["reference_time"])
        past = [
            MapFrame(one.path.stem, "past", f"{str(one.slot).removesuffix('.000')}Z", number)
            for number, one in enumerate(self.observed)
            if one.slot <= reference
        ]
        ahead = [
            MapFrame(f"{self.name}+{number + 1}", "forecast", time, number)
            for number, time in enumerate(self.latest["valid_times"])
        ]
        return past + ahead

    def find(self, name: str) -> MapFrame | None:
        """Find a frame by its name."""
        return next((frame for frame in self.frames if frame.name == name), None)

    def load(self, frame: MapFrame) -> NDArray[np.float32]:
        """Load the values of a frame (H, W), the mean of members, raw units, NaN where missing."""
        return self._keep(frame.name, lambda: self._load(frame))

    def _load(self, frame: MapFrame) -> NDArray[np.float32]:
        if frame.kind == "past":
            return self.observed[frame.number].load()[0]
        return np.asarray(self.load_members(frame.number).mean(0), np.float32)

    def load_members(self, lead: int) -> NDArray[np.float32]:
        """Load the members (M, H, W) of a lead time."""
        values = self.data.isel(time=lead).values
        return np.asarray(values if self.members > 1 else values[None], np.float32)

    def load_probability(self, frame: MapFrame, threshold: float) -> NDArray[np.float32]:
        """Load the share of members (H, W) that reach a threshold; of an observed frame 0 or 1."""

        def compute() -> NDArray[np.float32]:
            members = self.load(frame)[None] if frame.kind == "past" else self.load_members(frame.number)
            share = (members >= threshold).mean(0, dtype=np.float32)
            return np.where(np.isfinite(members).all(0), share, np.float32(np.nan))

        return self._keep((frame.name, threshold), compute)

    def _keep(self, key: Any, compute: Any) -> Any:
        """Keep what was computed, the newest 64 of it."""
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        value = compute()
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > 64 or (
                len(self._kept) > 4 and sum(kept.nbytes for kept in self._kept.values()) > RESIDENT
            ):
                self._kept.popitem(last=False)
        return value

    def read_curve(self, row: int, column: int) -> list[dict[str, Any]]:
        """Read the values of a pixel over time: value, and the ends of the spread where there are members."""
        curve = []
        for frame in self.frames:
            members = None
            if frame.kind == "past":
                value = float(self.load(frame)[row, column])
            else:
                pixel = self.data.isel({"time": frame.number, self.data.dims[-2]: row, self.data.dims[-1]: column})
                members = np.atleast_1d(pixel.values)
                value = float(members.mean())
            spread = {}
            if members is not None and len(members) > 1 and np.isfinite(members).all():
                low, high = np.quantile(members, QUANTILES)
                spread = {"low": float(low), "high": float(high)}
            known = value if np.isfinite(value) else None
            curve.append({"time": frame.time, "kind": frame.kind, "value": known, **spread})
        return curve


class NewestReader:
    """What notices a new forecast in a folder.

    Args:
        folder: that a watcher writes to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp: tuple[Any, ...] = (None, None)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._projection: tuple[Any, MapProjection] | None = None
        self.newest: NewestForecast | None = None

    def refresh(self) -> bool:
        """Look at latest.json and skill.json again; return whether anything is new. What cannot be read yet is left."""
        stamp = tuple(_stamp(self.folder / name) for name in (LATEST, "skill.json"))
        if stamp == self._stamp or stamp[0] is None:
            return False
        try:
            self.newest = self._read()
        except (OSError, ValueError, KeyError, InputError):
            return False  # the watcher is about to write another one, or removed the file
        self._stamp = stamp
        return True

    def _read(self) -> NewestForecast:
        """Read what is new: all of another forecast; of the same one its scores and the pictures that were added."""
        latest, before = read_json(self.folder / LATEST), self.newest
        if before is not None and {**latest, "files": None} == {**before.latest, "files": None}:
            return replace(before, latest=latest, skill=self._read_skill())
        return self._open(latest)

    def _open(self, latest: dict[str, Any]) -> NewestForecast:
        name = next((name for name in latest["files"] if name.endswith((".nc", ".zarr"))), None)
        if name is None:
            raise InputError(str(self.folder), got="no .nc or .zarr", expected="one of them", fix="--write nc")
        path = self.folder / Path(name).name
        opened = xarray.open_dataset(path, engine="h5netcdf" if name.endswith(".nc") else "zarr", decode_times=False)
        data = _choose(opened)
        if data.nbytes <= RESIDENT:
            data = data.load()
            opened.close()
        grid = _read_grid(opened, data)
        projection = self._project(grid, data.shape[-2:])
        observed = [one for one in list_observed(self.folder) if self._find_shape(one) == data.shape[-2:]]
        self._shapes = {one.path.name: self._shapes[one.path.name] for one in observed}
        return NewestForecast(self.folder, latest, data, observed, grid, projection, self._read_skill())

    def _read_skill(self) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            return read_json(self.folder / "skill.json")
        return None

    def _find_shape(self, frame: ObservedFrame) -> tuple[int, ...]:
        """Find rows and columns of an observed frame, whose file is read once."""
        if frame.path.name not in self._shapes:
            self._shapes[frame.path.name] = frame.load().shape[-2:]
        return self._shapes[frame.path.name]

    def _project(self, grid: Grid, shape: tuple[int, int]) -> MapProjection:
        """Make the projection, or take that of the forecast before, whose positions are known."""
        key = (grid, shape)
        if self._projection is None or self._projection[0] != key:
            self._projection = key, MapProjection(grid, *shape)
        return self._projection[1]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _choose(opened: Any) -> Any:
    """Choose the variable that is shown, the first channel.

    Raises:
        InputError: a forecast without times.
    """
    names = [name for name in opened.data_vars if name not in (MAPPING, BOUNDS)]
    data = opened[names[0]]
    if data.dims[-3:-2] != ("time",):
        raise InputError("forecast", got=f"axes {', '.join(map(str, data.dims))}", expected="time, rows and columns")
    return data


def _read_grid(opened: Any, data: Any) -> Grid:
    """Read the grid of a file that our writers wrote."""
    y, x = (data.coords.get(name) for name in data.dims[-2:])
    if y is None or x is None:
        return Grid()
    mapping = {} if MAPPING not in opened else dict(opened[MAPPING].attrs)
    crs = mapping.get("crs_wkt") or mapping.get("spatial_ref")
    units = str(x.attrs.get("units", "1"))
    return Grid(
        y=tuple(y.values.tolist()),
        x=tuple(x.values.tolist()),
        y_name=str(data.dims[-2]),
        x_name=str(data.dims[-1]),
        axis_units="degrees" if units.startswith("degree") else units,
        crs=crs,
        mapping={} if crs else mapping,
    )
