"""Bases: forecasts that a network stands on and learns to better: the last frame, the mean, the extrapolated frame."""

from framecast.bases.base import Base, BaseFields
from framecast.bases.config import (
    NO_BASE,
    BaseConfig,
    CalibratedBase,
    ExtrapolationBase,
    Head,
    LinearBase,
    MeanBase,
    NoBase,
    PersistenceBase,
    SeasonalBase,
    name_base,
)
from framecast.bases.encoding import BaseEncoder, BaseRun, build_against_base, make_encoder
from framecast.bases.fitted import Fitted
from framecast.bases.matching import match_values

__all__ = [
    "NO_BASE",
    "Base",
    "BaseConfig",
    "BaseEncoder",
    "BaseFields",
    "BaseRun",
    "CalibratedBase",
    "ExtrapolationBase",
    "Fitted",
    "Head",
    "LinearBase",
    "MeanBase",
    "NoBase",
    "PersistenceBase",
    "SeasonalBase",
    "build_against_base",
    "make_encoder",
    "match_values",
    "name_base",
]
