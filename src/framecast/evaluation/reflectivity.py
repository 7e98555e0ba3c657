"""Radar reflectivity of rain rates, for scores on a logarithmic scale: data sets and predictors in dBZ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.data import DataSet
from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.data.windows.windows import Windows
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.transforms.normalize import DBZ
from framecast.types import Window

_SCALE = DBZ(rain_rate=True)
"""mm/h to 0..1, of which 1 is `_SCALE.high` dBZ."""


def to_dbz(rates: Tensor) -> Tensor:
    """Convert rain rates to reflectivity by Z = 200 R^1.6 (Marshall, Palmer 1948).

    Args:
        rates: any shape, mm/h.

    Returns:
        dBZ, clipped to 0 to 70.
    """
    return _SCALE.normalize(rates) * _SCALE.high


def dataset_in_dbz(dataset: DataSet) -> DataSet:
    """Convert a data set of rain rates to reflectivity, value range 0 to 70 dBZ; one in dBZ is returned unchanged.

    Raises:
        UsageError: data in other units.
    """
    spec = dataset.spec
    if spec.units == DBZ_UNITS:
        return dataset
    if spec.units != RATE_UNITS:
        expected = f"{RATE_UNITS} or {DBZ_UNITS}"
        raise UsageError("in_dbz", got=f"data in {spec.units}", expected=expected, fix="name them with --units")
    a, b = _SCALE.coefficients
    return replace(
        dataset,
        spec=spec.model_copy(update={"units": DBZ_UNITS, "low": 0.0, "high": _SCALE.high}),
        notes=(*dataset.notes, f"scale: mm/h turned into dBZ by Z = {a:g} R^{b:g}, cut to 0 to {_SCALE.high:g} dBZ"),
        windows=_DBZWindows(dataset.windows, spec.targets),
    )


@dataclass(frozen=True)
class _DBZWindows:
    """Windows of rain rates, converted to reflectivity as they are read."""

    rates: Windows
    """Windows in mm/h."""
    targets: int
    """Number of target channels, those that are converted."""

    def read(self, split: str, epoch: int, index: int) -> Window:
        window = self.rates.read(split, epoch, index)
        return window._replace(frames=self._convert(window.frames))

    def count(self, split: str) -> int:
        return self.rates.count(split)

    def event(self, split: str, index: int) -> int | None:
        return self.rates.event(split, index)

    def training_frames(self) -> Iterator[NDArray[np.float32]]:
        return map(self._convert, self.rates.training_frames())

    def _convert(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        rates, others = np.split(frames, [self.targets], axis=1)
        return np.concatenate([to_dbz(torch.from_numpy(rates)).numpy(), others], 1)


class DBZPredictor:
    """Predictor in dBZ, by one in mm/h: its input is converted to rain rates, its forecast to reflectivity.

    Args:
        predictor: predictor of rain rates, mm/h.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict frames in dBZ from frames in dBZ; 0 dBZ and less is no rain.

        Raises:
            InputError: frames that do not fit the predictor, or too few of them.
            UsageError: a horizon below 1.
        """
        rates, others = past.frames.split([past.spec.targets, past.frames.shape[2] - past.spec.targets], 2)
        rates = torch.cat([_SCALE.denormalize(rates / _SCALE.high), others], 2)
        in_rates = replace(past, frames=rates, spec=past.spec.model_copy(update={"units": RATE_UNITS}))
        forecast = self.predictor.forecast(in_rates, horizon)
        # made anew from `past`, so that context, units and the fingerprint of the input are those in dBZ
        return past.make_forecast(to_dbz(forecast.frames), forecast.provenance.model)
