"""Configurations of bases: frozen fields, as they stand in recipes and model folders."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from framecast.bases.base import Base
from framecast.bases.constant import ContextMean, LastFrame
from framecast.bases.extrapolation import AdvectedFrame
from framecast.bases.fitted import Fitted
from framecast.bases.seasonal import LastPeriod
from framecast.data.durations import Duration, count_period
from framecast.types import Count, FrameSpec

Head = Literal["change", "mix"]
"""How a network betters its base: by a change that it adds, or by mixing fields that the base gives."""


USUAL_LEADS = 10
"""Lead times that are fitted where no training says how many."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def make(self, spec: FrameSpec, floor: float | None = None) -> Base:
        """Make the base.

        Args:
            spec: contract of the frames.
            floor: least value of a frame, network units; None for none.

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

    def make(self, spec: FrameSpec, floor: float | None = None) -> Base:
        """Make the base."""
        return LastFrame()


class MeanBase(_Config):
    """Base that repeats the mean of the context."""

    kind: Literal["mean"] = "mean"

    def make(self, spec: FrameSpec, floor: float | None = None) -> Base:
        """Make the base."""
        return ContextMean()


class SeasonalBase(_Config):
    """Base that repeats the values one period earlier.

    Args:
        period: frames, or a time as in 24h.
    """

    kind: Literal["seasonal"] = "seasonal"
    period: Duration = "24h"

    def make(self, spec: FrameSpec, floor: float | None = None) -> Base:
        """Make the base.

        Raises:
            UsageError: a period that is no whole number of steps.
        """
        return LastPeriod(count_period(self.period, spec, "base.period"))


class ExtrapolationBase(_Config):
    """Base that moves the last frame along the motion of the last four."""

    kind: Literal["extrapolation"] = "extrapolation"

    def make(self, spec: FrameSpec, floor: float | None = None) -> Base:
        """Make the base."""
        return AdvectedFrame(spec.targets)


class _FittedConfig(_Config):
    leads: Count | None = None

    @property
    def fitted_leads(self) -> int:
        """Number of lead times with weights of their own."""
        return self.leads or USUAL_LEADS


class LinearBase(_FittedConfig):
    """Base that is fitted to the training split: least squares on the last frame, its blurs, the mean and the trend.

    Args:
        leads: lead times that are fitted; by default the horizon of the training.
        period: frames, or a time as in 24h, after which values come again: then on the values one period earlier, too.
    """

    kind: Literal["linear"] = "linear"
    period: Duration | None = None

    def make(self, spec: FrameSpec, floor: float | None = None) -> Base:
        """Make the base, not fitted yet.

        Raises:
            UsageError: a period that is no whole number of steps.
        """
        inner: Base = LastFrame()
        if self.period is not None:
            inner = LastPeriod(count_period(self.period, spec, "base.period"))
        return Fitted(inner, spec.channels, self.fitted_leads, floor)


class CalibratedBase(_FittedConfig):
    """Base that is fitted to the training split: least squares on the extrapolated frame, its blurs, the mean, growth.

    Args:
        leads: lead times that are fitted; by default the horizon of the training.
    """

    kind: Literal["calibrated"] = "calibrated"

    def make(self, spec: FrameSpec, floor: float | None = None) -> Base:
        """Make the base, not fitted yet."""
        return Fitted(AdvectedFrame(spec.targets), spec.channels, self.fitted_leads, floor)


def name_base(config: BaseConfig) -> str:
    """Name a base as in tables: by its kind, and by its period unless that is the usual one, as in linear:24h."""
    period = getattr(config, "period", None)
    return config.kind if period is None or config == SeasonalBase() else f"{config.kind}:{period}"


def _name_kind(value: Any) -> Any:
    """Turn the name of a base into its configuration with defaults."""
    return {"kind": value} if isinstance(value, str) else value


BaseConfig = Annotated[
    NoBase | PersistenceBase | MeanBase | SeasonalBase | ExtrapolationBase | LinearBase | CalibratedBase,
    Field(discriminator="kind"),
    BeforeValidator(_name_kind),
]
NO_BASE = NoBase()
"""The default: the form of the papers."""
