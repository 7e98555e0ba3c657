"""Frames of one file, read by the specification of the model: no scan; dry and calm hours are ordinary."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data import FileSource
from framecast.data.file_names import times_from_names, times_from_pattern
from framecast.errors import FramecastError, InputError
from framecast.live.slots import Instant
from framecast.recipe.data_as_trained import open_as_trained
from framecast.recipe.recipe import Recipe
from framecast.types import FrameSpec, Grid

FAR = 10.0
"""Value ranges of the model beyond it from which on values are on another scale."""


class LiveFrame(NamedTuple):
    """One frame of a file."""

    time: Instant
    """Time that the file or its name states, UTC."""
    values: NDArray[np.float32]
    """(C, H, W), raw units, NaN where missing; covariates last."""
    digest: str
    """16 hex digits of a sha256 of the values."""
    spec: FrameSpec
    grid: Grid
    is_range_found: bool
    """Whether nobody states a value range: neither the model, the user, nor the units."""

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is there: such a frame is absent."""
        return not np.isfinite(self.values[: self.spec.targets]).any()

    @property
    def value_range(self) -> tuple[tuple[float, float], ...] | None:
        """Value range of each target, to which scores clip; None where nobody states one."""
        return None if self.is_range_found else self.spec.target_ranges

    @property
    def shape_and_place(self) -> tuple[Any, ...]:
        """Size, units and corners: what frames of one window have in common."""
        corners = [(axis[0], axis[-1]) for axis in (self.grid.y, self.grid.x) if axis]
        return self.values.shape, self.spec.units, tuple(corners)


class FrameReader:
    """Reader of single files, with the reading options of a model's training and those of the user.

    Args:
        fields: fields of a DataConfig that the user gives, without the source.
        recipe: of the training; the default one for a baseline.
        model: frames that the model takes; None for a baseline.
    """

    def __init__(self, fields: dict[str, Any], recipe: Recipe, model: FrameSpec | None) -> None:
        self._fields, self._recipe, self._model = fields, recipe, model
        if model is not None:
            self._fields = {"range": (model.low, model.high), **fields}

    def find_time(self, name: str) -> Instant | None:
        """Find the time in the name of a file, which costs nothing; None where there is none."""
        pattern = self._fields.get("times")
        try:
            found = times_from_names([name]) if pattern is None else times_from_pattern([name], pattern)
        except FramecastError:
            return None
        return None if found is None else found.values[0].astype("datetime64[ms]")

    def read(
        self, path: Path, choose: Callable[[Sequence[Instant]], Collection[Instant]]
    ) -> tuple[list[Instant], list[LiveFrame]]:
        """Read a file.

        Args:
            path: the file.
            choose: chooses among the times of all its frames those whose values are to be read.

        Returns:
            the times of all its frames, and the frames that were chosen.

        Raises:
            InputError: a file that cannot be read, that has no time, or that does not fit the model.
        """
        config, stored = open_as_trained(self._recipe, {"source": str(path), **self._fields}, self._model)
        source = FileSource(config, stored, last=0)
        places: dict[Instant, tuple[int, int]] = {}
        for sequence in range(len(source.lengths)):
            dates = source.frame_times(sequence)
            if dates is None:
                fix = "give the pattern of the times in the names with --times"
                raise InputError(path.name, got="no time", expected="one in the file or in its name", fix=fix)
            places |= {date: (sequence, at) for at, date in enumerate(dates)}
        chosen = choose(list(places))
        frames = []
        for time in (time for time in places if time in chosen):
            sequence, at = places[time]
            values = source.read(sequence, at, at + 1).frames[0]
            frames.append(self._make_frame(source, time, values, path.name))
        return list(places), frames

    def _make_frame(self, source: FileSource, time: Instant, values: NDArray[np.float32], name: str) -> LiveFrame:
        spec = source.spec
        if self._model is not None:
            spec = spec.model_copy(update={"ranges": self._model.ranges})
            self._check_scale(values, name)
        digest = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()[:16]
        return LiveFrame(time, values, digest, spec, source.grid, source.is_range_found)

    def _check_scale(self, values: NDArray[np.float32], name: str) -> None:
        """Refuse values that cannot be in the units of the model, as Pa for hPa; a narrow range is a calm hour."""
        model = self._model
        assert model is not None
        for (low, high), channel in zip(model.target_ranges, values, strict=False):
            known = channel[np.isfinite(channel)]
            far = FAR * (high - low)
            if known.size and not (low - far <= known.min() <= known.max() <= high + far):
                got = f"values from {known.min():g} to {known.max():g}"
                raise InputError(name, got=got, expected=f"the model's scale, {low:g} to {high:g} {model.units}")
