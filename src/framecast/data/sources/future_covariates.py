"""Future covariates of a forecast: computed from the times, carried on, or read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import Cycle, DataConfig
from framecast.data.sources.channels import compute_calendar
from framecast.data.sources.file_source import FileSource
from framecast.errors import InputError, UsageError
from framecast.types import Channel, FloatArray, FrameSpec, Window


class FutureCovariates:
    """Covariates of a model at the frames to be predicted, after the last frame of each sequence.

    Calendar covariates are computed from the times. Others are read from a file if there is one that holds them; if
    not, those that are constant over the context are carried on.

    Args:
        spec: frames that the model takes.
        contexts: the last frames of each sequence, as `FileSource.read` gives them; at least one.
        horizon: K, frames ahead.
        file: configuration of the file that holds future covariates; None for none.

    Raises:
        InputError: a covariate that changes, and no file; or a file that does not hold it.
        UsageError: a file where the model has no covariates that it could hold.
    """

    def __init__(
        self,
        spec: FrameSpec,
        contexts: Sequence[Window],
        horizon: int,
        file: DataConfig | None = None,
    ) -> None:
        self.spec, self.contexts, self.horizon = spec, contexts, horizon
        self._stored = [channel for channel in spec.covariates if not channel.calendar]
        varying = [channel for number, channel in enumerate(self._stored) if not self._is_constant(number)]
        self._source: FileSource | None = None
        self._file_channels: list[Channel] = []
        if file is not None:
            self._source, self._file_channels = self._open_file(file, varying)
        elif varying:
            names = ", ".join(channel.name for channel in varying)
            fix = "give a file with them: --covariates FILE"
            raise InputError(f"covariates {names}", got="none of the future", expected="those of each frame", fix=fix)
        carried = [channel.name for channel in self._stored if channel not in self._file_channels]
        self.notes = [f"covariates: {', '.join(carried)}, constant over the context, stay as they are"] * bool(carried)

    def of(self, number: int, times: NDArray[Any] | None) -> FloatArray:
        """Assemble the covariates of a sequence, over its context and its horizon.

        Args:
            number: index of the sequence in `contexts`.
            times: (K,), datetime64, UTC, of the frames to be predicted; None where unknown.

        Returns:
            (J + K, E, H, W), raw units, NaN where missing.

        Raises:
            InputError: the file does not reach so far.
        """
        past = self.contexts[number].frames[:, self.spec.channels :]
        ahead = np.repeat(past[-1:], self.horizon, 0)
        if self._source is not None:
            frames = self._read_frames(number, times)
            for index, channel in enumerate(self._file_channels):
                ahead[:, self._stored.index(channel)] = frames[:, index]
        cycles: list[Cycle] = [cycle for cycle in ("hour", "day") if f"{cycle}_sin" in self._calendar_names]
        for cycle in cycles:
            if times is None:
                raise InputError("covariates", got="frames without times", expected=f"times, for {cycle}")
            first_wave = len(self._stored) + self._calendar_names.index(f"{cycle}_sin")
            ahead[:, first_wave : first_wave + 2] = compute_calendar(times, [cycle])[:, :, None, None]
        return np.concatenate([past, ahead])

    @property
    def _calendar_names(self) -> list[str]:
        return [channel.name for channel in self.spec.covariates if channel.calendar]

    def _is_constant(self, number: int) -> bool:
        """Whether a covariate does not change over the context of any sequence; False for contexts of one frame."""
        parts = [window.frames[:, self.spec.channels + number] for window in self.contexts]
        return all(len(p) > 1 and np.array_equal(p[1:], p[:-1], equal_nan=True) for p in parts)

    def _open_file(self, file: DataConfig, varying: list[Channel]) -> tuple[FileSource, list[Channel]]:
        """Open the file; return it and the covariates that it holds: all, or at least those that vary."""
        if not self._stored:
            raise UsageError("--covariates", got=file.source, expected="nothing: this model has none that a file holds")
        try:
            return _open_channels(file, self._stored), self._stored
        except InputError:
            if not varying or len(varying) == len(self._stored):
                raise
            return _open_channels(file, varying), varying

    def _read_frames(self, number: int, times: NDArray[Any] | None) -> FloatArray:
        """Read the horizon from the file, (K, its channels, H, W): frames of these times, else the first K frames."""
        source = self._source
        assert source is not None
        size = self.contexts[number].frames.shape[-2:]
        if (source.spec.height, source.spec.width) != size:
            got = f"{source.spec.height}x{source.spec.width}"
            raise InputError("--covariates", got=got, expected="{}x{}, as the frames".format(*size))
        if times is None or self._positions is None:
            sequence = number if len(source.lengths) > 1 else 0
            if sequence >= len(source.lengths) or source.lengths[sequence] < self.horizon:
                got = f"{source.lengths[sequence]} frames" if sequence < len(source.lengths) else "too few sequences"
                raise InputError("--covariates", got=got, expected=f"{self.horizon} frames, those to be predicted")
            return source.read(sequence, 0, self.horizon).frames
        times = times.astype("datetime64[ms]")
        by_time = self._positions[number if len(self._positions) > 1 else 0]
        missing = [time for time in times if time not in by_time]
        if missing:
            got = f"no frame of {str(missing[0].astype('datetime64[s]')).replace('T', ' ')}"
            raise InputError("--covariates", got=got, expected=f"frames from {times[0]} to {times[-1]}")
        positions = [by_time[time] for time in times]
        return np.concatenate([source.read(sequence, frame, frame + 1).frames for sequence, frame in positions])

    @cached_property
    def _positions(self) -> list[dict[np.datetime64, tuple[int, int]]] | None:
        """Position (sequence, frame) of each time in the file; None if it has no times.

        One mapping for the whole file where no time occurs twice; else one for each of its groups of sequences.

        Raises:
            InputError: times that occur twice, in another number of sequences than are forecast.
        """
        source = self._source
        assert source is not None
        groups = np.searchsorted(source.latest, range(len(source.lengths))).tolist()
        positions: list[dict[np.datetime64, tuple[int, int]]] = [{} for _ in source.latest]
        for sequence, group in enumerate(groups):
            times = source.frame_times(sequence)
            if times is None:
                return None
            positions[group].update({time: (sequence, frame) for frame, time in enumerate(times)})
        together = {time: position for times in positions for time, position in times.items()}
        if len(together) == sum(map(len, positions)):
            return [together]
        if len(positions) != len(self.contexts):
            got, expected = f"{len(positions)} sequences of the same times", f"{len(self.contexts)}, as are forecast"
            raise InputError("--covariates", got=got, expected=expected, fix="give one for each, in their order")
        return positions


def _open_channels(file: DataConfig, channels: Sequence[Channel]) -> FileSource:
    """Open the file of these covariates: by name, or all its channels in their order where they have numbers only."""
    # options of the targets do not apply: each covariate has the units that the file gives it, as in training
    fields = {"range": (0.0, 1.0), "covariates": (), "calendar": (), "frames": None, "scale": None, "units": None}
    if all(channel.name.isdecimal() for channel in channels):
        source = FileSource(file.model_copy(update={**fields, "targets": None}))
        if source.spec.channels != len(channels):
            expected = f"{len(channels)}: covariates {', '.join(channel.name for channel in channels)}"
            raise InputError(file.path, got=f"{source.spec.channels} channels", expected=expected)
        return source
    names = tuple(channel.name for channel in channels)
    variable = ",".join(dict.fromkeys(name.split("[")[0] for name in names))
    return FileSource(file.model_copy(update={**fields, "targets": names, "variable": variable}))
