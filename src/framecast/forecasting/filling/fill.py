"""Filling of absent frames: each gap of a context is forecast from the frames before it, by the same predictor.

For a network without a base this is what a rollout does in which those steps are not known; it also serves bases,
baselines, tiles and large domains, as each gap is an ordinary forecast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import format_times, to_calendar
from framecast.data.durations import in_frames
from framecast.data.times import count_absent
from framecast.forecast import count_times
from framecast.forecasting.filling.context_source import ContextSource, FrameWindow, JoinedSource, Slot
from framecast.forecasting.predict import forecast_source
from framecast.forecasting.predictor import Predictor

MAX_FILLED = 3
"""Frames of a context that are filled by default, at most: with three of ten absent the squared error grew by 11 %, and
by 16 to 23 % with other means; more were not measured (docs/live.md)."""
LISTED = 6
"""Times that a note names, at most."""


@dataclass(frozen=True)
class FilledContext:
    """Context without gaps: a source to forecast from, and what was done."""

    source: ContextSource
    filled: tuple[tuple[np.datetime64 | int, ...], ...]
    """Absent frames of each sequence that were forecast: their times, or where those are unknown their places."""
    notes: tuple[str, ...] = ()


def fill_absent(
    predictor: Predictor,
    source: ContextSource,
    *,
    max_filled: int = MAX_FILLED,
    context: int | str | None = None,
    **keywords: Any,
) -> FilledContext:
    """Fill the gaps in the context of each sequence by the predictor's own forecast.

    Gaps are those between sequences of one file whose times tell how many frames are absent, frames that are missing as
    a whole, and the empty slots of a `FrameWindow`. Those before the first frame make the context shorter.

    Args:
        predictor: network or baseline that will forecast.
        source: frames up to now.
        max_filled: absent frames to fill in each context, at most; what lies before a longer gap is left out.
        context: J, frames or a time; by default the predictor's.
        keywords: of `forecast_source`: batch_size, device, room.

    Raises:
        InputError: frames that the predictor was not made for.
        UsageError: a time that is no whole number of steps.
    """
    spec = source.spec
    wanted = getattr(predictor, "context", None) if context is None else context
    length = None if wanted is None else in_frames(wanted, spec.step_minutes, "context", spec.step_months)
    contexts = [_choose_slots(source, number, length, max_filled) for number in source.latest]
    contexts = [_drop_beginning(slots, getattr(predictor, "least_context", 1)) for slots in contexts]
    if not any(None in slots for slots in contexts):
        trimmed = isinstance(source, FrameWindow) and len(contexts[0]) < source.lengths[0]
        return FilledContext(_join(source, contexts) if trimmed else source, ((),) * len(contexts))
    if spec.past or spec.covariates:
        note = "gaps: the frames after the last are used; those of data with further channels are not filled"
        after = [_cut_after_last_gap(slots) for slots in contexts]
        return FilledContext(_join(source, after), ((),) * len(contexts), (note,))
    frames = [_forecast_gaps(predictor, source, slots, keywords) for slots in contexts]
    filled = tuple(_name_filled(source, slots) for slots in contexts)
    return FilledContext(_join(source, contexts, frames), filled, tuple(_describe(source, contexts, filled)))


def _choose_slots(source: ContextSource, number: int, length: int | None, max_filled: int) -> list[Slot]:
    """Choose the slots of a context, oldest first, with at most so many empty ones among them, none at the beginning."""
    if isinstance(source, FrameWindow):
        newest_first: Iterable[Slot] = reversed(source.slots)
    else:
        newest_first = _iterate_slots(source, number, max_filled)
    slots: list[Slot] = []
    for slot in newest_first:
        full = length is not None and len(slots) >= length
        if full or (slot is None and slots.count(None) >= max_filled):
            break
        slots.insert(0, slot)
    while slots and slots[0] is None:
        del slots[0]
    return slots


def _iterate_slots(source: ContextSource, number: int, max_filled: int) -> Iterable[Slot]:
    """Iterate over the slots of a sequence and those before it in its group, newest first."""
    earlier = [latest for latest in source.latest if latest < number]
    first = max(earlier, default=-1) + 1
    for sequence in range(number, first - 1, -1):
        for frame in range(source.lengths[sequence] - 1, -1, -1):
            yield (sequence, frame) if sequence == number or _is_seen(source, sequence, frame) else None
        absent = _count_absent(source, sequence - 1, sequence, max_filled) if sequence > first else None
        if absent is None:
            return
        yield from [None] * absent


def _is_seen(source: ContextSource, sequence: int, frame: int) -> bool:
    """Whether any pixel of a frame is there; before the last sequence nobody has looked at the values yet."""
    valid = source.read(sequence, frame, frame + 1).valid
    return valid is None or bool(valid[:, : source.spec.targets].any())


def _count_absent(source: ContextSource, before: int, after: int, limit: int) -> int | None:
    """Count the frames that are absent between two sequences, by their times, else by their places in one recording.

    Returns:
        1 to `limit`, or None where it cannot be told, or more are absent.
    """
    spec, dates = source.spec, (source.frame_times(before), source.frame_times(after))
    if dates[0] is not None and dates[1] is not None and spec.step_minutes is not None:
        ends = dates[0][-1], dates[1][0]
        return count_absent(*ends, spec.step_minutes, spec.step_months, source.grid, limit) or None
    origins = getattr(source, "origins", None)
    if origins is None or origins[before][0] != origins[after][0]:
        return None
    absent = origins[after][1] - origins[before][1] - source.lengths[before]
    return absent if 0 < absent <= limit else None


def _drop_beginning(slots: list[Slot], least: int) -> list[Slot]:
    """Drop the frames before the first gap while they are too few to forecast it from."""
    while None in slots and slots.index(None) < least:
        slots = slots[slots.index(None) :]
        slots = slots[next(n for n, slot in enumerate(slots) if slot is not None) :]
    return slots


def _cut_after_last_gap(slots: list[Slot]) -> list[Slot]:
    return slots[len(slots) - slots[::-1].index(None) :] if None in slots else slots


def _forecast_gaps(
    predictor: Predictor, source: ContextSource, slots: Sequence[Slot], keywords: dict[str, Any]
) -> NDArray[np.float32]:
    """Forecast the empty slots of one context, gap by gap, (G, C, H, W), raw units, NaN where unknown."""
    spec = source.spec
    filled = np.empty((0, spec.channels, spec.height, spec.width), np.float32)
    done = 0
    for is_empty, members in groupby(slots, lambda slot: slot is None):
        count = len(list(members))
        if is_empty:
            past = _join(source, [slots[:done]], [filled])
            ahead = forecast_source(predictor, past, count, context=done, **keywords)
            filled = np.concatenate([filled, ahead.mean().values[0, 0]])
        done += count
    return filled


def _join(
    source: ContextSource, contexts: Sequence[Sequence[Slot]], filled: Sequence[NDArray[np.float32]] | None = None
) -> JoinedSource:
    """Join the frames of contexts, and those that were forecast, to sequences without a gap."""
    none = np.empty((0, source.spec.channels, source.spec.height, source.spec.width), np.float32)
    times = [_find_times(source, slots) for slots in contexts]
    return JoinedSource(source, contexts, filled or [none] * len(contexts), times)


def _find_times(source: ContextSource, slots: Sequence[Slot]) -> NDArray[Any] | None:
    """Find the time of each slot: of frames their own, of absent ones counted on from the frame before."""
    if isinstance(source, FrameWindow):
        times = source.frame_times(0)
        end = len(source.slots)
        return None if times is None else times[end - len(slots) : end]
    found: list[Any] = []
    for slot in slots:
        dates = None if slot is None else source.frame_times(slot[0])
        if slot is not None and dates is not None:
            found.append(dates[slot[1]])
        elif slot is None and found and source.spec.step_minutes is not None:
            found.append(count_times(np.array([[found[-1]]]), 1, source.spec, source.grid)[0, 0])
        else:
            return None
    return np.array(found, "datetime64[ms]")


def _name_filled(source: ContextSource, slots: Sequence[Slot]) -> tuple[np.datetime64 | int, ...]:
    """Name the absent frames of a context by their times, else by their places in it."""
    times = _find_times(source, slots)
    empty = [number for number, slot in enumerate(slots) if slot is None]
    return tuple(empty if times is None else [times[number] for number in empty])


def _describe(
    source: ContextSource, contexts: Sequence[Sequence[Slot]], filled: Sequence[Sequence[Any]]
) -> Iterable[str]:
    """Describe which frames of each context were filled, one line each."""
    for number, (slots, absent) in enumerate(zip(contexts, filled, strict=True)):
        if not absent:
            continue
        names = [f"frame {place + 1}" for place in absent]
        if not isinstance(absent[0], int):
            names = [str(text) for text in format_times(to_calendar(np.array(absent), source.grid))]
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        which = f" of sequence {number}" if len(contexts) > 1 else ""
        listed = ", ".join(names[:LISTED])
        yield (
            f"filled: {len(absent)} of the {len(slots)} frames of the context{which} are absent and were forecast from "
            f"those before: {listed}{more}"
        )
