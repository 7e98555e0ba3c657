"""Checks that data fit a model: channels, covariates, units, scale of the values, time step."""

from __future__ import annotations

from typing import Any

from framecast.calendars import format_step
from framecast.data.config import DataConfig
from framecast.errors import InputError
from framecast.forecasting.forecaster import Forecaster
from framecast.types import FrameSpec

WIDEST_PACE = 4.0
"""Step of the data over that of the training, or the reverse, at most, for a model whose base moves frames."""


def check_values(model: FrameSpec, data: FrameSpec) -> None:
    """Check that data have the channels, covariates, units and scale of the model's training.

    Raises:
        InputError: other channels, other covariates, other units, or values on another scale.
    """
    if data.channels != model.channels:
        raise InputError(
            "data", got=f"{data.channels} channels", expected=f"{model.channels}, as the model was trained"
        )
    got, expected = ([c.name for c in spec.covariates] for spec in (data, model))
    if got != expected:
        text = ", ".join(expected) or "none"
        raise InputError(
            "data", got=f"covariates {', '.join(got) or 'none'}", expected=f"{text}, as the model was trained"
        )
    if "1" not in (data.units, model.units) and data.units != model.units:
        fix = "convert the values, or name their units with --units if the file is wrong"
        raise InputError(
            "data", got=f"units {data.units}", expected=f"{model.units}, as the model was trained", fix=fix
        )
    _check_channel_ranges(model, data)
    ratio = (data.high - data.low) / (model.high - model.low)
    is_disjoint = data.high < model.low or data.low > model.high
    # where both name the same units, a narrow range is a calm day and no fault
    has_same_units = data.units == model.units != "1"
    if is_disjoint or ratio > 10 or (ratio < 0.1 and not has_same_units):
        raise InputError(
            "data",
            got=f"values from {data.low:g} to {data.high:g}",
            expected=f"the model's scale, {model.low:g} to {model.high:g} {model.units}".removesuffix(" 1"),
            fix=f"scale them, or say --range {model.low:g},{model.high:g} if they are on it",
        )


def spec_as_trained(model: FrameSpec, data: FrameSpec, config: DataConfig) -> FrameSpec:
    """Put data on the value range of the model, unless the user gives one; refuse data that do not fit the model."""
    check_values(model, data)
    update: dict[str, Any] = {} if config.range is not None else {"low": model.low, "high": model.high}
    if len(model.ranges) == len(data.ranges):
        update["ranges"] = model.ranges
    return data.model_copy(update=update)


def _check_channel_ranges(model: FrameSpec, data: FrameSpec) -> None:
    """Refuse a channel of several units whose values lie a whole range or more away from those of the training.

    Other units, as Pa for hPa or °C for K, which the range of all channels together hides.
    """
    if len(model.ranges) != len(data.ranges):
        return
    for number, (known, found) in enumerate(zip(model.ranges, data.ranges, strict=True), 1):
        (low, high), (lowest, highest) = known, found
        if max(lowest - high, low - highest) > high - low:
            raise InputError(
                f"data, channel {number}",
                got=f"values from {lowest:g} to {highest:g}",
                expected=f"the model's scale, {low:g} to {high:g}",
                fix="convert them to the units of the training",
            )


def check_step(model: FrameSpec, data: FrameSpec, user_step: float | None, go_on: str | None = None) -> None:
    """Check that frames are as far apart as in training, unless the user gives the step.

    Args:
        model: contract of the model.
        data: spec of the data.
        user_step: minutes between frames by the user's word; None where only the file has them.
        go_on: what a user may do to go on all the same; None for the option of the command line.

    Raises:
        InputError: a step that differs by more than a tenth.
    """
    if user_step is not None or model.step_minutes is None or data.step_minutes is None:
        return
    if max(model.step_minutes, data.step_minutes) <= 1.1 * min(model.step_minutes, data.step_minutes):
        return
    raise InputError(
        "data",
        got=f"frames {_name_step(data)} apart",
        expected=f"{_name_step(model)}, as the model was trained",
        fix=f"give frames of that step; or {go_on or f'say --step-minutes {data.step_minutes:g}'} to go on all the same",
    )


def adapt_to_step(
    forecaster: Forecaster, data: FrameSpec, user_step: float | None, go_on: str | None = None
) -> tuple[Forecaster, list[str]]:
    """Let a model whose base moves frames forecast data of another step, as its lead times are times; check others'.

    Args:
        forecaster: the model.
        data: spec of the data.
        user_step: minutes between frames by the user's word; None where only the file has them.
        go_on: what a user may do to go on with another step all the same; None for the option of the command line.

    Returns:
        the model at the pace of the data, and notes on it.

    Raises:
        InputError: a step that differs by more than a tenth, for a model without such a base; or one that differs by
            more than the model can bridge.
    """
    trained, given = forecaster.spec.step_minutes, data.step_minutes
    is_paced = forecaster.base is not None and forecaster.base.base.tracks and not data.step_months
    if not is_paced or trained is None or given is None:
        check_step(forecaster.spec, data, user_step, go_on)
        return forecaster, []
    pace = given / trained
    if 1 / 1.1 <= pace <= 1.1:
        return forecaster, []
    if not 1 / WIDEST_PACE <= pace <= WIDEST_PACE:
        expected = (
            f"{trained / WIDEST_PACE:g} to {trained * WIDEST_PACE:g} min: the model was trained on {trained:g} min"
        )
        raise InputError("data", got=f"frames {_name_step(data)} apart", expected=expected)
    note = f"time step: {given:g} min, and the model was trained on {trained:g} min; its lead times count in minutes"
    return forecaster.at_pace(pace), [note]


def _name_step(spec: FrameSpec) -> str:
    """Name the time between frames: in minutes, as --step-minutes takes it, or in calendar months."""
    minutes, months = spec.step_minutes or 0.0, spec.step_months
    return f"{minutes:g} min" if months is None else format_step(minutes, months)
