"""Rain rates seen as radar reflectivity, so that light and heavy rain weigh alike in scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from framecast.data import DataSet
from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.transforms.normalize import DBZ
from framecast.types import Window

_SCALE = DBZ(rain_rate=True)


def to_dbz(rates: Tensor) -> Tensor:
    """Rain rates in mm/h to dBZ by Z = 200 R^1.6 (Marshall, Palmer 1948); 0 where that is below 0, at most 70."""
    return _SCALE.normalize(rates) * _SCALE.high


def dataset_in_dbz(dataset: DataSet) -> DataSet:
    """A data set of rain rates as one of reflectivity from 0 to 70 dBZ; one that is in dBZ stays as it is.

    Raises:
        UsageError: the data are neither.
    """
    spec = dataset.spec
    if spec.units == DBZ_UNITS:
        return dataset
    if spec.units != RATE_UNITS:
        expected = f"{RATE_UNITS} or {DBZ_UNITS}"
        raise UsageError("scale dBZ", got=f"data in {spec.units}", expected=expected, fix="name them with --units")
    a, b = _SCALE.coefficients
    return replace(
        dataset,
        spec=spec.model_copy(update={"units": DBZ_UNITS, "low": 0.0, "high": _SCALE.high}),
        notes=(*dataset.notes, f"scale: mm/h turned into dBZ by Z = {a:g} R^{b:g}, cut to 0 to {_SCALE.high:g} dBZ"),
        read=_Read(dataset.read, spec.targets),
    )


@dataclass(frozen=True)
class _Read:
    read: Callable[[str, int, int], Window]
    targets: int

    def __call__(self, split: str, epoch: int, index: int) -> Window:
        window = self.read(split, epoch, index)
        rates, others = np.split(window.frames, [self.targets], axis=1)
        return window._replace(frames=np.concatenate([to_dbz(torch.from_numpy(rates)).numpy(), others], 1))


class DBZPredictor:
    """A predictor of rain rates, given and giving reflectivity.

    Args:
        predictor: of mm/h.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict frames in dBZ from frames in dBZ, see `Predictor`; below 0 dBZ there is no rain."""
        rates, others = past.frames.split([past.spec.targets, past.frames.shape[2] - past.spec.targets], 2)
        rates = torch.cat([_SCALE.denormalize(rates / _SCALE.high), others], 2)
        in_rates = replace(past, frames=rates, spec=past.spec.model_copy(update={"units": RATE_UNITS}))
        found = self.predictor.forecast(in_rates, horizon)
        return past.make_forecast(to_dbz(found.frames), found.provenance.model)
