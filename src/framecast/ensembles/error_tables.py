"""Tables of the past errors of a predictor: their spectrum by lead time, their size by lead time and local mean.

They are measured on forecasts of frames that the model did not learn from, and lie beside its weights as errors.json.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from framecast import json_files
from framecast.bases.base import smooth
from framecast.data.units import DBZ_UNITS, PICTURE_UNITS, RATE_UNITS
from framecast.documents import explain_invalid
from framecast.ensembles.roughness import FREQUENCIES, sum_rings
from framecast.errors import InputError
from framecast.transforms.normalize import DBZ, Normalizer, Positive, Range
from framecast.types import Count, Finite, ForeignText, FrameSpec

ERRORS = "errors.json"
"""Name of the tables in a model's folder."""
LEVELS = (0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Local means at which the size of errors is tabulated, on the scale of the errors."""
RADIUS = 4
"""Radius of the square whose mean is the local mean, pixels."""
KNOWN, INFLOW = 0, 1
"""Rows of the sizes: where the moved frame is known, and where air flows in that no frame has shown."""


class LeadErrors(NamedTuple):
    """Errors at one lead time, on the scale of the tables."""

    sd: Tensor
    """(C, 2, levels), standard deviation where known and where unknown, by local mean."""
    amplitude: Tensor
    """(C, frequencies), root of the power."""

    def find_sd(self, forecast: Tensor, known: Tensor) -> Tensor:
        """Find the standard deviation of the error of each pixel.

        Args:
            forecast: (B, C, H, W), on the scale of the tables.
            known: (B, 1, H, W), False where air flows in.
        """
        local = smooth(forecast.double(), RADIUS).clamp(LEVELS[0], LEVELS[-1])
        found = []
        for channel, values in enumerate(local.unbind(1)):
            inside, outside = (interpolate(self.sd[channel, row], values) for row in (KNOWN, INFLOW))
            found.append(torch.where(known[:, 0], inside, outside))
        return torch.stack(found, 1).to(forecast.dtype)


def interpolate(table: Tensor, values: Tensor, points: tuple[float, ...] = LEVELS) -> Tensor:
    """Interpolate a table (points) linearly at values of any shape; beyond the ends their values stay."""
    at = torch.tensor(points, dtype=values.dtype, device=values.device)
    table = table.to(values)
    right = torch.bucketize(values, at).clamp(1, len(points) - 1)
    share = ((values - at[right - 1]) / (at[right] - at[right - 1])).clamp(0, 1)
    return torch.lerp(table[right - 1], table[right], share)


Rows = Annotated[tuple[Finite, ...], Field(max_length=64)]


class ErrorTables(BaseModel):
    """Errors of a predictor by lead time, on a scale on which they are alike from dry to wet: dBZ / high for rain."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    model: ForeignText
    """Name of the predictor."""
    units: ForeignText
    step_minutes: Positive | None
    """Minutes between lead times; None where frames have no times."""
    scale: Normalizer
    """Raw units to the scale of the errors."""
    bounded: bool
    """Whether values beyond the range of the scale are impossible, as in rain and pictures."""
    sd: Annotated[tuple[tuple[tuple[Rows, Rows], ...], ...], Field(min_length=1, max_length=4096)]
    """By lead time, channel, known or inflow, level."""
    power: Annotated[tuple[tuple[Rows, ...], ...], Field(min_length=1, max_length=4096)]
    """By lead time, channel, frequency."""
    correlation: Annotated[tuple[Rows, ...], Field(min_length=1, max_length=64)]
    """Correlation of the errors of channels with each other."""
    windows: Count
    """Number of forecasts that were measured."""

    @model_validator(mode="after")
    def _check(self) -> ErrorTables:
        channels = len(self.correlation)
        is_whole = len(self.sd) == len(self.power) and all(len(row) == channels for row in self.correlation)
        is_whole &= all(len(lead) == channels for lead in (*self.sd, *self.power))
        is_whole &= all(len(row) == len(LEVELS) for lead in self.sd for channel in lead for row in channel)
        is_whole &= all(len(row) == len(FREQUENCIES) for lead in self.power for row in lead)
        if not is_whole:
            raise ValueError(f"tables of other shapes than (leads, {channels} channels, levels or frequencies)")
        if min(min(row) for lead in (*self.power, *(c for one in self.sd for c in one)) for row in lead) < 0:
            raise ValueError("a standard deviation or power below 0")
        return self

    @property
    def channels(self) -> int:
        """Number of channels, C."""
        return len(self.correlation)

    def at(self, lead: int, step_minutes: float | None) -> LeadErrors:
        """Find the errors at a lead time: between those of the table by time, beyond its end those of its end.

        Args:
            lead: number of the predicted frame, 0 first.
            step_minutes: between predicted frames; None where unknown: then a frame is a frame.
        """
        pace = 1.0 if self.step_minutes is None or step_minutes is None else step_minutes / self.step_minutes
        place = min(max((lead + 1) * pace - 1, 0.0), len(self.sd) - 1.0)
        first = int(place)
        second, share = min(first + 1, len(self.sd) - 1), place - first
        tables = (torch.tensor(table, dtype=torch.float64) for table in (self.sd, self.power))
        sd, power = (torch.lerp(table[first], table[second], share) for table in tables)
        if (lead + 1) * pace < 1:  # sooner than the first: errors grow about as the root of time does
            sd = sd * ((lead + 1) * pace) ** 0.5
        return LeadErrors(sd, power.sqrt())

    def check(self, spec: FrameSpec) -> None:
        """Refuse frames of other channels or units.

        Raises:
            InputError: other ones.
        """
        if (spec.targets, spec.units) != (self.channels, self.units):
            got, expected = (f"{c} of {u}" for c, u in ((spec.targets, spec.units), (self.channels, self.units)))
            fix = "framecast calibrate on such frames makes tables for them"
            raise InputError("channels of the error tables", got=got, expected=expected, fix=fix)

    def write(self, path: Path) -> None:
        """Write to a JSON file."""
        json_files.write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> ErrorTables:
        """Read from a JSON file.

        Raises:
            InputError: no such file, a damaged one, or one that holds something else.
        """
        fix = "framecast calibrate makes one"
        try:
            content = json_files.read_json(path)
            return cls.model_validate(content)
        except ValidationError as error:
            got = explain_invalid(error, content).text
            raise InputError(str(path), got=got, expected="error tables", fix=fix) from error
        except (OSError, ValueError) as error:
            raise InputError(str(path), got=f"no error tables ({error})", fix=fix) from error


def choose_scale(spec: FrameSpec) -> tuple[Normalizer, bool]:
    """Choose the scale of the errors of the targets, and whether values beyond it are impossible."""
    if spec.units in (DBZ_UNITS, RATE_UNITS) and not spec.ranges:
        is_rate = spec.units == RATE_UNITS
        return DBZ(high=70.0 if is_rate else max(spec.high, 1.0), rain_rate=is_rate), True
    if spec.ranges:
        low, high = zip(*spec.target_ranges, strict=True)
        return Range(low=low, high=high), False
    return Range(low=spec.low, high=spec.high), spec.units in PICTURE_UNITS


class ErrorStatistics:
    """Sums of errors over forecasts, which become tables.

    Args:
        spec: the frames that are forecast.
        horizon: K, lead times.
        model: name of the predictor.
    """

    def __init__(self, spec: FrameSpec, horizon: int, model: str) -> None:
        self.spec, self.model = spec, model
        self.scale, self.bounded = choose_scale(spec)
        channels = spec.targets
        self._windows = 0
        self._squares, self._counts = (np.zeros((horizon, channels, 2, len(LEVELS))) for _ in range(2))
        self._power, self._waves = (np.zeros((horizon, channels, len(FREQUENCIES))) for _ in range(2))
        self._products = np.zeros((channels, channels))

    def update(self, forecast: Tensor, truth: Tensor, seen: Tensor, known: Tensor) -> None:
        """Include forecasts.

        Args:
            forecast: (B, K, C, H, W), raw units.
            truth: (B, K, C, H, W), raw units.
            seen: (B, K, C, H, W), whether the pixel was observed, and could be forecast.
            known: (B, K, 1, H, W), False where air flows in.
        """
        seen = seen & forecast.isfinite()
        predicted, observed = (
            self.scale.normalize(torch.where(seen, frames, self.spec.low)) for frames in (forecast, truth)
        )
        errors = torch.where(seen, observed - predicted, 0.0).double()
        middles = [(low + high) / 2 for low, high in pairwise(LEVELS)]
        level = torch.bucketize(smooth(predicted.double(), RADIUS), torch.tensor(middles, dtype=torch.float64))
        bins = level + len(LEVELS) * (~known).long()
        for lead in range(errors.shape[1]):
            for channel in range(errors.shape[2]):
                at = seen[:, lead, channel]
                index, size = bins[:, lead, channel][at], 2 * len(LEVELS)
                squares = torch.bincount(index, errors[:, lead, channel][at].square(), minlength=size)
                self._squares[lead, channel] += squares.view(2, -1).numpy()
                self._counts[lead, channel] += torch.bincount(index, minlength=size).view(2, -1).numpy()
        self._add_power(errors)
        flat = errors.transpose(0, 2).flatten(1)
        self._products += (flat @ flat.T).numpy()
        self._windows += len(forecast)

    def _add_power(self, errors: Tensor) -> None:
        power, waves = sum_rings(errors)
        self._power += power.sum(0).numpy()
        self._waves += len(errors) * waves.numpy()

    def close(self) -> ErrorTables:
        """Make the tables of all forecasts that were included.

        Raises:
            InputError: none were.
        """
        if not self._counts.any():
            raise InputError("error tables", got="no forecast with an observed pixel", expected="at least one")
        norm = np.sqrt(np.maximum(np.diag(self._products), 1e-30))
        sd = _fill(self._squares, self._counts)
        # nothing flowed in: such pixels are as those that are known
        sd = np.sqrt(np.where(self._counts[:, :, 1:].any(-1, keepdims=True), sd, sd[:, :, :1]))
        return ErrorTables(
            model=self.model,
            units=self.spec.units,
            step_minutes=self.spec.step_minutes,
            scale=self.scale,
            bounded=self.bounded,
            sd=_round(sd),
            power=_round(_fill(self._power, self._waves)),
            correlation=_round(self._products / norm / norm[:, None]),
            windows=self._windows,
        )


def _fill(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide sums by counts; where there are none interpolate along the last axis."""
    means = np.zeros_like(sums)
    places = np.arange(sums.shape[-1])
    for row in np.ndindex(sums.shape[:-1]):
        there = counts[row] > 0
        if there.any():
            means[row] = np.interp(places, places[there], sums[row][there] / counts[row][there])
    return means


def _round(values: NDArray[np.float64]) -> Any:
    """Round to five significant digits, as nested tuples: a small file that says no more than was measured."""
    if values.ndim > 1:
        return tuple(_round(row) for row in values)
    return tuple(float(f"{value:.5g}") for value in values.tolist())
