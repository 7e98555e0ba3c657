"""Nowcasts of framecast's models in pysteps, by the interface of `pysteps.nowcasts`, and `register`, which names them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError, UsageError
from framecast.optional_imports import require

if TYPE_CHECKING:
    from torch import Tensor

    from framecast.api.predictors import Model
    from framecast.forecast import Forecast

RainArray = NDArray[np.floating[Any]]
Leads = int | np.integer[Any] | Sequence[int | float] | NDArray[Any]
NAME = "framecast"
"""Name of the method, as in nowcasts.get_method("framecast")."""


def register() -> None:
    """Make `pysteps.nowcasts.get_method("framecast")` find `forecast`.

    pysteps 1.21 does it itself when it is imported, as it loads the importers that are installed: `pysteps_plugin`.

    Raises:
        UsageError: pysteps is not installed.

    Example:
        >>> import framecast, pysteps.nowcasts
        >>> framecast.pysteps.register()
        >>> pysteps.nowcasts.get_method("framecast").__module__
        'framecast.adapters.pysteps'
    """
    # pysteps finds importers by entry points, but keeps its nowcasts in this dictionary, which has no other door
    interface = require("pysteps.nowcasts.interface", "steps", "a nowcast in pysteps")
    interface._nowcast_methods[NAME] = forecast


def forecast(
    precip: RainArray,
    velocity: RainArray | None,
    timesteps: Leads,
    model: Model = "rain",
    n_ens_members: int = 1,
    seed: int = 0,
    metadata: Mapping[str, Any] | None = None,
    timestep: int | float | None = None,
    measure_time: bool = False,
) -> Any:
    """Forecast rain by a model, as the methods of `pysteps.nowcasts` do.

    Args:
        precip: (time, y, x) or (y, x), the newest frame last, NaN where missing; frames before those that the model was
            made to see are left out.
        velocity: (2, y, x), motion in x and y, pixels per time step, rows downwards, for models that move frames; None
            to estimate it. Others take no notice of it.
        timesteps: how many frames to forecast; or lead times in time steps, ascending, fractions too, between which
            frames are moved and blended.
        model: a run, a model's folder, the name of a trained model or a baseline, or a Forecaster; of rain.
        n_ens_members: members, of which those beyond 1 need the error tables of the model (`framecast calibrate`).
        seed: seed of the members.
        metadata: that of `precip` in pysteps: unit (mm/h, mm, dBZ), transform (None, dB), accutime, threshold,
            zerovalue, zr_a, zr_b. None for rain rates, mm/h.
        timestep: minutes between frames; None for those of the training.
        measure_time: whether to return the seconds of the computation, too.

    Returns:
        (time, y, x), of several members (member, time, y, x), in the units and the transform of `precip`, NaN where no
        frame has a value; with `measure_time` a pair of that and the seconds.

    Raises:
        InputError: arrays of other shapes, or values that are none of rain.
        UsageError: no such model or none of rain, no lead time, another transform, or members of a model without tables.

    Example:
        >>> import numpy as np
        >>> from framecast.adapters.pysteps import forecast
        >>> rates = np.zeros((10, 32, 48))
        >>> rates[:, 8:20, 10:30] = 5.0
        >>> forecast(rates, np.zeros((2, 32, 48)), 3).shape
        (3, 32, 48)
    """
    start = time.perf_counter()
    if n_ens_members < 1:
        raise UsageError("n_ens_members", got=n_ens_members, expected="at least 1")
    leads = _check_timesteps(timesteps)
    frames, motion = _check_arrays(precip, velocity)
    scale = RainScale.read(metadata, frames)
    result = _make_forecast(scale, frames, motion, int(np.ceil(leads[-1])), model, n_ens_members, seed, timestep)
    members = _select_leads(result, motion, leads)
    rain = scale.decode(members, result.spec.units).astype(frames.dtype)
    rain = rain if n_ens_members > 1 else rain[0]
    return (rain, time.perf_counter() - start) if measure_time else rain


@dataclass(frozen=True)
class RainScale:
    """Meaning of the values of an array of pysteps.

    Args:
        unit: mm/h, mm, dBZ.
        decibels: whether rates or depths are 10 log10 of what they are; reflectivity is in any case.
        accutime: minutes of depths.
        threshold: least rain, in the units and transform of the array.
        zerovalue: value of no rain, likewise.
        z_r: coefficients (a, b) of Z = a R^b.
    """

    unit: str = "mm/h"
    decibels: bool = False
    accutime: float = 60.0
    threshold: float = 0.0
    zerovalue: float = 0.0
    z_r: tuple[float, float] = (200.0, 1.6)

    @classmethod
    def read(cls, metadata: Mapping[str, Any] | None, frames: RainArray) -> RainScale:
        """Read the metadata of an array, which is checked against its values where there are none.

        Raises:
            InputError: negative values without metadata.
            UsageError: other units, another transform, or depths without the time in which they fell.
        """
        if metadata is None:
            lowest = np.nanmin(frames, initial=np.inf)
            if lowest < 0:
                fix = "say what the values are, as in metadata=metadata"
                raise InputError("precip", got=f"values down to {lowest:g}", expected="rain rates in mm/h", fix=fix)
            return cls()
        unit, transform = metadata.get("unit"), metadata.get("transform")
        if unit not in ("mm/h", "mm", "dBZ"):
            raise UsageError("metadata: unit", got=unit, expected="mm/h, mm or dBZ")
        if transform not in (None, "dB"):
            fix = "transform it back first, by pysteps.utils.transformation"
            raise UsageError("metadata: transform", got=transform, expected="None or dB", fix=fix)
        accutime = metadata.get("accutime")
        if unit == "mm" and not accutime:
            raise UsageError("metadata: accutime", got=accutime, expected="minutes in which the depths fell")
        decibels = transform == "dB" and unit != "dBZ"
        return cls(
            unit,
            decibels,
            float(accutime or 60),
            float(metadata.get("threshold", -10.0 if decibels else 0.0)),
            float(metadata.get("zerovalue", -15.0 if decibels else 0.0)),
            (float(metadata.get("zr_a", 200.0)), float(metadata.get("zr_b", 1.6))),
        )

    @property
    def units(self) -> str:
        """Units of the values without their logarithm, and of depths as rates."""
        return "dBZ" if self.unit == "dBZ" else "mm/h"

    def encode(self, values: RainArray) -> Tensor:
        """Convert an array to `units`, float32; NaN stays."""
        import torch

        if self.decibels:
            values = np.where(values < self.threshold, 0.0, 10 ** (values / 10))
        if self.unit == "mm":
            values = values * (60 / self.accutime)
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))

    def decode(self, values: Tensor, units: str) -> NDArray[np.float64]:
        """Convert a forecast, in the units of its model, back to those of the array; NaN stays."""
        from framecast.adapters.rain import convert_rain

        rain = convert_rain(values, units, self.units, self.z_r).numpy().astype(np.float64)
        if self.unit == "mm":
            rain = rain * (self.accutime / 60)
        if self.decibels:
            wet = rain >= 10 ** (self.threshold / 10)
            decibels = np.where(wet, 10 * np.log10(rain.clip(1e-12)), self.zerovalue)
            rain = np.where(np.isnan(rain), np.nan, decibels)
        return rain


def _check_timesteps(timesteps: Leads) -> NDArray[np.float64]:
    """Check lead times; list them in time steps.

    Raises:
        UsageError: none, or a list that does not ascend from above 0.
    """
    if isinstance(timesteps, int | np.integer):
        leads = np.arange(1.0, timesteps + 1)
    else:
        leads = np.asarray(timesteps, np.float64)
    if leads.ndim != 1 or not leads.size or not (np.diff(leads, prepend=0.0) > 0).all() or not np.isfinite(leads[-1]):
        raise UsageError(
            "timesteps", got=timesteps, expected="a number from 1 on, or a list of steps that ascends from 0"
        )
    return leads


def _check_arrays(precip: RainArray, velocity: RainArray | None) -> tuple[RainArray, Tensor | None]:
    """Check the shapes of frames and motion; return (time, y, x) and (1, 2, y, x).

    Raises:
        InputError: other shapes, or no frame.
    """
    import torch

    frames = np.asarray(np.ma.filled(np.ma.asarray(precip, np.result_type(precip, np.float32)), np.nan))
    frames = frames[None] if frames.ndim == 2 else frames
    if frames.ndim != 3 or not frames.size:
        raise InputError("precip", got=f"shape {frames.shape}", expected="(time, y, x), the newest frame last")
    if velocity is None:
        return frames, None
    motion = np.asarray(velocity, np.float32)
    if motion.shape != (2, *frames.shape[1:]):
        raise InputError("velocity", got=f"shape {motion.shape}", expected=f"{(2, *frames.shape[1:])}, x and y")
    return frames, torch.from_numpy(np.nan_to_num(motion, posinf=0.0, neginf=0.0))[None]


def _make_forecast(
    scale: RainScale,
    frames: RainArray,
    motion: Tensor | None,
    horizon: int,
    model: Model,
    members: int,
    seed: int,
    timestep: int | float | None,
) -> Forecast:
    """Forecast by a model from frames of pysteps, in the units of the model."""
    from framecast.adapters.rain import convert_rain, dress_model, find_rain_model
    from framecast.forecasting.data_checks import adapt_to_step
    from framecast.forecasting.forecaster import Forecaster
    from framecast.forecasting.predictor import PastFrames

    values = scale.encode(frames)
    known = values[values.isfinite()]  # of which a baseline cuts nothing
    predictor = find_rain_model(model, scale.units, max(float(known.max()), 1.0) if known.numel() else 1.0)
    values = convert_rain(
        values if predictor.context is None else values[-predictor.context :],
        scale.units,
        predictor.spec.units,
        scale.z_r,
    )
    size = {"height": frames.shape[1], "width": frames.shape[2]}
    spec = predictor.spec.model_copy(update=size | ({} if timestep is None else {"step_minutes": float(timestep)}))
    if isinstance(predictor, Forecaster):
        predictor, _ = adapt_to_step(predictor, spec, None, "leave timestep out")
    values, seen = values[None, :, None], values[None, :, None].isfinite()
    tracked = None if motion is None else motion[:, None].expand(-1, values.shape[1], -1, -1, -1)
    past = PastFrames(values.where(seen, spec.low), spec, None if seen.all() else seen, motion=tracked)
    if members < 2:
        return predictor.forecast(past, horizon)
    return dress_model(predictor, members, seed).forecast(past, horizon)


def _select_leads(result: Forecast, motion: Tensor | None, leads: NDArray[np.float64]) -> Tensor:
    """Select lead times, (M, len(leads), H, W), of those between two frames both, each moved to the time, and blended."""
    import torch

    from framecast.forecasting.motion_output import estimate_motion_of_context
    from framecast.motion import advect, trace_back

    frames = torch.cat([result.context[0, -1:, 0].expand(result.members, 1, -1, -1), result.frames[0, :, :, 0]], 1)
    whole = leads.astype(int)
    if (whole == leads).all():
        return frames[:, whole]
    motion = estimate_motion_of_context(result) if motion is None else motion
    seen, filled = frames[:, -1:].isfinite(), frames.nan_to_num(result.spec.low)
    made = []
    for lead, before in zip(leads.tolist(), whole.tolist(), strict=True):
        share = lead - before
        if share:
            sides = (before, motion * share, 1 - share), (before + 1, -motion * (1 - share), share)
            moved = [weight * advect(filled[None, :, at], next(trace_back(along)))[0] for at, along, weight in sides]
            made.append(moved[0] + moved[1])
        else:
            made.append(filled[:, before])
    return torch.where(seen, torch.stack(made, 1), torch.nan)
