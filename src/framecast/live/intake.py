"""Intake: files that a place shows become frames by slot; what cannot be used is set aside with its reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from framecast.errors import FramecastError
from framecast.live.inbox import Entry, Inbox, Status
from framecast.live.reader import FrameReader, LiveFrame
from framecast.live.slots import Cadence, Instant, name_time, parse_slot
from framecast.live.sources import FilePlace

FAILURES = (FramecastError, OSError, EOFError, ValueError, MemoryError)
"""Errors of one file, one look or one forecast, after which the loop goes on."""
BEFORE = 2
"""Slots before the window that tell whether its first frame is to be believed."""
AHEAD = 1.5
"""Steps beyond the present, or the newest frame, from which on a frame is of the future."""


class Intake:
    """What reads the files of a place, each once.

    Args:
        place: shows files.
        reader: reads them.
        cadence: slots.
        inbox: what was seen.
        context: slots of the window of a forecast.
    """

    def __init__(self, place: FilePlace, reader: FrameReader, cadence: Cadence, inbox: Inbox, context: int) -> None:
        self.place, self.inbox = place, inbox
        self._reader, self._cadence, self._context = reader, cadence, context
        self._frames: dict[tuple[str, str], LiveFrame] = {}

    def take_all(self, news: Sequence[Entry], now: float, latest: Instant | None) -> list[str]:
        """Read files, those of the newest times first; say what they are, one line each.

        Args:
            news: settled files that are new, or changed.
            now: seconds since 1970.
            latest: reference time of the newest forecast; frames before it are late.
        """
        ordered = sorted(news, key=self._guess_order, reverse=True)
        return [line for entry in ordered for line in self._take(entry, now, latest)]

    def _guess_order(self, entry: Entry) -> tuple[float, float]:
        """Guess the time of a file, to read the newest first: then what is too old need not be read at all."""
        named = self._reader.find_time(base_name(entry.name))
        return (0.0 if named is None else float(named.astype(np.int64)), entry.changed or 0.0)

    def _take(self, entry: Entry, now: float, latest: Instant | None) -> list[str]:
        """Read a file and take note of it; say what it is."""
        name = base_name(entry.name)
        before = self.inbox.records.get(entry.name)
        newest = self.inbox.find_newest()
        named = self._reader.find_time(name)
        refusal = None if named is None else self._find_refusal(named, newest, now)
        if refusal is not None:
            return self._set_aside(entry, *refusal, silent=before is not None)
        try:
            times, frames = self._reader.read(
                self.place.fetch(entry), lambda times: self._choose(times, self.inbox.find_newest(), now)
            )
        except FAILURES as error:
            status = self.inbox.fail(entry, str(error), now)
            is_news = before is None or before.status != status
            tail = "; it is left alone until it changes" if status == "quarantined" else "; it is tried again"
            return [f"{name}: {status}: {error}{tail}"] if is_news else []
        usable = [frame for frame in frames if not frame.is_empty]
        if not usable:
            refusals = [self._find_refusal(at, newest, now) for at in times]
            refusal = next(filter(None, refusals), ("empty", "no pixel is there: it counts as absent"))
            return self._set_aside(entry, *refusal, silent=before is not None and before.status == refusal[0])
        slots = {str(self._cadence.snap(frame.time)): frame for frame in usable}
        word = self.inbox.take(entry, {slot: frame.digest for slot, frame in slots.items()})
        self._frames |= {(entry.name, slot): frame for slot, frame in slots.items()}
        late = latest is not None and parse_slot(max(slots)) < latest
        return [f"{name}: {name_time(parse_slot(max(slots)))}: {word}{', late' if late else ''}"]

    def _set_aside(self, entry: Entry, status: Status, reason: str, *, silent: bool) -> list[str]:
        self.inbox.set_aside(entry, status, reason)
        return [] if silent else [f"{base_name(entry.name)}: {status}: {reason}"]

    def _find_refusal(self, at: Instant, newest: Instant | None, now: float) -> tuple[Status, str] | None:
        """Find out why a frame of this time is of no use, as status and reason; None where it is."""
        slot = self._cadence.snap(at)
        if slot is None:
            step = f"{self._cadence.step_minutes:g} min"
            fix = "--step-minutes is the cadence, --tolerance allows more"
            return "off", f"{name_time(at)} is too far from a slot of {step}; {fix}"
        if newest is not None and self._cadence.count(slot, newest) >= self._context + BEFORE:
            return "late", f"{name_time(slot)} lies before the window of the forecast"
        clock = Instant(round(now * 1000), "ms")
        present = clock if newest is None else max(clock, newest)
        ahead = (slot - present) / np.timedelta64(60_000, "ms") / self._cadence.step_minutes
        return ("future", f"{name_time(slot)} is not yet") if ahead > AHEAD else None

    def _choose(self, times: Sequence[Instant], newest: Instant | None, now: float) -> set[Instant]:
        """Choose among the frames of one file those that are of use."""
        usable = [at for at in times if self._find_refusal(at, newest, now) is None]
        last = max(usable, default=None)
        newest = last if newest is None or (last is not None and last > newest) else newest
        return {at for at in usable if self._find_refusal(at, newest, now) is None}

    def load(self, entries: Sequence[Entry], now: float) -> dict[Instant, LiveFrame]:
        """Load the frames of the window and the few before it; those in memory are not read again."""
        newest = self.inbox.find_newest()
        if newest is None:
            return {}
        origins, shown = self.inbox.find_origins(), {entry.name: entry for entry in entries}
        wanted = [slot for slot in self._cadence.list_window(newest, self._context + BEFORE) if str(slot) in origins]
        keys = {slot: (origins[str(slot)].name, str(slot)) for slot in wanted}
        self._frames = {key: frame for key, frame in self._frames.items() if key in keys.values()}
        for slot, key in keys.items():
            entry = shown.get(key[0])
            if key in self._frames or entry is None:
                continue
            try:
                _, read = self._reader.read(self.place.fetch(entry), lambda times: set(times))
            except FAILURES as error:
                self.inbox.fail(entry, str(error), now)
                continue
            for frame in read:
                found = self._cadence.snap(frame.time)
                if found == slot and frame.digest == origins[str(slot)].digest:
                    self._frames[key] = frame
        return {slot: self._frames[key] for slot, key in keys.items() if key in self._frames}

    def forget(self, entries: Sequence[Entry]) -> None:
        """Forget files that are of no use any more, and copies of them."""
        newest = self.inbox.find_newest()
        if newest is not None:
            first = self._cadence.shift(newest, -self._context - BEFORE)
            self.inbox.forget([entry.name for entry in entries], first)
            self.place.keep_only(sorted({name for name, _ in self._frames}))


def base_name(name: str) -> str:
    """Return the last part of the name of a file."""
    return name.rstrip("/").rsplit("/", 1)[-1]
