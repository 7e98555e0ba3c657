"""Open the frames that a forecast goes on from, without looking at the values of others."""

from __future__ import annotations

from framecast.data import DataConfig, FileSource
from framecast.data.durations import in_frames
from framecast.data.formats.base import StoredArray
from framecast.data.sources.open import open_stored
from framecast.errors import InputError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predict import check_values


def open_context(
    forecaster: Forecaster, config: DataConfig, stored: StoredArray | None = None, *, context: int | str | None = None
) -> FileSource:
    """Open data for a forecast: values of the last frames of each sequence are looked at, of others none.

    Frames of a calm hour can look like those of another scale. Where the last ones do not look like the model's, all are
    looked at, and decide.

    Args:
        forecaster: the model.
        config: where the frames are.
        stored: the array that they are in, where it has been opened already.
        context: J, how many of the last frames are used, or how much time; by default as many as in training, or all.

    Raises:
        InputError: data that cannot be used, and why.
        UsageError: a time that is no whole number of steps.
    """
    stored = stored or open_stored(config)
    steps = (config.step_minutes, stored.attributes.step_minutes, forecaster.spec.step_minutes)
    step = next((minutes for minutes in steps if minutes is not None), None)
    last = forecaster.context if context is None else in_frames(context, step, "context")
    if last is not None:
        try:
            source = FileSource(config, stored, last=last)
            check_values(forecaster.spec, source.spec)
            return source
        except InputError:
            pass
    return FileSource(config, stored)
