"""Opening of a forecast's input: the last frames of each sequence, without a scan of the whole file."""

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
    """Open data for a forecast, and scan only the last frames of each sequence for their value range.

    Args:
        forecaster: the model.
        config: file and reading options.
        stored: array of the file, where it has been opened already.
        context: J, number of the last frames to use, or their time as in 50min; by default that of the training, or all.

    Raises:
        InputError: a file that cannot be read, or frames that do not fit the options.
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
            # a calm hour can look like data of another scale: the values of all frames decide
            pass
    return FileSource(config, stored)
