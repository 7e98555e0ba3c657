"""Window of slots: the frames that a forecast is made of, and which of them count as absent, and why.

A window is a pure function of the frames that are there: whatever their order of arrival, and after any restart.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from framecast.data.units import DBZ_UNITS
from framecast.forecasting.filling.context_source import FrameWindow
from framecast.live.reader import LiveFrame
from framecast.live.slots import Cadence, Instant, name_time
from framecast.types import FrameSpec

COLLAPSE = 0.7
"""Share of the wet pixels, or of those that are there, that cannot be gone from one frame to the next."""
WET = {DBZ_UNITS: 15.0, "mm/h": 0.3}
"""Value above which a pixel is wet, by units; others have no wet pixels."""
LEAST_WET = 0.01
"""Share of the pixels that must be wet for their loss to tell anything."""
MOST_MISSING = 0.9
"""Share of the pixels that are usually there whose absence makes a frame absent."""


class LiveWindow(NamedTuple):
    """The frames of a forecast."""

    slots: list[Instant]
    """Oldest first; the last one has a frame."""
    frames: list[LiveFrame | None]
    """The frame of each slot; None where it is absent."""
    refused: dict[Instant, str]
    """Why a frame that arrived counts as absent, by slot; newer ones than the window among them."""
    spec: FrameSpec

    @property
    def newest(self) -> Instant:
        """Slot of the newest frame: the reference time of the forecast."""
        return self.slots[-1]

    @property
    def value_range(self) -> tuple[tuple[float, float], ...] | None:
        """Value range of each target, to which scores clip; None where nobody states one."""
        newest = self.frames[-1]
        return None if newest is None else newest.value_range

    @property
    def absent(self) -> list[Instant]:
        """Slots without a frame."""
        return [slot for slot, frame in zip(self.slots, self.frames, strict=True) if frame is None]

    def make_source(self) -> FrameWindow:
        """Make the source that a forecast is made from."""
        values = [None if frame is None else frame.values for frame in self.frames]
        newest = self.frames[-1]
        assert newest is not None
        return FrameWindow(values, self.spec, np.array(self.slots, "datetime64[ms]"), newest.grid)

    def fingerprint(self, **settings: Any) -> str:
        """16 hex digits that change when the frames do, or settings of the forecast."""
        digests = [None if frame is None else frame.digest for frame in self.frames]
        content = [name_time(self.newest), digests, settings]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def screen_frames(frames: Mapping[Instant, LiveFrame], cadence: Cadence) -> dict[Instant, str]:
    """Find the frames that are not to be believed, with the reason.

    Of another size or place than most of them; with hardly a pixel; or with most of the rain, or of the pixels, gone from
    one frame to the next. Two such frames in a row are believed: the world has changed.

    Args:
        frames: by slot.
        cadence: distance of the slots.
    """
    if not frames:
        return {}
    kinds = Counter(frame.shape_and_place for frame in frames.values())
    most = max(kinds.values())
    usual = next(kind for slot in sorted(frames, reverse=True) if kinds[kind := frames[slot].shape_and_place] == most)
    refused = {
        slot: "of another size, place or units than the other frames"
        for slot, frame in frames.items()
        if frame.shape_and_place != usual
    }
    suspects: dict[Instant, str] = {}
    before: LiveFrame | None = None
    for slot in sorted(set(frames) - set(refused)):
        fault = None if before is None else _find_collapse(before, frames[slot])
        if fault is not None and cadence.shift(slot, -1) in suspects:
            del suspects[cadence.shift(slot, -1)]
            fault = None
        if fault is not None:
            suspects[slot] = fault
        else:
            before = frames[slot]
    return refused | suspects


def _find_collapse(before: LiveFrame, frame: LiveFrame) -> str | None:
    """Find out whether what was there in the frame before is gone; None where it is not."""
    targets = slice(0, frame.spec.targets)
    there, here = (np.isfinite(each.values[targets]) for each in (before, frame))
    lost = 1 - here.sum() / max(there.sum(), 1)
    if lost > MOST_MISSING:
        return f"{100 * lost:.0f} % of the pixels are missing that were there before"
    limit = WET.get(frame.spec.units)
    if limit is None:
        return None
    both = there & here
    wet, left = (int((each.values[targets][both] > limit).sum()) for each in (before, frame))
    if wet >= LEAST_WET * both.sum() and left < (1 - COLLAPSE) * wet:
        return f"{100 * (1 - left / wet):.0f} % of the wet pixels are gone at once"
    return None


def make_window(frames: Mapping[Instant, LiveFrame], cadence: Cadence, length: int) -> LiveWindow | None:
    """Make the window that ends with the newest frame that is believed; None where there is none.

    Args:
        frames: by slot, with those before the window that tell whether its first is to be believed.
        cadence: distance of the slots.
        length: slots of the window.
    """
    refused = screen_frames(frames, cadence)
    believed = [slot for slot in frames if slot not in refused]
    if not believed:
        return None
    slots = cadence.list_window(max(believed), length)
    chosen = [frames[slot] if slot in frames and slot not in refused else None for slot in slots]
    spec = _unite_specs([frame for frame in chosen if frame is not None], cadence)
    return LiveWindow(slots, chosen, {slot: why for slot, why in refused.items() if slot >= slots[0]}, spec)


def _unite_specs(frames: list[LiveFrame], cadence: Cadence) -> FrameSpec:
    """Unite the specs of the frames: the step is that of the slots; the range all of theirs where nobody states one."""
    newest = frames[-1]
    step = {"step_minutes": cadence.step_minutes, "step_months": None}
    if not newest.is_range_found:
        return newest.spec.model_copy(update=step)
    values = [frame.values[: newest.spec.targets] for frame in frames]
    low, high = float(min(map(np.nanmin, values))), float(max(map(np.nanmax, values)))
    ends = {"low": low, "high": high if high > low else low + 1.0}
    return newest.spec.model_copy(update=step | ends)
