"""Ladder of predictors: the model; where it cannot, extrapolation; where there is no motion, persistence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import dropwhile
from pathlib import Path
from typing import Any

from framecast.data import DataConfig
from framecast.devices import move_module
from framecast.ensembles.predict import dress_forecast
from framecast.errors import InputError
from framecast.forecast import Forecast
from framecast.forecasting.baselines import Baseline, make_baseline
from framecast.forecasting.data_checks import adapt_to_step
from framecast.forecasting.filling.context_source import ContextSource, FrameWindow
from framecast.forecasting.filling.fill import fill_absent
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predict import forecast_source, read_past
from framecast.forecasting.predictor import Predictor
from framecast.live.prepared import PreparedContext
from framecast.live.slots import Instant
from framecast.live.window import LiveWindow
from framecast.types import FrameSpec

FALLBACKS = ("extrapolation", "persistence")


@dataclass(frozen=True)
class Issued:
    """A forecast, and how it came about."""

    forecast: Forecast
    predictor: str
    """Name of the model or baseline that made it."""
    fallback: str
    """Why it is not the one that was asked for; empty where it is."""
    filled: tuple[Instant, ...]
    """Absent frames that were forecast to fill the context."""
    source: ContextSource
    """The frames that it was made of, absent ones filled."""


@dataclass(frozen=True)
class Dressing:
    """How members are made of a forecast.

    Args:
        members: M.
        errors: file of the error tables, or the folder that has them.
        seed: of the noise.
    """

    members: int
    errors: Path
    seed: int = 0

    def dress(self, predictor: Predictor, forecast: Forecast) -> Forecast:
        """Turn a forecast of the predictor into its members.

        Raises:
            InputError: no error tables, or those of other frames.
        """
        return dress_forecast(predictor, forecast, self.errors, members=self.members, seed=self.seed)


@dataclass(frozen=True)
class Ladder:
    """The predictor that is asked for, and what stands in for it.

    Args:
        model: a network, or the name of a baseline.
        name: name of the model for people.
        horizon: frames to predict.
        context: slots of the window.
        max_filled: absent frames of the window with which the model forecasts, at most.
        keywords: of `forecast_source`: device, room.
        dressing: of members of the model's forecasts; None for single ones.
        prepared: what the model took of the next window.
        covariates: how the covariates of the times to be predicted are read, anew for each forecast; None for none.
    """

    model: Forecaster | str
    name: str
    horizon: int
    context: int
    max_filled: int
    keywords: dict[str, Any]
    dressing: Dressing | None = None
    prepared: PreparedContext = field(default_factory=PreparedContext)
    covariates: DataConfig | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """All that a forecast depends on besides the frames; plain values."""
        dressing = {} if self.dressing is None else {"members": self.dressing.members, "seed": self.dressing.seed}
        lengths = {"horizon": self.horizon, "context": self.context, "max_filled": self.max_filled}
        stamp = {} if self.covariates is None else {"covariates": _stamp(Path(self.covariates.path))}
        return {"model": self.identity, **lengths, **dressing, **stamp}

    @property
    def identity(self) -> str:
        """Digest of the model's weights and how it forecasts; the name of a baseline."""
        if isinstance(self.model, str):
            return self.model
        return f"{self.model.origin.sha256 or self.name}{' matched' if self.model.matched else ''}"

    def forecast(self, window: LiveWindow) -> Issued:
        """Forecast from a window by the first predictor that can.

        Raises:
            InputError: none can, for the reasons that it lists.
        """
        reasons: list[str] = []
        for predictor, name, notes in self._list_predictors(window.spec, reasons):
            shortage = self._find_shortage(predictor, window)
            if shortage is not None:
                reasons.append(f"{name}: {shortage}")
                continue
            try:
                whole = fill_absent(
                    predictor, window.make_source(), max_filled=self.max_filled, context=self.context, **self.keywords
                )
                used = min(whole.source.lengths)
                more: dict[str, Any] = {"skip": self.prepared.skip}
                if isinstance(predictor, Forecaster):  # others have no covariates
                    more["covariates"] = self.covariates
                forecast = forecast_source(predictor, whole.source, self.horizon, context=used, **more, **self.keywords)
                if self.dressing is not None and name == self.name:
                    forecast = self.dressing.dress(predictor, forecast)
            except (InputError, MemoryError) as error:
                reasons.append(f"{name}: {error}")
                continue
            forecast = replace(forecast, notes=(*notes, *whole.notes, *forecast.notes))
            filled = tuple(slot for slot in whole.filled[0] if not isinstance(slot, int))
            return Issued(forecast, name, "; ".join(reasons), filled, whole.source)
        raise InputError("forecast", got="; ".join(reasons), expected="a predictor that can use these frames")

    def prepare(self, window: LiveWindow) -> bool:
        """Let the model take one more frame of the window that follows, without its newest; return whether one was left.

        Nothing is prepared where frames are absent after the first one, or for a model with covariates.

        Args:
            window: of the newest forecast.

        Raises:
            InputError: frames that the model was not made for.
        """
        following = list(dropwhile(lambda frame: frame is None, window.frames[1:]))
        known = [frame.values for frame in following if frame is not None]
        lacking = self.context - 1 - len(known)
        if not isinstance(self.model, Forecaster) or self.model.spec.covariates or lacking > self.max_filled:
            return False
        if not known or len(known) < len(following):
            return False
        adapted, _ = adapt_to_step(self.model, window.spec, None)
        model = move_module(adapted, self.keywords.get("device", "cpu"))
        return self.prepared.extend(model, read_past(FrameWindow(known, window.spec), model.spec))

    def _list_predictors(self, spec: FrameSpec, reasons: list[str]) -> Iterator[tuple[Predictor, str, list[str]]]:
        """Iterate over the predictors with their names and notes; why the model cannot be had is added to the reasons."""
        if isinstance(self.model, Forecaster):
            try:
                adapted, notes = adapt_to_step(self.model, spec, None)
                yield adapted, self.name, notes
            except InputError as error:
                reasons.append(f"{self.name}: {error}")
        for name in dict.fromkeys([*([self.model] if isinstance(self.model, str) else []), *FALLBACKS]):
            yield make_baseline(name, spec), name, []

    def _find_shortage(self, predictor: Predictor, window: LiveWindow) -> str | None:
        """Find out which frames a predictor lacks; None where it has enough."""
        absent = len(window.absent)
        if isinstance(predictor, Baseline):
            least = predictor.least_context
            following = _count_usable(window, self.max_filled)
            return None if following >= least else f"{following} frames in a row, {least} are needed"
        return (
            None
            if absent <= self.max_filled
            else (f"{absent} of {len(window.slots)} frames are absent, at most {self.max_filled} are filled")
        )


def _stamp(path: Path) -> list[Any]:
    """Stamp a file, or those of a folder, by names, sizes and times: another forecast is due when they change."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = []
    for file in files:
        with suppress(OSError):  # one that is being replaced
            about = file.stat()
            found.append([file.name, about.st_size, about.st_mtime_ns])
    return found


def _count_usable(window: LiveWindow, max_filled: int) -> int:
    """Count the newest slots with at most so many absent among them, without those that begin with absent ones."""
    usable, absent = 0, 0
    for count, frame in enumerate(reversed(window.frames), 1):
        absent += frame is None
        if absent > max_filled:
            break
        usable = count if frame is not None else usable
    return usable
