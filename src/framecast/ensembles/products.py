"""Products: maps made of all members, lead time by lead time, so that members of one lead time are in memory only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isqrt

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from framecast.data.units import DBZ_UNITS, RATE_UNITS, target_units
from framecast.ensembles.calibration.calibration_file import EnsembleCalibration
from framecast.ensembles.calibration.intervals import find_quantile
from framecast.ensembles.product_names import INTERVALS, ForecastProduct
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.transforms.normalize import DBZ
from framecast.types import Grid


def make_products(
    forecast: Forecast,
    leads: Iterable[Tensor],
    products: Sequence[ForecastProduct],
    calibration: EnsembleCalibration | None = None,
) -> Forecast:
    """Make maps of the members of a forecast.

    Args:
        forecast: the forecast, whose grid, times and provenance they get; its own frames do not matter.
        leads: members of each lead time in turn, (N, M, C, H, W), raw units.
        products: at least one.
        calibration: of probabilities of values, not of sums, and of intervals; None to give shares of members.

    Returns:
        one member, whose channels are the products of each target in turn; sums are NaN until their time is full.

    Raises:
        UsageError: sums of what is no rain, or not over whole steps; kilometres on a grid without any; intervals
            without a calibration, or of a level that it has not.
    """
    _check_intervals(products, calibration)
    sums = {minutes: _RunningSum(forecast, minutes) for minutes in {one.minutes for one in products} if minutes}
    radii = [product.count_pixels(forecast.grid) for product in products]
    frames = []
    for lead, members in enumerate(leads):
        values = {0: members, **{minutes: total.add(members) for minutes, total in sums.items()}}
        fitted = 0 if calibration is None else calibration.find_lead(lead, forecast.spec.step_minutes)
        maps = []
        for product, radius in zip(products, radii, strict=True):
            sequences = values[product.minutes]
            if product.kind in INTERVALS and calibration is not None:
                end = INTERVALS.index(product.kind)
                made = [calibration.find_interval(one, product.level, fitted)[end] for one in sequences]
            else:
                made = [compute_product(product, one, radius) for one in sequences]
            one = torch.stack(made)
            is_plain = product.kind == "probability" and not product.minutes and not radius
            if is_plain and calibration is not None and calibration.reliability is not None:
                one = calibration.reliability.calibrate(one, product.level, fitted)
            maps.append(one)
        frames.append(torch.stack(maps, 2).flatten(1, 2))  # targets, then products of each
    return _label(forecast, torch.stack(frames, 1)[:, None], products)


def _check_intervals(products: Sequence[ForecastProduct], calibration: EnsembleCalibration | None) -> None:
    """Refuse intervals before anything is computed where there is nothing that says how wide they are."""
    for product in products:
        if product.kind not in INTERVALS:
            continue
        if calibration is None:
            fix = "framecast calibrate makes one beside the errors; p10 and p90 are plain percentiles of the members"
            raise UsageError(f"product {product.name}", got="no calibration", expected="one of intervals", fix=fix)
        calibration.check_level(product.level)


def compute_product(product: ForecastProduct, members: Tensor, radius: float) -> Tensor:
    """Compute one map (C, H, W) of members (M, C, H, W); NaN where a member is."""
    missing = members.isnan().any(0)
    made = _compute(product, members, radius)
    return torch.where(missing, torch.nan, made)


def _compute(product: ForecastProduct, members: Tensor, radius: float) -> Tensor:
    if product.kind == "probability":
        events = (members >= product.level).to(members.dtype)
        return (_spread_events(events, radius) if radius else events).mean(0)
    if product.kind == "spread":
        return members.std(0) if len(members) > 1 else torch.zeros_like(members[0])
    if product.kind == "pmm":
        return _match_mean(members)
    if product.kind in ("percentile", "median"):
        level = 0.5 if product.kind == "median" else product.level
        return find_quantile(members, level)
    if product.kind == "mean":
        return members.mean(0)
    return members.amin(0) if product.kind == "min" else members.amax(0)


def _spread_events(events: Tensor, radius: float) -> Tensor:
    """Mark all pixels within a distance of an event: the disc as rows, each a maximum along columns."""
    reach, height = int(radius), events.shape[-2]
    marked = torch.zeros_like(events)
    for down in range(-reach, reach + 1):
        half = isqrt(int(radius**2 - down**2))
        wide = max_pool2d(events, (1, 2 * half + 1), 1, (0, half))
        marked = torch.maximum(marked, pad(wide, (0, 0, reach, reach))[..., reach + down : reach + down + height, :])
    return marked


def _match_mean(members: Tensor) -> Tensor:
    """Give the mean of the members the values of all of them by rank (Ebert 2001), each channel alone."""
    count, channels = members.shape[:2]
    mean = members.mean(0)
    made = torch.empty_like(mean)
    for channel in range(channels):
        there = mean[channel].isfinite()
        values = members[:, channel][:, there].flatten().sort().values[count // 2 :: count]
        placed = torch.empty_like(values)
        placed[torch.argsort(mean[channel][there], stable=True)] = values
        made[channel] = mean[channel].masked_scatter(there, placed)
    return made


class _RunningSum:
    """Sums of rain over the last minutes of each member, mm."""

    def __init__(self, forecast: Forecast, minutes: int) -> None:
        units, step = forecast.spec.units, forecast.spec.step_minutes
        what = f"product sum{minutes}"
        if units not in (DBZ_UNITS, RATE_UNITS):
            raise UsageError(what, got=f"frames in {units}", expected=f"rain, {RATE_UNITS} or {DBZ_UNITS}")
        if step is None or minutes % step:
            got = "frames without a time step" if step is None else f"steps of {step:g} minutes"
            raise UsageError(what, got=got, expected=f"steps of which {minutes} minutes are a whole number")
        self._step, self._is_reflectivity = step, units == DBZ_UNITS
        self._frames: deque[Tensor] = deque(maxlen=int(minutes / step))

    def add(self, members: Tensor) -> Tensor:
        """Take the next lead time; the sums up to it, NaN while fewer minutes have been forecast."""
        rates = members
        if self._is_reflectivity:
            scale = DBZ(rain_rate=True)
            rates = scale.denormalize((members / scale.high).clamp(0, 1))
        self._frames.append(rates * (self._step / 60))
        if len(self._frames) < (self._frames.maxlen or 0):
            return torch.full_like(members, torch.nan)
        return torch.stack(list(self._frames)).sum(0)


def _label(forecast: Forecast, frames: Tensor, products: Sequence[ForecastProduct]) -> Forecast:
    """Name the maps, with their units."""
    spec, grid = forecast.spec, forecast.grid
    targets = list(grid.variables) if len(grid.variables) == spec.targets else []
    names, units, long_names = [], [], []
    for number, unit in enumerate(target_units(spec, grid)):
        prefix = f"{targets[number] if targets else number + 1}_" if spec.targets > 1 else ""
        for product in products:
            own = "mm" if product.minutes else unit
            names.append(prefix + product.name)
            units.append("1" if product.kind == "probability" else own)
            long_names.append(_describe(product, own))
    is_chance = all(product.kind == "probability" for product in products)
    low, high = (0.0, 1.0) if is_chance else (min(0.0, spec.low), max(1.0, spec.high))
    is_one = len(set(units)) == 1
    fields = {
        "channels": len(names),
        "names": tuple(names),
        "units": units[0] if is_one else "1",
        "low": low,
        "high": high,
        "ranges": tuple((0.0, 1.0) if unit == "1" else (low, high) for unit in units) if not is_one else (),
    }
    empty: dict[str, object] = {"standard_names": (), "cell_methods": (), "interval": None}
    labels = {"variables": tuple(names), "units": tuple(units), "long_names": tuple(long_names), **empty}
    context = [_show_past(past, product) for past in forecast.context.unbind(2) for product in products]
    return replace(
        forecast,
        frames=frames,
        mask=forecast.mask.repeat_interleave(len(products), 1),
        context=torch.stack(context, 2),
        spec=spec.model_copy(update=fields),
        grid=Grid(**{**forecast.grid.model_dump(), **labels}),
        dims=forecast.dims if "c" in forecast.dims else forecast.dims.replace("h", "ch"),
    )


def _show_past(past: Tensor, product: ForecastProduct) -> Tensor:
    """Make what the input (N, J, H, W) shows of a product: of a probability 1 where the event was, 0 elsewhere."""
    if product.kind != "probability":
        return past
    if product.minutes:  # no single frame shows a sum
        return torch.full_like(past, torch.nan)
    return torch.where(past.isnan(), torch.nan, (past >= product.level).to(past.dtype))


def _describe(product: ForecastProduct, unit: str) -> str:
    """Describe a product in words, as a long name."""
    what = f"{product.minutes} minute sum" if product.minutes else "value"
    if product.kind == "probability":
        near = f" within {product.radius:g} {product.radius_unit}" if product.radius else ""
        return f"probability of a {what} of at least {product.level:g} {unit}{near}"
    if product.kind == "percentile":
        return f"{100 * product.level:g} % of the members have a {what} of at most this"
    if product.kind in INTERVALS:
        return f"{product.kind} end of the interval that holds the value in {100 * product.level:g} % of the cases"
    words = {"pmm": "probability matched mean", "spread": "standard deviation", "min": "least", "max": "largest"}
    return f"{words.get(product.kind, product.kind)} of the members' {what}s"
