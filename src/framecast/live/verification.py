"""Verification: each frame that arrives scores the forecasts that were made for its time, beside two baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast import files
from framecast.data.decode import coarsen
from framecast.errors import InputError
from framecast.forecasting.baselines import make_baseline
from framecast.forecasting.predict import forecast_source
from framecast.json_files import read_json, write_json
from framecast.live.ladder import Issued
from framecast.live.publish import STATE
from framecast.live.reader import LiveFrame
from framecast.live.slots import Cadence, Instant, format_slot, name_time, parse_file_slot, parse_slot
from framecast.live.window import LiveWindow

OPPONENTS = ("persistence", "extrapolation")
NAMES = ("forecast", *OPPONENTS)
LARGEST = 400
"""Rows or columns, at most, of the maps that are kept for scoring; larger ones are averaged over blocks."""
ROLLING = np.timedelta64(1, "D")
"""Length of the time that skill.json covers, up to the newest frame."""


class Score(NamedTuple):
    """Sums over the pixels of one frame of one forecast."""

    valid: str
    """Time of the frame."""
    reference: str
    """Time of the newest frame that the forecast knew."""
    lead: int
    """Steps."""
    pixels: int
    squared: list[float | None]
    """Sum of the squared errors of NAMES; None for one that there is not."""
    absolute: list[float | None]


class Verification:
    """Forecasts that wait for their truth, and the scores of those that met it.

    Args:
        folder: folder of the output.
        cadence: distance of the slots.
        model: name of the model: forecasts by another predictor, as fallbacks, are not scored.
    """

    def __init__(self, folder: Path, cadence: Cadence, model: str) -> None:
        self._folder, self._cadence, self._model = folder, cadence, model
        self._waiting = folder / STATE / "waiting"
        self._scores: list[Score] = []
        with suppress(OSError, ValueError, TypeError, KeyError):  # without its past it begins anew
            content = read_json(folder / STATE / "scores.json")
            if content["model"] == model:
                self._scores = [Score(*row) for row in content["scores"]]
        self._done = {(score.valid, score.reference) for score in self._scores}

    def remember(self, issued: Issued, window: LiveWindow, *, beside: bool) -> None:
        """Keep a forecast until its truth arrives.

        Args:
            issued: the forecast.
            window: the frames that it was made of.
            beside: whether to keep the forecasts of the baselines from the same frames, too, which takes a while.
        """
        if issued.predictor != self._model:
            return
        source, horizon = issued.source, issued.forecast.frames.shape[2]
        factor = -(-max(issued.forecast.frames.shape[-2:]) // LARGEST)
        limits = window.value_range
        parts = {"forecast": _shrink(issued.forecast.mean().values[0, 0], factor, limits)}
        for name in OPPONENTS if beside else ():
            if name == self._model:
                continue
            with suppress(InputError):  # one frame shows no motion
                made = forecast_source(make_baseline(name, source.spec), source, horizon, context=min(source.lengths))
                values = made.values[0, 0, :1] if name == "persistence" else made.values[0, 0]
                parts[name] = _shrink(values, factor, limits)
        arrays: dict[str, Any] = {**parts, "factor": np.array(factor)}
        files.write(self._waiting / f"{format_slot(window.newest)}.npz", lambda file: np.savez(file, **arrays))

    def score(self, slot: Instant, truth: LiveFrame) -> int:
        """Score the forecasts that were made for a slot; return how many there were."""
        count = 0
        for path in sorted(self._waiting.glob("*.npz")):
            reference = _parse_name(path)
            lead = 0 if reference is None else self._cadence.count(reference, slot)
            if reference is None or lead < 1:
                continue
            times = name_time(slot), name_time(reference)
            if times in self._done:
                continue
            with suppress(OSError, ValueError, KeyError), np.load(path) as parts:
                if lead <= len(parts["forecast"]):
                    self._scores.append(self._compare(parts, truth, times, lead))
                    self._done.add(times)
                    count += 1
        return count

    def _compare(self, parts: Any, truth: LiveFrame, times: tuple[str, str], lead: int) -> Score:
        """Compare what was forecast for a lead time with the truth, where all have a value."""
        low, high = np.array(truth.spec.target_ranges).T[:, :, None, None]
        unit = high - low if truth.spec.ranges else 1.0  # channels of several units are scaled to their ranges
        targets = truth.values[None, : truth.spec.targets]
        seen = _shrink(targets, int(parts["factor"]), truth.value_range)[0] / unit
        made = [_take(parts, name, lead, self._model) for name in NAMES]
        known = [None if values is None else values / unit for values in made]
        both = np.isfinite(seen)
        for values in known:
            both &= True if values is None else np.isfinite(values)
        errors = [None if values is None else (values - seen)[both].astype(np.float64) for values in known]
        squared = [None if error is None else float((error**2).sum()) for error in errors]
        absolute = [None if error is None else float(np.abs(error).sum()) for error in errors]
        return Score(*times, lead, int(both.sum()), squared, absolute)

    def save(self, newest: Instant, horizon: int, units: str) -> None:
        """Write skill.json and the scores; forget forecasts whose last frame lies before the newest slot."""
        self._scores = [score for score in self._scores if newest - parse_slot(score.valid) < ROLLING]
        self._done = {(score.valid, score.reference) for score in self._scores}
        write_json(
            self._folder / STATE / "scores.json", {"model": self._model, "scores": [list(s) for s in self._scores]}
        )
        write_json(self._folder / "skill.json", self.summarize(units), indent=2)
        for path in self._waiting.glob("*.npz"):
            reference = _parse_name(path)
            if reference is not None and self._cadence.count(reference, newest) >= horizon:
                path.unlink(missing_ok=True)

    def summarize(self, units: str) -> dict[str, Any]:
        """Summarize the scores by lead time, as skill.json has them; plain values."""
        leads = []
        for lead in sorted({score.lead for score in self._scores}):
            scores = [score for score in self._scores if score.lead == lead and score.pixels]
            if scores:
                minutes = lead * self._cadence.step_minutes
                leads.append({"lead_minutes": minutes, "forecasts": len(scores), **_summarize(scores)})
        times = [score.valid for score in self._scores]
        span = {"from": min(times), "to": max(times)} if times else {}
        return {"model": self._model, "units": units, **span, "leads": leads}


def _summarize(scores: Sequence[Score]) -> dict[str, Any]:
    """Average the errors of one lead time over all pixels, and compare them."""
    mse, mae = (
        {name: _average(scores, number, kind) for number, name in enumerate(NAMES)} for kind in ("squared", "absolute")
    )
    found: dict[str, Any] = {"mse": mse, "mae": mae, "skill": {}, "better": {}}
    for number, name in enumerate(OPPONENTS, 1):
        pairs = [(s.squared[0] or 0.0, theirs) for s in scores if (theirs := s.squared[number]) is not None]
        ours, total = (math.fsum(pair[at] for pair in pairs) for at in (0, 1))
        found["skill"][name] = 1 - ours / total if total > 0 else None
        found["better"][name] = sum(a < b for a, b in pairs) / len(pairs) if pairs else None
    return found


def _average(scores: Sequence[Score], number: int, kind: str) -> float | None:
    pairs = [(getattr(score, kind)[number], score.pixels) for score in scores]
    sums = [pair for pair in pairs if pair[0] is not None]
    return math.fsum(total for total, _ in sums) / sum(pixels for _, pixels in sums) if sums else None


def _take(parts: Any, name: str, lead: int, model: str) -> NDArray[np.float32] | None:
    """Take the frame of a lead time: (C, H, W); persistence has one frame for all."""
    name = "forecast" if name == model else name
    if name not in parts:
        return None
    frames: NDArray[np.float32] = parts[name]
    return frames[min(lead, len(frames)) - 1]


def _shrink(
    frames: NDArray[np.float32], factor: int, limits: tuple[tuple[float, float], ...] | None
) -> NDArray[np.float32]:
    """Clip (T, C, H, W) to the range of each channel, None for none, and average blocks; what is missing has no say.

    As in an evaluation: a reflectivity of -32 dBZ and one of 0 are both no rain.
    """
    frames = np.asarray(frames, np.float32)
    if limits is not None:
        low, high = np.array(limits, np.float32).T[:, :, None, None]
        frames = frames.clip(low, high)
    return coarsen(frames, factor) if factor > 1 else frames


def _parse_name(path: Path) -> Instant | None:
    """Parse the reference time in the name of a file."""
    try:
        return parse_file_slot(path.stem)
    except ValueError:
        return None
