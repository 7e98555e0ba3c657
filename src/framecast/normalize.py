"""Raw units to what a network likes, and back. Every normalizer is invertible on its range and travels with the model."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

MARSHALL_PALMER = (200.0, 1.6)
"""Z = a R^b for stratiform rain (Marshall, Palmer 1948): a, b."""


class _Normalizer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def normalize(self, values: Tensor) -> Tensor:
        """Raw units to network units; any shape."""
        raise NotImplementedError

    def denormalize(self, values: Tensor) -> Tensor:
        """Network units to raw units; any shape."""
        raise NotImplementedError


class Identity(_Normalizer):
    """Values are used as they are."""

    kind: Literal["identity"] = "identity"

    def normalize(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values

    def denormalize(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values


class Range(_Normalizer):
    """[low, high] to [0, 1], linearly; values outside the range stay outside."""

    kind: Literal["range"] = "range"
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"value range: got low {self.low}, high {self.high}, expected low < high")
        return self

    def normalize(self, values: Tensor) -> Tensor:
        """(x - low) / (high - low)."""
        return (values - self.low) / (self.high - self.low)

    def denormalize(self, values: Tensor) -> Tensor:
        """Low + y (high - low)."""
        return values * (self.high - self.low) + self.low


class Standard(_Normalizer):
    """Each channel to mean 0 and standard deviation 1; channels are the third axis from the end."""

    kind: Literal["standard"] = "standard"
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]

    def _moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        # Filled where they are needed: a copy from the host would make it wait, and cannot be recorded.
        mean, std = (torch.stack([values.new_full((), number) for number in m]) for m in (self.mean, self.std))
        return mean[:, None, None], std[:, None, None]

    def normalize(self, values: Tensor) -> Tensor:
        """(x - mean) / std, by channel."""
        mean, std = self._moments(values)
        return (values - mean) / std

    def denormalize(self, values: Tensor) -> Tensor:
        """Mean + y std, by channel."""
        mean, std = self._moments(values)
        return values * std + mean


class DBZ(_Normalizer):
    """Radar reflectivity, [0, high] dBZ to [0, 1]; what is below 0 dBZ (no echo) becomes 0, what is above `high` 1.

    With `rain_rate`, raw units are mm/h and dBZ = 10 log10(a R^b) with `z_r` = (a, b).
    """

    kind: Literal["dbz"] = "dbz"
    high: Annotated[float, Field(gt=0)] = 70.0
    rain_rate: bool = False
    z_r: tuple[float, float] = MARSHALL_PALMER

    def normalize(self, values: Tensor) -> Tensor:
        """DBZ / high, cut to [0, 1]."""
        if self.rain_rate:
            a, b = self.z_r
            values = 10 * torch.log10((a * values.clamp_min(0) ** b).clamp_min(1e-12))
        return (values / self.high).clamp(0, 1)

    def denormalize(self, values: Tensor) -> Tensor:
        """Y high in dBZ; with `rain_rate`, the rain in mm/h that gives this reflectivity (0 where dBZ <= 0)."""
        values = values * self.high
        if self.rain_rate:
            a, b = self.z_r
            values = torch.where(values > 0, (10 ** (values / 10) / a) ** (1 / b), 0.0)
        return values


Normalizer = Annotated[Identity | Range | Standard | DBZ, Field(discriminator="kind")]
