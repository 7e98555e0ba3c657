"""Normalizers: raw units to network units and back, invertible on the value range. A model folder holds its own."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from framecast.transforms.channels import make_column
from framecast.types import Finite

Z_R = {
    "marshall-palmer": (200.0, 1.6),
    "wsr-88d": (300.0, 1.4),
    "fmi": (223.0, 1.53),
    "knmi": (200.0, 1.6),
}
"""Relations Z = a R^b of reflectivity (mm6/m3) and rain rate (mm/h): a, b. "marshall-palmer": stratiform rain,
J. S. Marshall, W. M. Palmer, J. Meteorol. 5 (1948); "wsr-88d": the radars of the USA, R. A. Fulton et al., Weather
Forecast. 13 (1998); "fmi": rain in Finland, J. Leinonen et al., J. Appl. Meteorol. Climatol. 51 (2012); "knmi": the Dutch
radars, A. Overeem et al., J. Appl. Meteorol. Climatol. 48 (2009)."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ZR = Literal["marshall-palmer", "wsr-88d", "fmi", "knmi"] | tuple[Positive, Positive]
"""Name of a relation in `Z_R`, or its coefficients (a, b)."""


class _Normalizer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    to_unit_range: ClassVar[bool] = True
    """Whether the value range becomes [0, 1]."""

    def normalize(self, values: Tensor) -> Tensor:
        """Raw units to network units; any shape."""
        raise NotImplementedError

    def denormalize(self, values: Tensor) -> Tensor:
        """Network units to raw units; any shape."""
        raise NotImplementedError


class Identity(_Normalizer):
    """Normalizer that leaves values as they are."""

    to_unit_range: ClassVar[bool] = False
    kind: Literal["identity"] = "identity"

    def normalize(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values

    def denormalize(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values


class _RangeNormalizer(_Normalizer):
    """Normalizer of [low, high] to [0, 1]: one range for all channels, or one for each, the third axis from the end."""

    low: Finite | tuple[Finite, ...]
    high: Finite | tuple[Finite, ...]

    @model_validator(mode="after")
    def _check_order(self) -> _RangeNormalizer:
        lows, highs = ((end,) if isinstance(end, float) else end for end in (self.low, self.high))
        match = isinstance(self.low, float) == isinstance(self.high, float) and len(lows) == len(highs) > 0
        if not (match and all(low < high for low, high in zip(lows, highs, strict=True))):
            raise ValueError(f"value range: got low {self.low}, high {self.high}, expected low < high, as many of each")
        return self

    @property
    def channels(self) -> int | None:
        """Number of channels; None for any number."""
        return None if isinstance(self.low, float) else len(self.low)

    def _make_ends(self, values: Tensor) -> tuple[Any, Any]:
        """Make low and high - low: numbers, or (C, 1, 1) on the device and in the dtype of `values`."""
        if isinstance(self.low, tuple) and isinstance(self.high, tuple):
            spans = [high - low for low, high in zip(self.low, self.high, strict=True)]
            return make_column(self.low, values), make_column(spans, values)
        assert not isinstance(self.low, tuple)
        assert not isinstance(self.high, tuple)
        return self.low, self.high - self.low


class Range(_RangeNormalizer):
    """Linear normalizer of [low, high] to [0, 1]; values outside the range stay outside.

    There is one range for all channels, or one for each; channels are the third axis from the end.
    """

    kind: Literal["range"] = "range"

    def normalize(self, values: Tensor) -> Tensor:
        """(x - low) / (high - low), of x in raw units."""
        low, span = self._make_ends(values)
        return (values - low) / span

    def denormalize(self, values: Tensor) -> Tensor:
        """Low + y (high - low)."""
        low, span = self._make_ends(values)
        return values * span + low


class Log(_RangeNormalizer):
    """Logarithmic normalizer of [low, high] to [0, 1]: y = log(1 + (x - low) / d) / log(1 + (high - low) / d).

    It is linear where x - low is far below the offset d and logarithmic far above it: for amounts that range over
    decades. Values below `low` become 0. There is one range and offset for all channels, or one for each.
    """

    kind: Literal["log"] = "log"
    offset: Positive | tuple[Positive, ...]

    @model_validator(mode="after")
    def _check_offsets(self) -> Log:
        if (len(self.offset) if isinstance(self.offset, tuple) else None) != self.channels:
            raise ValueError(f"offset: got {self.offset}, expected one for each range, {self.channels or 1}")
        return self

    def _make_parts(self, values: Tensor) -> tuple[Any, Any, Any]:
        """Make low, offset and log(1 + (high - low) / offset): numbers, or (C, 1, 1) as `values` are."""
        if isinstance(self.low, tuple) and isinstance(self.high, tuple) and isinstance(self.offset, tuple):
            parts = zip(self.low, self.high, self.offset, strict=True)
            scales = [math.log1p((high - low) / offset) for low, high, offset in parts]
            return make_column(self.low, values), make_column(self.offset, values), make_column(scales, values)
        assert not isinstance(self.offset, tuple)
        low, span = self._make_ends(values)
        return low, self.offset, math.log1p(span / self.offset)

    def normalize(self, values: Tensor) -> Tensor:
        """log(1 + (x - low) / offset), divided by its value at `high`."""
        low, offset, scale = self._make_parts(values)
        return torch.log1p((values - low).clamp_min(0) / offset) / scale

    def denormalize(self, values: Tensor) -> Tensor:
        """Low + offset (exp(y log(1 + (high - low) / offset)) - 1)."""
        low, offset, scale = self._make_parts(values)
        return torch.expm1(values * scale) * offset + low


class Standard(_Normalizer):
    """Normalizer of each channel to mean 0 and standard deviation 1; channels are the third axis from the end."""

    to_unit_range: ClassVar[bool] = False
    kind: Literal["standard"] = "standard"
    mean: tuple[Finite, ...]
    std: tuple[Positive, ...]

    @model_validator(mode="after")
    def _check_lengths(self) -> Standard:
        if not len(self.mean) == len(self.std) > 0:
            raise ValueError(
                f"got {len(self.mean)} means and {len(self.std)} deviations, expected one for each channel"
            )
        return self

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.mean)

    def _make_moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return make_column(self.mean, values), make_column(self.std, values)

    def normalize(self, values: Tensor) -> Tensor:
        """(x - mean) / std, by channel."""
        mean, std = self._make_moments(values)
        return (values - mean) / std

    def denormalize(self, values: Tensor) -> Tensor:
        """Mean + y std, by channel."""
        mean, std = self._make_moments(values)
        return values * std + mean


class DBZ(_Normalizer):
    """Normalizer of radar reflectivity, [0, high] dBZ to [0, 1]: below 0 dBZ (no echo) is 0, above `high` 1.

    With `rain_rate`, raw units are mm/h, and dBZ = 10 log10(a R^b) with the coefficients of `z_r` in `Z_R`.
    """

    kind: Literal["dbz"] = "dbz"
    high: Positive = 70.0
    rain_rate: bool = False
    z_r: ZR = "marshall-palmer"

    @property
    def coefficients(self) -> tuple[float, float]:
        """Coefficients (a, b) of the relation Z = a R^b."""
        return Z_R[self.z_r] if isinstance(self.z_r, str) else self.z_r

    def as_dbz(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert raw units to dBZ, cut to [0, high]; NaN stays."""
        reflectivity: NDArray[np.float32] = (self.normalize(torch.from_numpy(values)) * self.high).numpy()
        return reflectivity

    def normalize(self, values: Tensor) -> Tensor:
        """DBZ / high, cut to [0, 1]."""
        if self.rain_rate:
            a, b = self.coefficients
            # the floor keeps the logarithm of no rain finite; it is cut to 0 below
            values = 10 * torch.log10((a * values.clamp_min(0) ** b).clamp_min(1e-12))
        return (values / self.high).clamp(0, 1)

    def denormalize(self, values: Tensor) -> Tensor:
        """Y high in dBZ; with `rain_rate`, the rain in mm/h that gives this reflectivity (0 where dBZ <= 0)."""
        values = values * self.high
        if self.rain_rate:
            a, b = self.coefficients
            values = torch.where(values > 0, (10 ** (values / 10) / a) ** (1 / b), 0.0)
        return values


Normalizer = Annotated[Identity | Range | Standard | Log | DBZ, Field(discriminator="kind")]
