"""Model of framecast as a prognostic model of earth2studio: the protocol `PrognosticModel` of its version 0.19.

A model takes a tensor and an ordered dictionary of coordinates, one entry for each axis in order, and gives the same.
earth2studio itself is not needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framecast.api.predictors import Model, find_predictor
from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.types import MAX_COUNT, FrameSpec

Coordinates = OrderedDict[str, NDArray[Any]]
"""Values along each axis of a tensor, by its name, in order: `CoordSystem` of earth2studio."""
Hook = Callable[[Tensor, Coordinates], tuple[Tensor, Coordinates]]
_LEAD, _VARIABLE = "lead_time", "variable"


def _keep(x: Tensor, coords: Coordinates) -> tuple[Tensor, Coordinates]:
    return x, coords


class Prognostic(nn.Module):
    """Forecaster as a prognostic model: (..., lead_time, variable, y, x) in raw units, NaN where missing.

    Args:
        model: a Forecaster, a run, a model's folder, or the name of a trained model; without covariates and without
            channels that are known in the past only.
        variables: name of each channel, in earth2studio's words; by default those of the model.
        domain: values along the axes of rows and columns by their names, as {"lat": ..., "lon": ...}; by default the
            numbers of rows `y` and columns `x` of the frames that it learnt from.
        history: frames of input; by default as many as the model was trained to see.

    Raises:
        UsageError: no such model, or one that such a protocol cannot serve.
        CheckpointError: no model in the folder.

    Example:
        >>> import numpy as np, torch
        >>> from framecast.adapters.earth2studio import Prognostic
        >>> model = Prognostic("rain", ["refc"], {"y": np.arange(64.0), "x": np.arange(80.0)})
        >>> coords = model.input_coords()
        >>> list(coords), coords["lead_time"][0]
        (['batch', 'lead_time', 'variable', 'y', 'x'], np.timedelta64(-2700,'s'))
        >>> coords["batch"] = np.arange(2)
        >>> frames = model.create_iterator(torch.zeros(2, 10, 1, 64, 80), coords)
        >>> [coords["lead_time"][0].astype(int) for _, (_, coords) in zip(range(3), frames)]    # seconds
        [np.int64(0), np.int64(300), np.int64(600)]
    """

    front_hook: Hook = staticmethod(_keep)
    """Called with the frames of input before each step of an iterator; what it returns in their place is used."""
    rear_hook: Hook = staticmethod(_keep)
    """Called with each forecast of an iterator; what it returns in its place is given out, and fed back."""

    def __init__(
        self,
        model: Model,
        variables: Sequence[str] = (),
        domain: Mapping[str, NDArray[Any]] | None = None,
        *,
        history: int | None = None,
    ) -> None:
        super().__init__()
        forecaster = find_predictor(model, _refuse_baseline)
        if not isinstance(forecaster, Forecaster):
            raise _refuse_baseline(forecaster.origin.name)
        self.forecaster, spec = forecaster, forecaster.spec
        _check(spec)
        length = history or forecaster.context
        if length is None:
            raise UsageError("history", got="none", expected="frames of input: the model was trained with no number")
        names = list(variables or spec.names or [f"channel_{number}" for number in range(1, spec.channels + 1)])
        if len(names) != spec.channels:
            raise UsageError("variables", got=f"{len(names)} names", expected=f"{spec.channels}, one for each channel")
        sides = domain or {"y": np.arange(spec.height), "x": np.arange(spec.width)}
        if len(sides) != 2:
            raise UsageError("domain", got=list(sides), expected="two axes, rows and columns, with their values")
        assert spec.step_minutes is not None
        self._step = np.timedelta64(round(spec.step_minutes * 60), "s")
        self._signature: Coordinates = OrderedDict(
            {
                _LEAD: self._step * np.arange(1 - length, 1),
                _VARIABLE: np.array(names),
                **{name: np.asarray(values) for name, values in sides.items()},
            }
        )

    def __str__(self) -> str:
        return f"framecast {self.forecaster.name}"

    def input_coords(self) -> Coordinates:
        """Coordinates of the input: batch (of any size), lead_time (0 and before), variable, rows, columns."""
        return OrderedDict(chain({"batch": np.empty(0)}.items(), self._signature.items()))

    def output_coords(self, input_coords: Coordinates) -> Coordinates:
        """Coordinates of the next frame after some input; the axes before lead_time stay as they are.

        Raises:
            InputError: other axes, or other values along them; a ValueError.
        """
        names, sizes = list(input_coords), len(self._signature)
        if names[-sizes:] != list(self._signature):
            raise InputError("coords", got=f"axes {names}", expected=f"axes that end in {list(self._signature)}")
        newest = input_coords[_LEAD][-1:]
        for name, expected in self._signature.items():
            found = np.asarray(input_coords[name])
            found = found - newest if name == _LEAD else found
            if found.shape != expected.shape or not (found == expected).all():
                got, wanted = (f"{values.shape}, {values.ravel()[:3]} ..." for values in (found, expected))
                fix = "take the axes of input_coords(); domain= names those of other places"
                raise InputError(f"coords: {name}", got=got, expected=wanted, fix=fix)
        return OrderedDict(input_coords, lead_time=newest + self._step)

    def forward(self, x: Tensor, coords: Coordinates) -> tuple[Tensor, Coordinates]:
        """Forecast the next frame.

        Args:
            x: (..., lead_time, variable, y, x), raw units, NaN where missing; any number of axes before.
            coords: its coordinates.

        Returns:
            the frame, with a lead_time of length 1, and its coordinates.

        Raises:
            InputError: coordinates or a tensor of another shape; a ValueError.
        """
        following = self.output_coords(coords)
        return next(self._roll(self._check_shape(x, coords))), following

    def create_iterator(self, x: Tensor, coords: Coordinates) -> Iterator[tuple[Tensor, Coordinates]]:
        """Iterate over the newest frame of the input and then over the forecast, without end.

        The forecast is the rollout of `framecast predict`, as long as no hook changes what is fed back; where one does,
        a new one begins from the frames that it gave.

        Args:
            x: (..., lead_time, variable, y, x), raw units, NaN where missing.
            coords: its coordinates.

        Raises:
            InputError: coordinates or a tensor of another shape; a ValueError.
        """
        self.output_coords(coords)
        window = self._check_shape(x, coords)
        yield window[..., -1:, :, :, :], OrderedDict(coords, lead_time=coords[_LEAD][-1:])
        frames: Iterator[Tensor] | None = None
        while True:
            given, given_coords = self.front_hook(window, coords)
            if frames is None or given is not window:
                frames = self._roll(given)
            frame = next(frames)
            out, following = self.rear_hook(frame, self.output_coords(given_coords))
            frames = frames if out is frame else None
            window = torch.cat([given[..., 1:, :, :, :], out], -4)
            coords = OrderedDict(given_coords, lead_time=np.append(given_coords[_LEAD][1:], following[_LEAD]))
            yield out, following

    def _roll(self, x: Tensor) -> Iterator[Tensor]:
        """Roll a forecast out from frames (..., T, C, H, W), frame by frame, (..., 1, C, H, W)."""
        seen = x.isfinite()
        frames, valid = (part.reshape(-1, *x.shape[-4:]) for part in (x.where(seen, 0), seen))
        past = zip(frames.unbind(1), valid.unbind(1), strict=True)
        known = valid.any(1)
        for prediction in self.forecaster.ahead(past, MAX_COUNT):
            frame = torch.where(known, prediction.frame, torch.nan).to(x.dtype)
            yield frame.reshape(*x.shape[:-4], 1, *x.shape[-3:])

    def _check_shape(self, x: Tensor, coords: Coordinates) -> Tensor:
        expected = tuple(len(values) for values in coords.values())
        if tuple(x.shape) != expected:
            raise InputError("x", got=f"shape {tuple(x.shape)}", expected=f"{expected}, that of its coordinates")
        return x


def _refuse_baseline(name: str) -> Any:
    """Refuse a baseline, which has no state to step.

    Raises:
        UsageError: in any case.
    """
    raise UsageError("model", got=f"the baseline {name}", expected="a network: a run, or the name of a trained model")


def _check(spec: FrameSpec) -> None:
    """Refuse a model that needs more than its own frames, or whose step is no fixed time.

    Raises:
        UsageError: such a model.
    """
    if spec.covariates or spec.past:
        got = f"covariates {[c.name for c in spec.covariates]}, channels of the past {[c.name for c in spec.past]}"
        raise UsageError("model", got=got, expected="one that forecasts all that it is given")
    if spec.step_minutes is None or spec.step_months is not None:
        got = "no time step" if spec.step_minutes is None else "a step in calendar months"
        raise UsageError("model", got=got, expected="one that learnt from frames of a known, fixed time step")
