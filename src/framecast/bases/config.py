"""Configurations of bases: frozen fields, as they stand in recipes and model folders."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from framecast.bases.base import Base
from framecast.bases.constant import Mean, Persistence
from framecast.bases.extrapolation import Extrapolation
from framecast.bases.seasonal import Seasonal
from framecast.data.durations import Duration, in_frames
from framecast.types import FrameSpec

Head = Literal["change", "mix"]
"""How a network betters its base: by a change that it adds, or by mixing fields that the base gives."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def make(self, spec: FrameSpec) -> Base:
        """Make the base for frames of this contract.

        Raises:
            UsageError: a base that these frames cannot have.
        """
        raise NotImplementedError


class NoBase(BaseModel):
    """No base: the network predicts the frame itself, as in the papers."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["none"] = "none"


class PersistenceBase(_Config):
    """Base that repeats the last frame."""

    kind: Literal["persistence"] = "persistence"

    def make(self, spec: FrameSpec) -> Base:
        """Make the base."""
        return Persistence()


class MeanBase(_Config):
    """Base that repeats the mean of the context."""

    kind: Literal["mean"] = "mean"

    def make(self, spec: FrameSpec) -> Base:
        """Make the base."""
        return Mean()


class SeasonalBase(_Config):
    """Base that repeats the values one period earlier.

    Args:
        period: frames, or a time as in 24h.
    """

    kind: Literal["seasonal"] = "seasonal"
    period: Duration = "24h"

    def make(self, spec: FrameSpec) -> Base:
        """Make the base.

        Raises:
            UsageError: a period that is no whole number of steps.
        """
        return Seasonal(in_frames(self.period, spec.step_minutes, "base.period"))


class ExtrapolationBase(_Config):
    """Base that moves the last frame along the motion of the last four."""

    kind: Literal["extrapolation"] = "extrapolation"

    def make(self, spec: FrameSpec) -> Base:
        """Make the base."""
        return Extrapolation(spec.targets)


def _name_kind(value: Any) -> Any:
    """Turn the name of a base into its configuration with defaults."""
    return {"kind": value} if isinstance(value, str) else value


BaseConfig = Annotated[
    NoBase | PersistenceBase | MeanBase | SeasonalBase | ExtrapolationBase,
    Field(discriminator="kind"),
    BeforeValidator(_name_kind),
]
NO_BASE = NoBase()
"""The default: the form of the papers."""
