"""Watcher: look at a place, read what is new, forecast from the newest frames, publish, then score and draw.

No state of a network lasts: a forecast is a pure function of the frames in its window, so that restarts, late frames and
revised ones give what an undisturbed run gives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from framecast.forecasting.forecaster import Forecaster
from framecast.json_files import read_json, write_json
from framecast.live.inbox import Entry, Inbox, read_records
from framecast.live.intake import FAILURES, Intake, base_name
from framecast.live.ladder import Issued, Ladder
from framecast.live.observed import keep_observed
from framecast.live.publish import STATE, Publisher
from framecast.live.reader import FrameReader
from framecast.live.slots import Cadence, Instant, name_time, parse_slot
from framecast.live.sources import FilePlace
from framecast.live.verification import Verification
from framecast.live.window import LiveWindow, make_window


@dataclass
class Look:
    """What one look at the place brought."""

    lines: list[str] = field(default_factory=list)
    """What a person wants to know, one line each."""
    published: dict[str, Any] | None = None
    """Content of latest.json, where a forecast was published."""
    growing: int = 0
    """Files that are not settled yet."""
    failure: BaseException | None = None
    """What went wrong after the announcement, with pictures or scores."""


class Watcher:
    """What watches a place, and forecasts from it.

    Args:
        place: shows files.
        reader: reads them.
        cadence: slots.
        ladder: forecasts.
        out: folder of the output; the caller holds its lock.
        publisher: of the forecasts.
        verification: of the forecasts; None for none.
        settle: seconds for which a file must not change before it is read.
        retry: seconds for which a file that cannot be read is tried again.
        now: seconds since 1970.
        clock: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        place: FilePlace,
        reader: FrameReader,
        cadence: Cadence,
        ladder: Ladder,
        out: Path,
        publisher: Publisher,
        verification: Verification | None,
        *,
        settle: float,
        retry: float,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox = Inbox(settle, retry, _read_inbox(out))
        self._intake = Intake(place, reader, cadence, self._inbox, ladder.context)
        self._place, self._cadence, self._ladder = place, cadence, ladder
        self._out, self._publisher, self._verification = out, publisher, verification
        self._now, self._clock = now, clock
        self._saved: dict[str, Any] = {}
        self._said = self._failed = ""
        self._undrawn: Issued | None = None
        self._window: LiveWindow | None = None

    def look(self) -> Look:
        """Look once: read what is new, and forecast where that changes the newest window.

        Raises:
            FramecastError: the forecast could not be made or written; the next look tries again.
            OSError: the place cannot be reached.
        """
        now, look = self._now(), Look()
        entries = self._place.list_files(now, self._ladder.context)
        news = self._inbox.find_news(entries, now, self._clock())
        latest = self._publisher.latest
        reference = None if latest is None else parse_slot(latest["reference_time"])
        look.lines += self._intake.take_all(news, now, reference)
        look.growing = self._inbox.count_growing(entries) if not news else 0
        try:
            window = make_window(self._intake.load(entries, now), self._cadence, self._ladder.context)
            if window is not None:
                keep_observed(self._out, window)
                self._follow_up(window, self._issue(window, look), look)
            self._say_state(window, look)
        finally:
            self._save(entries)
        return look

    def prepare(self) -> bool:
        """Compute a part of the next forecast before its newest frame is there; return whether more can be."""
        try:
            return self._window is not None and self._ladder.prepare(self._window)
        except FAILURES:  # as it will be told where the forecast meets it
            self._window = None
            return False

    def swap(self, model: Forecaster | str) -> None:
        """Forecast by another model of the same frames from the next look on."""
        self._ladder = replace(self._ladder, model=model)

    def _issue(self, window: LiveWindow, look: Look) -> Issued | None:
        """Forecast and publish, where the window is newer than what was published, or better."""
        ladder, latest = self._ladder, self._publisher.latest
        inputs = window.fingerprint(**ladder.settings)
        self._window = window
        if latest is not None:
            before = parse_slot(latest["reference_time"])
            has_fewer = len(window.absent) > len(latest["absent"])
            if inputs == latest["inputs"]:
                return self._make_again(window)
            if window.newest < before or (window.newest == before and has_fewer):
                return None
        issued = ladder.forecast(window)
        about = self._describe(window, issued, inputs)
        self._remember(window, issued, beside=False)  # first: what was announced is scored, wherever this one dies
        look.published = self._publisher.publish(issued.forecast, window.newest, about)
        self._undrawn = issued
        return issued

    def _make_again(self, window: LiveWindow) -> Issued | None:
        """Make the forecast again that was announced, where its watcher died before its pictures; it is the same."""
        if self._undrawn is None and self._publisher.lacks_pictures:
            self._undrawn = self._ladder.forecast(window)
            return self._undrawn
        return None

    def _follow_up(self, window: LiveWindow, issued: Issued | None, look: Look) -> None:
        """Do what no one should wait for: scores of earlier forecasts, then pictures of the newest.

        What fails is told once; pictures are tried again at the next look.
        """
        duties = [lambda: self._verify(window)]
        if issued is not None:
            duties.append(lambda: self._remember(window, issued, beside=True))
        failures = [error for duty in (*duties, self._draw) if (error := _attempt(duty)) is not None]
        if issued is not None and self._publisher.latest is not None:
            look.published = self._publisher.latest
            look.lines.append(_describe_output(look.published, window, issued))
        text = "; ".join(map(str, failures))
        look.failure = next(iter(failures), None)
        look.lines += [f"after the forecast: {text}; the forecast stays"] if text not in ("", self._failed) else []
        self._failed = text

    def _draw(self) -> None:
        """Draw the pictures of the newest forecast that has none yet."""
        if self._undrawn is not None:
            self._publisher.draw(self._undrawn.forecast)
            self._undrawn = None

    def _remember(self, window: LiveWindow, issued: Issued, *, beside: bool) -> None:
        """Keep a forecast until its truth arrives, with those of the baselines or, at once, without."""
        if self._verification is not None:
            self._verification.remember(issued, window, beside=beside)

    def _describe(self, window: LiveWindow, issued: Issued, inputs: str) -> dict[str, Any]:
        """Describe a forecast, as latest.json has it."""
        times = [name_time(self._cadence.shift(window.newest, n + 1)) for n in range(self._ladder.horizon)]
        now = self._now()
        origins = self._inbox.find_origins()
        used = [slot for slot, frame in zip(window.slots, window.frames, strict=True) if frame is not None]
        return {
            "valid_times": times,
            "step_minutes": self._cadence.step_minutes,
            "predictor": issued.predictor,
            "fallback": issued.fallback or None,
            "filled": [name_time(slot) for slot in issued.filled],
            "absent": [name_time(slot) for slot in window.absent],
            "refused": {name_time(slot): why for slot, why in window.refused.items()},
            "inputs": inputs,
            "frames": [
                {
                    "time": name_time(slot),
                    "file": base_name(origins[str(slot)].name),
                    "sha256": origins[str(slot)].digest,
                }
                for slot in used
            ],
            "units": issued.forecast.spec.units,
            "value_range": list(issued.forecast.spec.target_ranges[0]),
            "members": issued.forecast.members,
            "model": issued.forecast.provenance.as_dict(),
            "notes": list(issued.forecast.notes),
            "created": name_time(Instant(round(now), "s")),
            "age_seconds": round(now - window.newest.astype("datetime64[ms]").astype(np.int64) / 1000),
        }

    def _verify(self, window: LiveWindow) -> None:
        """Score earlier forecasts by the frames of the window that are new."""
        if self._verification is None:
            return
        pairs = [(slot, frame) for slot, frame in zip(window.slots, window.frames, strict=True) if frame is not None]
        if sum(self._verification.score(slot, frame) for slot, frame in pairs):
            self._verification.save(window.newest, self._ladder.horizon, window.spec.units)

    def _say_state(self, window: LiveWindow | None, look: Look) -> None:
        """Say once what keeps the model from its full context."""
        if window is None:
            said = "no frame yet: waiting"
        else:
            absent = len(window.absent)
            said = "" if not absent else f"{absent} of {len(window.slots)} frames of the window are absent"
            said += "".join(f"; {name_time(slot)}: {why}" for slot, why in window.refused.items())
        if said and said != self._said:
            look.lines.append(said)
        self._said = said
        aside = {base_name(name): f"{record.status}: {record.reason}" for name, record in self._inbox.list_set_aside()}
        status = {
            "newest": None if window is None else name_time(window.newest),
            "absent": [] if window is None else [name_time(slot) for slot in window.absent],
            "refused": {} if window is None else {name_time(slot): why for slot, why in window.refused.items()},
            "files": aside,
        }
        self._write("status.json", self._out / "status.json", status)

    def _save(self, entries: Sequence[Entry]) -> None:
        """Save what was seen, and forget what is of no use any more."""
        self._intake.forget(entries)
        self._write("inbox.json", self._out / STATE / "inbox.json", self._inbox.as_dict())

    def _write(self, name: str, path: Path, content: dict[str, Any]) -> None:
        """Write a file where its content has changed."""
        if self._saved.get(name) != content:
            write_json(path, content)
            self._saved[name] = content


def _attempt(duty: Callable[[], None]) -> BaseException | None:
    """Do something after the announcement; return what went wrong."""
    try:
        duty()
    except FAILURES as error:
        return error
    return None


def _describe_output(output: dict[str, Any], window: LiveWindow, issued: Issued) -> str:
    """Describe a forecast that was published in one line."""
    there = len(window.slots) - len(window.absent)
    filled = f", {len(issued.filled)} filled" if issued.filled else ""
    why = f" ({issued.fallback})" if issued.fallback else ""
    revision = f", revision {output['revision']}" if output["revision"] else ""
    return (
        f"{output['reference_time']}: forecast by {issued.predictor}{why} from {there} of {len(window.slots)} frames"
        f"{filled}{revision}: {', '.join(output['files'])}"
    )


def _read_inbox(out: Path) -> dict[str, Any]:
    """Read what an earlier process saw; where that is damaged, all is looked at again."""
    try:
        content = read_json(out / STATE / "inbox.json")
        return read_records(content)
    except (OSError, ValueError, TypeError):
        return {}
