"""Truth of forecasts: observed frames by their time, on the grid of the forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.archives.given_forecasts import ForecastFile
from framecast.data.sources.base import Source
from framecast.errors import InputError
from framecast.types import FrameSpec

NEAR = 0.01
"""Share of a pixel by which coordinates of forecasts and truth may differ."""


class Truth:
    """Frames of a source, found by their time.

    Args:
        source: of one channel, with times.

    Raises:
        InputError: several channels, or no times.
    """

    def __init__(self, source: Source) -> None:
        if source.spec.channels != 1:
            got, fix = f"{source.spec.channels} channels", "name one with --var"
            raise InputError("truth", got=got, expected="one", fix=fix)
        self._source = source
        self._places: dict[int, tuple[int, int]] = {}
        for sequence in range(len(source.lengths)):
            times = source.frame_times(sequence)
            if times is None:
                raise InputError("truth", got="frames without times", expected="times", fix="name them with --times")
            moments = times.astype("datetime64[ms]").astype(np.int64).tolist()
            self._places |= {moment: (sequence, number) for number, moment in enumerate(moments)}
        self._moments = np.array(sorted(self._places), np.int64)

    @property
    def spec(self) -> FrameSpec:
        """Size, units and value range of the frames."""
        return self._source.spec

    @property
    def step(self) -> np.timedelta64:
        """Time between frames; what lies closer than half of it is one time."""
        minutes = self.spec.step_minutes
        return np.timedelta64(round(60_000 * (minutes or 1.0)), "ms")

    def read(self, times: NDArray[Any]) -> NDArray[np.float32]:
        """Read the frames nearest to times, (T, 1, H, W), NaN where missing, and throughout where there is none.

        Args:
            times: (T,), datetime64, UTC.
        """
        frames = np.full((len(times), 1, self.spec.height, self.spec.width), np.nan, np.float32)
        for place, moment in zip(frames, times.astype("datetime64[ms]").astype(np.int64), strict=True):
            found = self._find(int(moment))
            if found is not None:
                window = self._source.read(found[0], found[1], found[1] + 1)
                values, valid = window.frames[0, :1], window.valid
                place[:] = values if valid is None else np.where(valid[0, :1], values, np.nan)
        return frames

    def has(self, times: NDArray[Any]) -> bool:
        """Whether there is a frame for each of the times."""
        return all(self._find(int(moment)) is not None for moment in times.astype("datetime64[ms]").astype(np.int64))

    def _find(self, moment: int) -> tuple[int, int] | None:
        after = int(np.searchsorted(self._moments, moment))
        near = self._moments[max(0, after - 1) : after + 1]
        if not len(near):
            return None
        nearest = int(near[np.abs(near - moment).argmin()])
        return self._places[nearest] if 2 * abs(nearest - moment) < int(self.step.astype(np.int64)) else None

    def find_turn(self, forecasts: ForecastFile) -> tuple[slice, slice]:
        """Find how rows and columns of forecasts are turned to be those of the truth, as an index of a frame.

        Raises:
            InputError: another size, other units, or another place.
        """
        spec, grid = self.spec, self._source.grid
        if forecasts.size != (spec.height, spec.width):
            got, expected = (f"{size[0]} x {size[1]} pixels" for size in (forecasts.size, (spec.height, spec.width)))
            raise InputError(str(forecasts.path), got=got, expected=f"{expected}, as the truth")
        if "1" not in (forecasts.units, spec.units) and forecasts.units != spec.units:
            fix = "name the units with --units where the truth says nothing"
            raise InputError(str(forecasts.path), got=forecasts.units, expected=f"{spec.units}, as the truth", fix=fix)
        turns = []
        for name, ours, theirs in (("rows", grid.y, forecasts.rows), ("columns", grid.x, forecasts.columns)):
            turn = slice(None)
            if theirs is not None and len(ours) == len(theirs) > 1:
                mine, others = np.array(ours), np.asarray(theirs)
                if grid.axis_units == "km" and np.abs(others).max() > 100 * np.abs(mine).max() > 0:
                    others = others / 1000  # metres, as CF writes them
                turn = slice(None) if (others[0] < others[-1]) == (mine[0] < mine[-1]) else slice(None, None, -1)
                if np.abs(others[turn] - mine).max() > NEAR * abs(mine[1] - mine[0]):
                    got = f"{name} from {others[0]:g} to {others[-1]:g}"
                    expected = f"{mine[0]:g} to {mine[-1]:g}, as the truth"
                    raise InputError(str(forecasts.path), got=got, expected=expected)
            turns.append(turn)
        return turns[0], turns[1]
